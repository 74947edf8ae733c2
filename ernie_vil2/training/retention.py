"""Which checkpoints of a run stay, and what a killed save or removal left of them."""

import re
import shutil
from pathlib import Path

from ..files.run_folder import STATE, step_name, whole_steps
from .checkpoint_scores import best_step, state_of

TEMPORARY = ".tmp"
UNFINISHED = re.compile(r"step-\d+(\.tmp)?")


def prune_folder(folder: Path, keep: int, step: int) -> None:
    """Remove all but the last `keep` that are not passing, the best, the latest, and that of `step`; OSError where the
    system refuses."""
    steps = whole_steps(folder)
    lasting = [one for one in steps if not state_of(folder / step_name(one)).get("passing")]
    kept = {*lasting[-keep:], *steps[-1:], step, best_step(folder)}
    for one in steps:
        if one not in kept:
            remove(folder / step_name(one))


def remove(checkpoint: Path) -> None:
    """Delete a checkpoint so that it is never seen in part: its state.json goes first."""
    (checkpoint / STATE).unlink(missing_ok=True)
    shutil.rmtree(checkpoint, ignore_errors=True)


def clear_unfinished(folder: Path) -> list[str]:
    """Remove what a killed save or removal left in a folder of checkpoints; returns a sentence about each."""
    told = []
    for entry in folder.glob("step-*"):
        whole = entry.suffix != TEMPORARY and (entry / STATE).is_file()
        if UNFINISHED.fullmatch(entry.name) and entry.is_dir() and not whole:
            shutil.rmtree(entry, ignore_errors=True)
            told.append(f"removed {entry}, left by a run that was killed")
    return told
