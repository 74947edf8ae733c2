"""What two ranks hand to collectives in a step, and what their loss holds: counted in a job that runs the real step."""

import gc
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config import run
from ...config.model import ModelConfig, PixelProfile
from ...config.run import DataConfig, ObjectiveConfig, RunConfig
from ...config.tower_fields import ImageTowerConfig, TextTowerConfig
from ...device import MIB, current_device
from ...files.leftovers import scratch_folder
from ..noise import random_batch
from ..traffic import Traffic
from .view_costs import allocated

if TYPE_CHECKING:
    import paddle

    from ...data.batches.views import Batch
    from ...models.dual_encoder import DualEncoder
    from ...objectives.contrastive import ContrastiveObjective
    from ...objectives.gather import Share

PAIRS = (("image", "caption"), ("image", "tags"), ("image", "image'"), ("caption", "caption'"), ("caption", "tags"))
IMAGE_VIEWS, TEXT_VIEWS = (
    tuple(view for view in kind if any(view in pair for pair in PAIRS)) for kind in (run.IMAGE_VIEWS, run.TEXT_VIEWS)
)
RANK_BATCH = 512
NARROW = 8
UNTAGGED = 8
"""Every eighth sample has no tags, so that masks are needed"""


def measure_ranks() -> dict[str, Any]:
    """From a job of two ranks: `wire`, bytes handed to collectives per parameter, embedding value and sample; `loss`,
    bytes that the loss holds for each row and column."""
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
    values, owner = share.total * len(objective.views) * 32, owners(model.named_parameters(), ranks.size)
    whole = Weights(model)
    with Traffic() as step:
        GradientStep(system, share=share, side_by_side=False)(batch, 0)
    with Traffic() as plain:
        GradientSync(Gradients(whole), ranks).reduce()
    divided = GradientSync(Gradients(Weights(model, {name: (rank,) for name, rank in owner.items()}), owner), ranks, 2)
    with Traffic() as sharded:
        divided.reduce()
        divided.publish()
    held, peak = loss_bytes(objective, batch, model, share)
    if ranks.main:
        Path(path).write_text(
            json.dumps(
                {
                    "wire": {
                        "metadata_per_sample": step.carried["all_gather", "int64"] / share.total,
                        "embedding_per_value": step.carried["all_gather", "float32"] / values,
                        "embedding_gradient_per_value": step.carried["all_reduce", "float32"] / values,
                        "gradient_per_parameter": plain.carried["all_reduce", "float32"] / whole.learning,
                        "sharded_per_parameter": (
                            sharded.carried["reduce", "float32"] + sharded.carried["broadcast", "float32"]
                        )
                        / whole.learning,
                    },
                    "loss": {"held_per_pair": held / len(PAIRS), "peak": peak},
                }
            )
        )


def loss_bytes(
    objective: "ContrastiveObjective", batch: "Batch", model: "DualEncoder", share: "Share"
) -> tuple[float, float]:
    """(held between forward and backward, peak of both): bytes for each of b x B rows and columns, all pairs together.

    Both directions, targets and masks are in it. Embeddings are narrow here, so that what they take is not.
    """
    device = current_device()
    embeds = {view: normal(share, NARROW) for view in objective.views}
    gc.collect()
    device.forget_most()
    before, entries = allocated(), share.rows * share.total
    parts = objective.loss(embeds, batch, model, share)
    held = allocated() - before
    parts["loss"].backward()  # a collective, so every rank takes part
    return held / entries, (device.tensors().most * MIB - before) / entries


def normal(share: "Share", width: int) -> "paddle.Tensor":
    """Embeddings of noise that want a gradient."""
    import paddle

    value = paddle.randn([share.rows, width])
    value.stop_gradient = False
    return value
