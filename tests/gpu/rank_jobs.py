"""What the launcher runs for the points of two ranks: `rank_jobs.py NAME FOLDER [option]` does a job on every rank."""

import hashlib
import sys
from pathlib import Path

import ernie_vil2  # noqa: F401 isort: skip
from ernie_vil2.runtime import import_paddle

import_paddle()

import numpy as np  # noqa: E402
import paddle  # noqa: E402
from paddle import nn  # noqa: E402

from ernie_vil2.files.json_files import write_json  # noqa: E402
from ernie_vil2.objectives.gather import divide  # noqa: E402
from tests.gpu.cards import processes_by_card  # noqa: E402

ROWS, MICRO, CHANNELS, SIDE = 10, 4, 6, 5
"""Three micro-batches, so two ranks hold 4 and 6 rows."""


def batch_norm_inputs() -> tuple[np.ndarray, np.ndarray]:
    """(float32 [ROWS, CHANNELS, SIDE, SIDE], gradient of the output): rows whose means differ widely."""
    rng = np.random.default_rng(0)
    shape = (ROWS, CHANNELS, SIDE, SIDE)
    rows = rng.standard_normal(shape) + np.arange(ROWS).reshape(-1, 1, 1, 1)
    return rows.astype(np.float32), rng.standard_normal(shape).astype(np.float32)


def batch_norm(folder: Path, *options: str) -> None:
    """A learning batch norm on this rank's rows: output, gradient and running statistics in rank-R.npz.

    With the option `local` its statistics are those of the rank's own rows.
    """
    from ernie_vil2.models.towers.batch_norm import BatchNorm, synchronise
    from ernie_vil2.training.distributed import join_ranks

    ranks = join_ranks()
    share = divide(ROWS, MICRO, ranks.rank, ranks.size)
    layers = nn.Sequential(BatchNorm(CHANNELS))
    layers.train()
    if ranks.size > 1 and "local" not in options:
        synchronise(layers)
    pixels, upstream = (paddle.to_tensor(part[share.start : share.start + share.rows]) for part in batch_norm_inputs())
    pixels.stop_gradient = False
    output = layers(pixels)
    paddle.autograd.backward([output], [upstream])
    arrays = {"output": output, "gradient": pixels.grad, "mean": layers[0]._mean, "variance": layers[0]._variance}
    np.savez(folder / f"rank-{ranks.rank}.npz", **{name: value.numpy() for name, value in arrays.items()})
    ranks.leave()


def train(folder: Path, *options: str) -> None:
    """The run of run.yaml, or what follows a checkpoint that is named; every rank writes what its weights are, and
    which processes were on which card, into rank-R.json."""
    from ernie_vil2.config.load import load_run
    from ernie_vil2.training.trainer import Trainer

    trainer = Trainer(load_run(folder / "run.yaml"), *options)
    trainer.run()
    weights = {
        name: hashlib.sha256(value.astype("float32").numpy().tobytes()).hexdigest()
        for name, value in trainer.rig.model.named_parameters()
    }
    trainer.ranks.wait()  # all hold their cards still
    found = {"weights": weights, "processes": processes_by_card()}
    trainer.ranks.wait()
    write_json(folder / f"rank-{trainer.ranks.rank}.json", found)
    trainer.leave()


if __name__ == "__main__":
    {"batch_norm": batch_norm, "train": train}[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
