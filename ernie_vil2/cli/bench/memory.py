"""The verb `memory` of `bench`: memory of a step, with the gradient cache and without."""

import argparse

from ...config.load import load_run
from ...studies.speed import memory
from ..arguments import add_run, count
from ..stopping import stoppable

BASE = "configs/ernie_vil2_base_vit_zh.yaml"


@stoppable()
def run(args: argparse.Namespace) -> None:
    """Memory of a training step: a large batch through the gradient cache against one micro-batch."""
    config = load_run(args.config, ["train.precision=fp32", "data.train=none", *args.override])
    found = memory.compare(config, args.batch, args.micro)
    print(
        f"peak above the memory after loading: {args.micro} pairs {found['small']:,.0f} MiB, {args.batch:,} pairs in "
        f"micro-batches of {args.micro} {found['large']:,.0f} MiB, {found['ratio']:.2f} x"
    )


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `memory` to the verbs of an argument parser."""
    verb = verbs.add_parser("memory", help=run.__doc__, description=run.__doc__)
    add_run(verb, BASE)
    verb.add_argument("--batch", type=count, default=1024, metavar="N", help="pairs of the large batch (%(default)s)")
    verb.add_argument("--micro", type=count, default=16, metavar="N", help="pairs of a micro-batch (%(default)s)")
    verb.set_defaults(run=run)
