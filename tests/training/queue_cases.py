"""A few steps with a queue, by one process or by the ranks of a job: what all of them must agree on."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ernie_vil2.config.model import ModelConfig
from ernie_vil2.config.run import LoraConfig, ObjectiveConfig, QueueNegatives, RunConfig
from ernie_vil2.config.tower_fields import EfficientNetConfig
from ernie_vil2.objectives.gather import divide
from ernie_vil2.training.distributed import Ranks, join_ranks
from ernie_vil2.training.rig import Rig
from tests.gpu.steps import run_config, scene_batch
from tests.systems import cookie_tiny
from tests.systems.brivl_tiny import sharpen, tiny_model
from tests.training import runs
from tests.training.test_batch_norm import TOWER, first_blocks

BATCH, MICRO, STEPS = 14, 3, 3
PAIRS = [["image", "caption"], ["image", "tags", 0.5], ["caption", "caption'"]]
BOTH_IMAGES = [["image", "caption"], ["image", "image'"]]
LEARNING = {"micro": 0, "dropout": 0.0, "lr": 1e-4, "batch_norm": True, "objective": {"pairs": [["image", "caption"]]}}
SLOW = 2e-5
"""So that biases which the next batch norm takes out again, whose gradients are rounding, hardly move its mean"""
CASES = {
    "cache": {"sizes": (1, 2, 3)},
    "recompute-sharding-1-ema": {"train": {"recompute": True, "sharding": 1, "ema": 0.9}},
    "sharding-2-lora": {"train": {"sharding": 2}, "lora": 2},
    "below-the-batch": {"size": 5, "objective": {"positives": "one", "temperature": 0.07}},
    "statistics-own": LEARNING,
    "statistics-copied": {**LEARNING, "statistics": "copied"},
    "cookie-cache": {"cookie": {}, "objective": {"pairs": cookie_tiny.PAIRS}},
    "cookie-recompute-sharding-1-ema": {
        "cookie": {"pooling": "first"},
        "objective": {"pairs": cookie_tiny.PAIRS},
        "train": {"recompute": True, "sharding": 1, "ema": 0.9},
    },
    "boxes-cache": {"image_tower": {}, "objective": {"pairs": BOTH_IMAGES, "positives": "one", "temperature": 0.07}},
    "boxes-recompute-sharding-1": {"image_tower": {}, "train": {"recompute": True, "sharding": 1, "ema": 0.9}},
    "boxes-statistics": {**LEARNING, "lr": SLOW, "image_tower": {"batch_norm": "train"}},
    "boxes-statistics-unbiased": {
        **LEARNING,
        "lr": SLOW,
        "image_tower": {"batch_norm": "train", "norm_variance": "unbiased"},
        "train": {"recompute": True, "sharding": 2},
    },
}
"""What differs from a run with the gradient cache and dropout; sizes: numbers of ranks, by default 1 and 2;
image_tower: the system is BriVL, with these fields of its image tower; cookie: it is COOKIE, with these settings."""
SAME = (0, 2, 7, 8, 13)
"""Rows of a batch that show one image with one caption"""
UNSEEN = (1, 4, 9)
"""Rows of a batch that no detector has looked at"""


def case_config(folder: Path, case: dict) -> RunConfig:
    """The configuration of a case."""
    train = {"batch_size": BATCH, "micro_batch": case.get("micro", MICRO), **case.get("train", {})}
    config = run_config(folder, {"width": 32, "depth": 1}, case.get("dropout", 0.1), case.get("lr", 1e-3), **train)
    if "image_tower" in case:
        config.model = boxes_model(config.model, case)
    elif "cookie" in case:
        config.model = cookie_tiny.with_layers(config.model, case["cookie"])
    elif case.get("batch_norm"):
        tower = EfficientNetConfig(**{**TOWER, "batch_norm": "train", "drop_path": 0.0})
        config.model = replace(config.model, image_tower=tower)
    queue = QueueNegatives(size=case.get("size", 23), momentum=0.8, statistics=case.get("statistics", "own"))
    config.objective = ObjectiveConfig(**{"pairs": PAIRS, "negatives": queue, **case.get("objective", {})})
    config.lora = LoraConfig(rank=case.get("lora", 0))
    return config


def rig_of(folder: Path, ranks: Ranks, case: dict) -> Rig:
    """The Rig of a case on this rank."""
    config = case_config(folder, case)
    rig = Rig(config, ranks, divide(BATCH, config.train.micro_batch, ranks.rank, ranks.size), [])
    if case.get("image_tower") == {}:  # frozen statistics
        with rig.weights.shown():
            sharpen(rig.model)
    return rig


def boxes_model(model: ModelConfig, case: dict) -> ModelConfig:
    """A BriVL over the vocabulary of a model."""
    rate = case.get("dropout", 0.1)
    text = {"vocab_size": model.text_tower.vocab_size, "dropout": rate}
    return ModelConfig.from_dict(tiny_model({"image_tower": case["image_tower"], "text_tower": text}, dropout=rate))


def batches(rig: Rig) -> list:
    """This rank's rows of as many batches as there are steps."""
    size, share = rig.config.train.batch_size, rig.share
    rig.config.train.batch_size = STEPS * size
    whole = scene_batch(rig.config)
    rig.config.train.batch_size = size
    for step in range(STEPS):
        for of in (whole.image_ids, whole.text_ids["caption"]):
            of[[step * size + row for row in SAME]] = of[step * size]
        if "tags" in whole.present:
            whole.present["tags"][step * size + 1] = step == 0
    for view, counts in whole.box_counts.items():
        for row in (step * size + place for step in range(STEPS) for place in UNSEEN):
            boxes = whole.boxes[view][row]
            boxes[0], boxes[1:], counts[row] = boxes[counts[row] - 1].copy(), 0.0, 1
    starts = range(share.start, STEPS * size, size)
    return [whole.rows(slice(start, start + share.rows)) for start in starts]


def state_of(rig: Rig) -> dict[str, np.ndarray]:
    """{group/name: array} of what a step goes on from, but for the optimizer's moments."""
    arrays = {f"weights/{name}": value for name, value in rig.weights.arrays().items()}
    for group, held in rig.state().items():
        arrays |= {f"{group}/{name}": value for name, value in held.items()}
    arrays |= {f"model/{name}": value.numpy() for name, value in rig.model.named_parameters()}
    return arrays


def run(folder: Path, ranks: Ranks, case: dict) -> dict[str, np.ndarray]:
    """`state_of` after the steps, and their losses."""
    rig = rig_of(folder, ranks, case)
    losses = [rig.step(batch, number, show=False)["loss"] for number, batch in enumerate(batches(rig))]
    rig.close()
    return {**state_of(rig), "losses": np.array(losses)}


def job(folder: Path) -> None:
    """Every case of this number of ranks, on this rank, in folder/rank-R.npz."""
    size, found = int(folder.name), {}
    EfficientNetConfig.blocks = lambda tower: first_blocks(tower)[:4]
    ranks = join_ranks() if size > 1 else Ranks()
    for name, case in CASES.items():
        if size in case.get("sizes", (1, 2)):
            found |= {f"{name}/{key}": value for key, value in run(folder, ranks, case).items()}
    np.savez(folder / f"rank-{ranks.rank}.npz", **found)
    ranks.leave()


def jobs(folder: Path) -> None:
    """`job` on three and two ranks and in one process, which all begin as this one: Paddle takes seconds to import."""
    runs.fork_jobs(job, folder, (3, 2, 1))
