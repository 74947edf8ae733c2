"""What the launcher runs in tests: `jobs.py NAME FOLDER` does one job on every rank."""

import sys
from pathlib import Path

import ernie_vil2  # noqa: F401 isort: skip
from ernie_vil2.runtime import import_paddle

import_paddle()

import numpy as np  # noqa: E402

from ernie_vil2.training.distributed import join_ranks  # noqa: E402
from tests.systems import counting  # noqa: E402, F401 known by its name once it is imported
from tests.training import rank_cases  # noqa: E402


def collectives(folder, ranks):
    """Sums and rows of all ranks; every rank writes what it got."""
    ranks.wait()
    rows = ranks.all_rows(np.full([ranks.rank, 2], ranks.rank, np.int64))
    np.savez(folder / f"rank-{ranks.rank}.npz", sum=ranks.sum([ranks.rank, 1]), rows=rows)


def train(folder, *options):
    """The run of run.yaml in the folder, new or resumed."""
    from ernie_vil2.config.load import load_run
    from ernie_vil2.training.trainer import Trainer

    trainer = Trainer(load_run(folder / "run.yaml"), "auto" if options else None)
    trainer.run()
    trainer.leave()


if __name__ == "__main__":
    name, folder, *options = sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]
    if name == "train":
        train(folder, *options)
        sys.exit()
    ranks = join_ranks()
    {"gradients": rank_cases.main, "collectives": collectives}[name](folder, ranks)
    ranks.leave()
