"""What the launcher runs in tests: `jobs.py NAME FOLDER` does one job on every rank."""

import sys
from pathlib import Path

import ernie_vil2  # noqa: F401 isort: skip
from ernie_vil2.runtime import import_paddle

import_paddle()

from ernie_vil2.training.distributed import start  # noqa: E402
from tests.training import rank_cases  # noqa: E402

if __name__ == "__main__":
    name, folder = sys.argv[1], Path(sys.argv[2])
    ranks = start()
    {"gradients": rank_cases.main}[name](folder, ranks)
