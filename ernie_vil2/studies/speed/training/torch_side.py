"""torch's side of the comparison: what it can do of a run, and its process."""

from collections.abc import Callable, Mapping
from itertools import cycle
from typing import Any

import numpy as np

from ....checkpoints.release_layout import manifest
from ....config.model import ModelConfig
from ....config.run import RunConfig
from ....errors import UserError
from ....runtime import cpu_count
from ....schema import build
from ...operations import has_counts
from ..turns.answers import converse, seconds
from .work import read_inputs

START = "from ernie_vil2.studies.speed.training import torch_side; torch_side.main()"
WAYS = ("fused", "foreach")
"""How torch's AdamW may go over its parameters"""
DEVIATION = 0.02
"""Of the random weights"""


def check_config(config: RunConfig, batch: int) -> None:
    """UserError for a run that torch's side would not do the same work for, naming what it does not do."""
    train, optimizer, objective = config.train, config.optimizer, config.objective
    if not has_counts(config.model):
        raise UserError("the towers of torch are vit and ernie, and this run has others, or layers beside them")
    foreign = {
        f"train.precision {train.precision}": train.precision != "fp32",
        "train.micro_batch": 0 < train.micro_batch < batch,
        "train.recompute": train.recompute,
        "lora.rank": config.lora.rank,
        "model.image_tower.patch_dropout": config.model.image_tower.patch_dropout,
        f"objective.loss {objective.loss}": objective.loss != "infonce",
        "objective.negatives of kind queue": objective.negatives.kind == "queue",
        "objective.temperature": objective.temperature is not None,
        "optimizer.groups": optimizer.groups,
        "optimizer.freeze": optimizer.freeze,
        "optimizer.layer_decay": optimizer.layer_decay != 1.0,
    }
    for key, used in foreign.items():
        if used:
            raise UserError(f"it has no {key}; leave that out of the run, or give --only project")


def random_state(config: ModelConfig, groups: tuple[str, ...]) -> dict[str, np.ndarray]:
    """{key: array} of a model with random matrices of one seed, norms that change nothing and temperatures of 1."""
    rng, state = np.random.default_rng(0), {}
    for key, shape in manifest(config).items():
        if len(shape) > 1:
            state[key] = rng.standard_normal(shape, np.float32) * np.float32(DEVIATION)
        else:
            state[key] = np.full(shape, float(key.endswith("weight")), np.float32)
    return state | {f"contrastive_loss_{group}.temperature_b": np.zeros(1, np.float32) for group in groups}


def begin(job: Mapping[str, Any]) -> tuple[str, Callable[[int], Any]]:
    """Steps of a job of `Work`, by the fastest of WAYS; a request is a number of them, the answer the Parts of each."""
    import torch

    from .torch_step import TorchStep

    config = build(RunConfig, job["config"], "the job")
    check_config(config, job["batch"])
    torch.set_num_threads(cpu_count())
    groups = tuple(dict.fromkeys(group for *_, group in job["pairs"]))
    step, inputs = (
        TorchStep(config, random_state(config.model, groups), job["pairs"]),
        cycle(read_inputs(job["inputs"])),
    )
    step.gradients(next(inputs))
    took = {}
    for way in WAYS:
        step.use(way, rate=0.0)
        took[way] = [seconds(step.optimizer.step) for _ in range(2)][-1]  # the first one makes the moments
    way = min(took, key=took.get)
    step.use(way, config.optimizer.lr)
    step(next(inputs))
    return f"AdamW {way}", lambda count: [step(next(inputs))[1] for _ in range(count)]


def main() -> None:
    """The process of this side."""
    converse(begin)
