"""The verb `train` of `bench`: speed of a training step, here and in torch."""

import argparse
from pathlib import Path

from ...config.load import load_run
from ...config.run import MAX_BATCH
from ...device import current_device
from ...runtime import import_paddle
from ...studies.speed.training.comparison import compare
from ...studies.speed.training.measurements import PROJECT
from ...studies.speed.training.report import tables
from ...studies.speed.turns.torch_python import TORCH_PYTHON
from ..arguments import add_run, between, count, positive
from ..progress import note
from ..stopping import stoppable

BASE = "ernie_vil2_base_vit_zh"
TERA = 1e12

EXAMPLES = """
ernie-vil2 bench train
ernie-vil2 bench train -c demo --only project --batch 32
"""


@stoppable()
def run(args: argparse.Namespace) -> None:
    """Pairs a second of the trainer's own step on noise, beside the same work in torch, and their share of the peak."""
    import_paddle()
    precision = ["train.precision=fp32"] if current_device().is_cpu else []  # a recipe's other one is for cards
    config = load_run(args.config, ["data.train=none", *precision, *args.override])
    peak = args.peak and args.peak * TERA
    asked = args.batch, args.steps, args.turns, args.length, args.torch, args.only == PROJECT, peak
    print(tables(compare(config, *asked, note)))


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `train` to the verbs of an argument parser."""
    verb = verbs.add_parser("train", help=run.__doc__, description=run.__doc__, examples=EXAMPLES)
    add_run(verb, BASE, plugins=False)
    pairs = between(int, 2, MAX_BATCH)
    verb.add_argument("--batch", type=pairs, default=16, metavar="N", help="pairs of a step (default %(default)s)")
    verb.add_argument(
        "--steps", type=count, default=1, metavar="N", help="of each side in a turn (default %(default)s)"
    )
    verb.add_argument("--turns", type=count, default=5, metavar="N", help="default: %(default)s")
    verb.add_argument("--length", type=count, metavar="N", help="tokens of a text (default 24, or model.max_length)")
    told = "the Python of an environment with torch, for its side (default: %s, which make interop fills)"
    verb.add_argument("--torch", type=Path, metavar="PYTHON", help=told % TORCH_PYTHON)
    verb.add_argument("--only", choices=(PROJECT,), help="leave torch's side out")
    told = "the device's peak, for example 312 (A100, bf16); default: on a CPU it is measured, where OpenVINO is there"
    verb.add_argument("--peak", type=positive, metavar="TFLOPS", help=told)
    verb.set_defaults(run=run)
