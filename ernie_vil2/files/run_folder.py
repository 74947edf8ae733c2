"""Where the checkpoints of a run lie: `RUN/checkpoints/step-0000400/`, whole when state.json is in it."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ConfigError

LOG = logging.getLogger("ernie_vil2")
STATE, CHECKPOINTS, STEP = "state.json", "checkpoints", "step-"

RUN_FILES = {"log.jsonl", "visualdl", "checkpoints", "vocab.txt", "bad.txt"}
"""What training writes into the folder of a run."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """While it is entered, no other process that asks may write the run in a folder; ConfigError in that process."""
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
        yield
    finally:
        os.close(descriptor)


def step_name(step: int) -> str:
    """The name of the directory of a step."""
    return f"{STEP}{step:07d}"


def whole_steps(folder: Path) -> list[int]:
    """Steps of the whole checkpoints in the folder of a run's checkpoints, rising."""
    found = [path.name.removeprefix(STEP) for path in folder.glob(f"{STEP}*") if (path / STATE).is_file()]
    return sorted(int(step) for step in found if step.isdigit())


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
