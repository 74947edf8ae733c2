"""The verb `kernels` of `bench`: what a training step on a CPU consists of, kernel by kernel."""

import argparse
from pathlib import Path

from ...config.load import load_run
from ...device import current_device
from ...errors import ConfigError, UserError
from ...runtime import import_paddle
from ...studies.noise import TEXT_LENGTH
from ...studies.speed.kernels.comparison import compare, tables
from ...studies.speed.turns.torch_python import TORCH_PYTHON
from ..arguments import add_run, count
from ..progress import note
from ..stopping import stoppable
from .train import BASE

EXAMPLES = """
ernie-vil2 bench kernels --batch 16
"""


@stoppable()
def run(args: argparse.Namespace) -> None:
    """Milliseconds of every kernel of a training step on one thread of a CPU: Paddle's, this project's and torch's."""
    import_paddle()
    device = current_device()
    if not device.is_cpu:
        raise UserError(
            f"kernels are measured on a CPU, and Paddle computes on {device.name} here; hide it from Paddle, NVIDIA's "
            "cards by CUDA_VISIBLE_DEVICES="
        )
    config = load_run(args.config, ["data.train=none", "train.precision=fp32", *args.override])
    most = config.model.max_length
    if args.length > most:
        raise ConfigError(f"--length {args.length} is more than the model reads; give at most model.max_length, {most}")
    print(tables(compare(config, args.batch, args.length, args.turns, args.torch, note)))


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `kernels` to the verbs of an argument parser."""
    verb = verbs.add_parser("kernels", help=run.__doc__, description=run.__doc__, examples=EXAMPLES)
    add_run(verb, BASE, plugins=False)
    verb.add_argument("--batch", type=count, default=16, metavar="N", help="pairs of a step (default %(default)s)")
    verb.add_argument(
        "--length", type=count, default=TEXT_LENGTH, metavar="N", help="tokens of a text (default %(default)s)"
    )
    verb.add_argument("--turns", type=count, default=5, metavar="N", help="of every kernel (default %(default)s)")
    told = "the Python of an environment with torch, for its side (default: %s, which make interop fills)"
    verb.add_argument("--torch", type=Path, metavar="PYTHON", help=told % TORCH_PYTHON)
    verb.set_defaults(run=run)
