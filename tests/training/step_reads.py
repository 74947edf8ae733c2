"""What a step of the trainer's own rig asks of a card, counted: on a card each read waits until all work is done."""

import numpy as np

from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.config.optimizer import OptimizerConfig
from ernie_vil2.config.run import (
    BatchNegatives,
    DataConfig,
    LoraConfig,
    ObjectiveConfig,
    QueueNegatives,
    RunConfig,
    TrainConfig,
)
from ernie_vil2.config.tower_fields import ImageTowerConfig, TextTowerConfig
from ernie_vil2.objectives.gather import divide
from ernie_vil2.studies.noise import random_batch
from ernie_vil2.studies.traffic import Traffic
from ernie_vil2.training.rig import Rig

PAIRS = [["image", "caption"], ["image", "tags"], ["image", "image'"], ["caption", "caption'"], ["caption", "tags"]]
TOWER = {"width": 32, "depth": 2, "heads": 2, "dropout": 0.1}


def rig_of(folder, ranks, lora=0, loss="infonce", queue=0, **train):
    """A Rig for micro-batches of 3, two of each rank; queue: keys of one, 0 for negatives of the batch."""
    model = ModelConfig(
        image_tower=ImageTowerConfig(image_size=32, patch_size=16, **TOWER),
        text_tower=TextTowerConfig(vocab_size=50, positions=8, **TOWER),
        max_length=8,
        pixels=PixelProfile(size=32),
    )
    size = 6 * ranks.size
    negatives = QueueNegatives(size=queue) if queue else BatchNegatives()
    config = RunConfig(
        output=str(folder),
        model=model,
        objective=ObjectiveConfig(pairs=PAIRS, loss=loss, negatives=negatives),
        data=DataConfig(train="noise"),
        optimizer=OptimizerConfig(warmup=0, clip=0.01),
        lora=LoraConfig(rank=lora),
        train=TrainConfig(batch_size=size, micro_batch=3, steps=9, ema=0.9, **train),
    )
    return Rig(config, ranks, divide(size, 3, ranks.rank, ranks.size), [])


def traffic(rig, show=False, steps=3, untagged=2):
    """[Traffic of a step] after the first one."""
    found = []
    for number in range(steps):
        share = rig.share
        batch = random_batch(rig.config.model, rig.system.views, share.rows, 8, share.start, untagged)
        with Traffic() as seen:
            values = rig.step(batch, number, show, lambda number=number: (False, number == 1))
        assert np.isfinite(values["loss"]) and rig.flags == (False, number == 1)
        found.append(seen)
    rig.close()
    return found[1:]


def rank_counts(folder, ranks):
    """{sharding: [reads, all-reduces of figures, other collectives]} of a step on this rank, as arrays."""
    arrays = {}
    for sharding in (0, 1, 2):
        seen = traffic(rig_of(folder, ranks, sharding=sharding))[-1]
        arrays[f"reads/{sharding}"] = np.array([sum(seen.reads.values()), sum(seen.collectives.values())])
    return arrays
