"""A run of training on the disk: whole checkpoints are whole and right, the loss is bounded, the end is bit-equal."""

import hashlib
import json
from pathlib import Path
from typing import Any

from ernie_vil2.files.run_folder import STATE, step_name, whole_steps
from tests.kills.judge import contents, different

POINTER, LOG, SHOWN, SCORE = "checkpoints.json", "log.jsonl", "visualdl", "score.json"
VARYING = {
    "time", "reader_cost", "batch_cost", "ips", "eta", "memory_mb", "memory_peak_mb", "gpu_memory_mb",
    "gpu_memory_peak_mb",
}  # fmt: skip
"""Of a record of the log: what no two runs have in common."""
OWN_OF_STATE = {"run", "versions", "sha256"}
"""Of state.json: the configuration, which names the output, and the checksum of all that it says."""
OWN_OF_SCORE = {"sha256", "state_sha256"}
"""Of score.json: its own checksum, and that of a state.json which names the output."""


def records(run: Path) -> list[dict[str, Any]]:
    """The whole lines of the log, without what no two runs have in common."""
    lines = (run / LOG).read_bytes().split(b"\n")[:-1] if (run / LOG).exists() else []
    return [{key: value for key, value in json.loads(line).items() if key not in VARYING} for line in lines]


def logged(run: Path) -> int:
    """The last step in the log, 0 before the first."""
    return max((record["step"] for record in records(run) if record["kind"] == "train"), default=0)


def saved(run: Path) -> int:
    """The step of the latest whole checkpoint, 0 before the first."""
    return max(whole_steps(run / "checkpoints"), default=0)


def wrong_checkpoint(path: Path, wanted: Path) -> list[str]:
    """A checkpoint that looks whole: its files are those it lists, and bit-equal to those of the straight run."""
    try:
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
        listed = state["files"]
    except (ValueError, KeyError) as error:
        return [f"{path.name}/{STATE} cannot be read: {error}"]
    faults = []
    for name, entry in listed.items():
        data = (path / name).read_bytes() if (path / name).is_file() else None
        if data is None or len(data) != entry["bytes"] or hashlib.sha256(data).hexdigest() != entry["sha256"]:
            faults.append(f"{path.name}/{name} is not the file that {STATE} lists")
    right = json.loads((wanted / STATE).read_text(encoding="utf-8"))
    for key in sorted((set(state) | set(right)) - OWN_OF_STATE):
        if state.get(key) != right.get(key):
            faults.append(f"{path.name}/{STATE} says {key} {state.get(key)!r}, not {right.get(key)!r}")
    return faults + different(path, wanted, but=[STATE, SCORE]) + wrong_score(path, wanted)


def wrong_score(path: Path, wanted: Path) -> list[str]:
    """What validation wrote beside a checkpoint, if it did so before the kill: whole, of this checkpoint, and right."""
    if not (path / SCORE).exists():
        return []
    try:
        score = json.loads((path / SCORE).read_text(encoding="utf-8"))
        right = json.loads((wanted / SCORE).read_text(encoding="utf-8")) if (wanted / SCORE).exists() else {}
        own = {key: value for key, value in score.items() if key != "sha256"}
        whole = hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest() == score["sha256"]
        of_this = hashlib.sha256((path / STATE).read_bytes()).hexdigest() == score["state_sha256"]
    except (ValueError, KeyError) as error:
        return [f"{path.name}/{SCORE} cannot be read: {error}"]
    faults = [] if whole and of_this else [f"{path.name}/{SCORE} is not of this checkpoint, or damaged"]
    keys = sorted(key for key in {**score, **right} if key not in OWN_OF_SCORE and score.get(key) != right.get(key))
    return faults + [f"{path.name}/{SCORE} says another {key}" for key in keys]


def torn_run(run: Path, wanted: Path, save_every: int) -> list[str]:
    """A run that was killed: whole checkpoints are right, the pointer names such, few steps are lost."""
    folder, faults = run / "checkpoints", []
    steps = whole_steps(folder)
    for step in steps:
        faults += wrong_checkpoint(folder / step_name(step), wanted / "checkpoints" / step_name(step))
    if (folder / POINTER).exists():
        try:
            pointer = json.loads((folder / POINTER).read_text(encoding="utf-8"))
        except ValueError as error:
            return [*faults, f"{POINTER} cannot be read: {error}"]
        for what, name in pointer.items():
            if name is not None and name not in map(step_name, steps):
                faults.append(f"{POINTER} calls {name} the {what}, which is not there or not whole")
    try:
        lost = logged(run) - saved(run)
    except ValueError as error:
        return [*faults, f"{LOG} has a line that is torn and not the last: {error}"]
    if lost > save_every:
        faults.append(f"step {logged(run)} was done and {saved(run)} is saved, with a checkpoint every {save_every}")
    return faults


def unsaved(run: Path) -> list[str]:
    """After an orderly end every step that was done is saved."""
    done, kept = logged(run), saved(run)
    return [f"it ended in order at step {done}, and the latest checkpoint is of step {kept}"] if done != kept else []


def wrong_end(run: Path, wanted: Path, steps: int, save_every: int) -> list[str]:
    """A run that was killed and went on to its end: as if nothing had happened."""
    faults = torn_run(run, wanted, save_every)
    if saved(run) != steps:
        faults.append(f"the latest checkpoint is of step {saved(run)}, not {steps}")
    for step in whole_steps(run / "checkpoints"):
        name = f"checkpoints/{step_name(step)}/{SCORE}"
        if (wanted / name).exists() and not (run / name).exists():
            faults.append(f"{name} is missing")
    found, right = records(run), records(wanted)
    for one, other in zip(found, right, strict=False):
        if one != other:
            keys = [key for key in sorted({**one, **other}) if one.get(key) != other.get(key)]
            faults.append(
                f"{LOG}: {one['kind']} step {one['step']} stands where {other['kind']} step {other['step']} does, "
                f"different in {', '.join(keys)}"
            )
            break
    if len(found) != len(right):
        faults.append(f"{LOG} has {len(found)} records, not {len(right)}")
    known = set(contents(wanted))
    faults += [
        f"{name} is one too many" for name in contents(run) if name not in known and not name.startswith(f"{SHOWN}/")
    ]
    pointers = [json.loads((place / "checkpoints" / POINTER).read_text()) for place in (run, wanted)]
    if pointers[0] != pointers[1]:
        faults.append(f"{POINTER} says {pointers[0]}, not {pointers[1]}")
    return faults
