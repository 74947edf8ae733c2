"""Where the checkpoints of a run lie: `RUN/checkpoints/step-0000400/`, whole when state.json is in it."""

import fcntl
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .json_files import read_json, without_checksum

LOG = logging.getLogger("ernie_vil2")
STATE, CHECKPOINTS, STEP = "state.json", "checkpoints", "step-"

STEP_NAME = re.compile(rf"{STEP}([0-9]{{1,15}})")
STATE_BYTES = 16 << 20


def whole(value: object) -> bool:
    """Whether a value of JSON is a number to count with."""
    return type(value) is int and 0 <= value < 1 << 53


def is_list_of_files(value: object) -> bool:
    """Whether a value is {name of a file in the checkpoint: {"bytes", "sha256"}}."""
    return isinstance(value, dict) and all(
        isinstance(about, dict)
        and whole(about.get("bytes"))
        and isinstance(about.get("sha256"), str)
        and "\0" not in name
        and not {"", ".", ".."} & set(name.split("/"))
        for name, about in value.items()
    )


def is_scale(value: object) -> bool:
    """Whether a value is what a checkpoint keeps of a loss scale, or nothing."""
    return not value or (
        isinstance(value, dict) and type(value.get("value")) in (int, float) and type(value.get("good")) is int
    )


def is_figures(value: object) -> bool:
    """Whether a value is {name: number}, or nothing."""
    return value is None or (isinstance(value, dict) and all(type(figure) in (int, float) for figure in value.values()))


NEEDED = {
    "version": whole,
    "step": whole,
    "samples": whole,
    "position": lambda value: isinstance(value, list) and len(value) == 2 and all(map(whole, value)),
    "run": lambda value: isinstance(value, dict),
    "files": is_list_of_files,
    "loss_scale": is_scale,
    "metrics": is_figures,
    "before": lambda value: value is None or (isinstance(value, dict) and all(map(is_figures, value.values()))),
    "best": lambda value: value is None or isinstance(value, dict),
}
"""Key of state.json -> whether a value can be gone on with"""
RUN_FILES = {"log.jsonl", "visualdl", "checkpoints", "vocab.txt", "bad.txt"}
"""What training writes into the folder of a run."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """While it is entered, no other process that asks may write the run in a folder; ConfigError in that process.

    A folder that it made, and into which nothing was written, is taken away at the end.
    """
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another process trains in {folder}; wait for it or stop it, or choose another folder with "
                "-o output=..."
            ) from None
        except OSError:  # the file system has no locks
            pass
        try:
            yield
        finally:
            if made:
                with suppress(OSError):  # it holds a run
                    folder.rmdir()
    finally:
        os.close(descriptor)


def step_name(step: int) -> str:
    """The name of the directory of a step."""
    return f"{STEP}{step:07d}"


def whole_steps(folder: Path) -> list[int]:
    """Steps of the whole checkpoints in the folder of a run's checkpoints, rising."""
    found = [named_step(path) for path in folder.glob(f"{STEP}*") if (path / STATE).is_file()]
    return sorted(step for step in found if step is not None)


def named_step(checkpoint: Path) -> int | None:
    """The step in the name of a directory; None where it is not named after one."""
    match = STEP_NAME.fullmatch(checkpoint.name)
    return int(match[1]) if match else None


def read_state(checkpoint: Path) -> dict[str, Any]:
    """What state.json of a checkpoint says. Raises OSError where it cannot be read, and ValueError where it is damaged:
    it is not what its checksum was made of (release 0.1 wrote none), or lacks or has a wrong value of what all need."""
    content = read_json(checkpoint / STATE, most=STATE_BYTES)
    if not isinstance(content, dict):
        raise ValueError("it is not a dictionary")
    content = without_checksum(content)
    wrong = next((key for key, fits in NEEDED.items() if not fits(content.get(key))), None)
    if wrong is not None:
        raise ValueError(f"it lacks or has a wrong {wrong}")
    if named_step(checkpoint) not in (None, content["step"]):
        raise ValueError(f"it says step {content['step']}")
    return content


def latest_model(path: str | os.PathLike) -> Path:
    """`path` as it is, or the latest whole checkpoint where it is the folder of a run, or of its checkpoints."""
    path = Path(path)
    for folder in (path / CHECKPOINTS, path):
        if steps := whole_steps(folder):
            return folder / step_name(steps[-1])
    return path


def told_model(path: str | os.PathLike) -> Path:
    """`latest_model`, with a warning in the log that names the checkpoint which is taken."""
    found = latest_model(path)
    if found != Path(path):
        LOG.warning("%s is the folder of a run: its latest checkpoint is taken, %s", path, found)
    return found
