"""The verb `host` of `bench`: what a training step costs the host of a card."""

import argparse

from ...config.load import load_run
from ...studies.speed import host
from ..arguments import add_run, count
from ..stopping import stoppable

BASE = "ernie_vil2_base_vit_zh"

EXAMPLES = """
ernie-vil2 bench host --ranks 2
"""


@stoppable()
def run(args: argparse.Namespace) -> None:
    """Host time of a training step by part, its blocking reads, copies and collectives, at full depth and width 16."""
    config = host.narrow(
        load_run(args.config, ["data.train=none", *args.override]), args.pairs, args.micro_batches, args.ranks
    )
    print(host.table(host.both(config, args.steps, args.ranks)))


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `host` to the verbs of an argument parser."""
    verb = verbs.add_parser("host", help=run.__doc__, description=run.__doc__, examples=EXAMPLES)
    add_run(verb, BASE, plugins=False)
    verb.add_argument("--steps", type=count, default=20, metavar="N", help="of a round (default %(default)s)")
    verb.add_argument("--pairs", type=count, default=4, metavar="N", help="of a micro-batch (default %(default)s)")
    verb.add_argument("--micro-batches", type=count, default=1, metavar="N", help="of a rank (default %(default)s)")
    verb.add_argument("--ranks", type=count, default=1, metavar="N", help="processes, on gloo (default %(default)s)")
    verb.set_defaults(run=run)
