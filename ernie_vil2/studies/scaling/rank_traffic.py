"""What two ranks hand to collectives in a step, and what their loss holds: counted in a job that runs the real step."""

import json
from pathlib import Path
from typing import Any

from ...config import run
from ...config.model import ModelConfig, PixelProfile
from ...config.run import DataConfig, ObjectiveConfig, RunConfig
from ...config.tower_fields import ImageTowerConfig, TextTowerConfig
from ...files.leftovers import scratch_folder
from ..noise import random_batch
from ..traffic import Traffic
from .loss_memory import loss_bytes

PAIRS = (("image", "caption"), ("image", "tags"), ("image", "image'"), ("caption", "caption'"), ("caption", "tags"))
IMAGE_VIEWS, TEXT_VIEWS = (
    tuple(view for view in kind if any(view in pair for pair in PAIRS)) for kind in (run.IMAGE_VIEWS, run.TEXT_VIEWS)
)
GATHERED = tuple(dict.fromkeys(second for _, second in PAIRS))
"""Views that every rank fetches of all others: those that are second in a pair"""
RANK_BATCH = 512
WIDE_BYTES = 8
"""Of a sum over logits, which is float64 on a CPU"""
UNTAGGED = 8
"""Every eighth sample has no tags, so that masks are needed"""


def measure_ranks() -> dict[str, Any]:
    """From a job of two ranks: `wire`, bytes handed to collectives per parameter, embedding value and sample, and sums
    of logits per sample; `loss`, what it takes of memory (`loss_bytes`)."""
    import paddle.distributed as dist

    with scratch_folder("ranks") as folder:
        path = folder / "counts.json"
        dist.spawn(rank_job, args=(str(path),), nprocs=2, backend="gloo")
        return json.loads(path.read_text())


def rank_job(path: str) -> None:
    """One of two ranks: the step's collectives are counted by what they carry, the loss by what it holds."""
    import paddle.distributed as dist

    from ...objectives.gather import divide
    from ...systems.build import build
    from ...training.distributed import GradientSync, Ranks, owners
    from ...training.optimization.gradients import Gradients
    from ...training.optimization.weights import Weights
    from ...training.step import GradientStep

    dist.init_parallel_env()
    ranks = Ranks(dist.get_rank(), dist.get_world_size())
    tower = {"width": 32, "depth": 1, "heads": 2}
    config = ModelConfig(
        image_tower=ImageTowerConfig(image_size=16, patch_size=8, **tower),
        text_tower=TextTowerConfig(vocab_size=64, positions=8, **tower),
        max_length=8,
        pixels=PixelProfile(size=16),
    )
    objective = ObjectiveConfig(pairs=[[*pair, 1.0] for pair in PAIRS])
    system = build(RunConfig(model=config, objective=objective, data=DataConfig(train="noise")))
    model, objective = system.model, system.objective
    share = divide(RANK_BATCH * ranks.size, RANK_BATCH, ranks.rank, ranks.size)
    batch = random_batch(config, objective.views, share.rows, config.max_length, share.start, UNTAGGED)
    values, owner = share.total * len(GATHERED) * 32, owners(model.named_parameters(), ranks.size)
    whole = Weights(model)
    with Traffic() as step:
        GradientStep(system, share=share, side_by_side=False)(batch, 0)
    with Traffic() as plain:
        GradientSync(Gradients(whole), ranks).reduce()
    divided = GradientSync(Gradients(Weights(model, {name: (rank,) for name, rank in owner.items()}), owner), ranks, 2)
    with Traffic() as sharded:
        divided.reduce()
        divided.publish()
    loss = loss_bytes(objective, batch, model, share, len(GATHERED))
    if ranks.main:
        Path(path).write_text(
            json.dumps(
                {
                    "wire": {
                        "metadata_per_sample": step.carried["all_gather", "int64"] / share.total,
                        "embedding_per_value": step.carried["all_gather", "float32"] / values,
                        "embedding_gradient_per_value": step.carried["all_reduce", "float32"] / values,
                        "sums_per_sample": step.carried["all_reduce", "float64"] / WIDE_BYTES / share.total,
                        "gradient_per_parameter": plain.carried["all_reduce", "float32"] / whole.learning,
                        "sharded_per_parameter": (
                            sharded.carried["reduce", "float32"] + sharded.carried["broadcast", "float32"]
                        )
                        / whole.learning,
                    },
                    "loss": loss,
                }
            )
        )
