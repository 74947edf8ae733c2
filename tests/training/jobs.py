"""What the launcher runs in tests: `jobs.py NAME FOLDER [OPTION ...]` does one job on every rank."""

import os
import signal
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
    """The run of run.yaml in the folder, new, resumed, or with `faults`."""
    from ernie_vil2.config.load import load_run
    from ernie_vil2.training.trainer import Trainer

    trainer = Trainer(load_run(folder / "run.yaml"), "auto" if "--resume" in options else None)
    if "faults" in options and not trainer.ranks.main:
        break_rank(trainer)
    trainer.run()
    trainer.leave()


def break_rank(trainer):
    """This rank cannot encode for validation, and its loader's worker is killed after the third step."""
    encode, step, loader = trainer.validation.encoder, trainer.rig.step, trainer._loader()
    encode.encode_text = lambda *arguments, **named: (_ for _ in ()).throw(MemoryError("no room on this rank"))
    trainer._loader = lambda: loader

    def stepping(batch, number, *others):
        values = step(batch, number, *others)
        if number == 2:
            os.kill(loader.pids[0], signal.SIGKILL)
        return values

    trainer.rig.step = stepping


if __name__ == "__main__":
    name, folder, *options = sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]
    if name == "train":
        train(folder, *options)
        sys.exit()
    ranks = join_ranks()
    {"gradients": rank_cases.main, "collectives": collectives}[name](folder, ranks, *options)
    ranks.leave()
