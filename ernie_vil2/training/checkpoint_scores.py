"""What validation found of a checkpoint, in a file of its own: the weights are saved first, and measured afterwards.

`score.json` in the directory of a checkpoint holds the step, the metrics, the score (mean recall) that decides which
checkpoint is the best, and two checksums: of itself, and of the state.json that it was measured with.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..files.atomic import atomic_file
from ..files.digests import sha256_of
from ..files.json_files import SUM, checksum, read_json, with_checksum
from ..files.run_folder import STATE, STATE_BYTES, read_state, step_name, whole_steps

SCORE = "score.json"


@dataclass
class Score:
    """Metrics of validation in percent, and the one number that is compared."""

    step: int
    score: float
    metrics: dict[str, float]


def write_score(checkpoint: Path, score: Score) -> None:
    """Write the score of a checkpoint beside its weights; OSError where the disk refuses."""
    content = with_checksum({**asdict(score), "state_sha256": sha256_of(checkpoint / STATE)})
    with atomic_file(checkpoint / SCORE) as handle:
        handle.write((json.dumps(content, indent=1) + "\n").encode())


def read_score(checkpoint: Path) -> Score | None:
    """The score of a checkpoint; None where there is none, or where it is damaged or of another checkpoint."""
    try:
        content = read_json(checkpoint / SCORE, most=STATE_BYTES)
        if content.pop(SUM) != checksum(content) or content["state_sha256"] != sha256_of(checkpoint / STATE):
            return None
        return Score(content["step"], float(content["score"]), dict(content["metrics"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def scores(folder: Path) -> dict[int, float]:
    """{step: score} of the whole checkpoints in a folder that were measured.

    Release 0.1 noted the best score in state.json; it counts for a checkpoint that has no score.json.
    """
    found: dict[int, float] = {}
    for step in whole_steps(folder):
        checkpoint = folder / step_name(step)
        score = read_score(checkpoint)
        if score is not None:
            found[step] = score.score
            continue
        best = state_of(checkpoint).get("best") or {}
        noted, figure = best.get("step"), best.get("score")
        sound = type(noted) is int and type(figure) in (int, float)
        if sound and noted in whole_steps(folder) and not (folder / step_name(noted) / SCORE).exists():
            found.setdefault(noted, figure)
    return found


def best_step(folder: Path) -> int | None:
    """The step of the highest score, the earliest of equal ones; None where nothing was measured."""
    found = scores(folder)
    return max(sorted(found), key=found.__getitem__) if found else None


def damaged_scores(folder: Path) -> list[Path]:
    """Scores that cannot be believed."""
    paths = [folder / step_name(step) / SCORE for step in whole_steps(folder)]
    return [path for path in paths if path.exists() and read_score(path.parent) is None]


def state_of(checkpoint: Path) -> dict[str, Any]:
    """The content of state.json, or {} where it cannot be read or believed."""
    try:
        return read_state(checkpoint)
    except (OSError, ValueError):
        return {}
