"""The two towers that every run of the table starts from, each trained once on scenes that no run sees.

Systems are used on published towers that know images or texts and were never trained with each other. So the image
tower comes out of a training against object tags, and the text tower out of one that compares captions of a scene.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from ...config.load import load_run
from ...files.run_folder import CHECKPOINTS, step_name
from .system_run import SystemRun, timetable

TOWERS = ("image", "text")
TIMES = 2
"""How many times the pairs of a run such a training sees"""
SHARED = ("data", "model.image_tower", "model.text_tower", "model.pixels", "model.max_length")
"""What the towers have in common with the runs: overrides of these are for both"""


def tower_run(
    tower: str, folder: str | Path, output: str | Path, pairs: int, overrides: Sequence[str], images: int
) -> SystemRun:
    """The training of a tower, by `folder`/towers; pairs: those of a run. Its own folder below `output` is named after
    what it is made of, so that runs which start from others are other runs."""
    path = Path(folder) / "towers" / f"{tower}.yaml"
    shared = [override for override in overrides if is_shared(override)]
    config = load_run(path, shared)
    batch = config.train.batch_size
    fixed = [*shared, *timetable(max(1, TIMES * pairs // batch), 1)]
    place = Path(output)
    run = SystemRun(f"{tower} tower", config.seed, path, place, fixed, images, batch=batch, rate=config.optimizer.lr)
    made_of = json.dumps(run.config(), sort_keys=True).encode()
    run.folder = place / f"{tower}-tower-{hashlib.sha256(made_of).hexdigest()[:8]}"
    run.overrides = [*fixed, f"output={json.dumps(str(run.folder))}"]
    return run


def is_shared(override: str) -> bool:
    """Whether an override is of something in SHARED, or below it."""
    key = override.partition("=")[0].strip()
    return any(key == shared or key.startswith(f"{shared}.") for shared in SHARED)


def weights(run: SystemRun) -> Path:
    """The model directory that a tower's training ends with."""
    return run.folder / CHECKPOINTS / step_name(run.config()["train"]["steps"])
