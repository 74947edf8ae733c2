"""The verb `memory` of `bench`: memory of a step, with the gradient cache and without, or of the loss alone."""

import argparse

from ...config.load import load_run
from ...studies.speed import loss, memory
from ..arguments import add_run, count
from ..stopping import stoppable

BASE = "ernie_vil2_base_vit_zh"
STEP_BATCH, LOSS_BATCH = 1024, 32768

EXAMPLES = """
ernie-vil2 bench memory --batch 256 --micro 16
ernie-vil2 bench memory --loss
"""


@stoppable()
def run(args: argparse.Namespace) -> None:
    """Memory of a training step, a large batch through the gradient cache against one micro-batch; or with --loss
    memory and time of the loss alone, in tiles against logits in one piece."""
    if args.loss:
        print(loss.lines(loss.compare(args.batch or LOSS_BATCH, args.plain_batch, turns=args.repeats)))
        return
    config, batch = load_run(args.config, ["train.precision=fp32", "data.train=none", *args.override]), args.batch
    found = memory.compare(config, batch or STEP_BATCH, args.micro)
    print(
        f"peak above the memory after loading: {args.micro} pairs {found['small']:,.0f} MiB, {batch or STEP_BATCH:,} "
        f"pairs in micro-batches of {args.micro} {found['large']:,.0f} MiB, {found['ratio']:.2f} x"
    )


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `memory` to the verbs of an argument parser."""
    verb = verbs.add_parser("memory", help=run.__doc__, description=run.__doc__, examples=EXAMPLES)
    add_run(verb, BASE, plugins=False)
    verb.add_argument("--loss", action="store_true", help="measure the loss of one pair of views alone")
    told = f"pairs of the large batch (default {STEP_BATCH}, with --loss {LOSS_BATCH})"
    verb.add_argument("--batch", type=count, metavar="N", help=told)
    verb.add_argument("--micro", type=count, default=16, metavar="N", help="pairs of a micro-batch (%(default)s)")
    told = "with --loss: pairs for logits in one piece (default %(default)s)"
    verb.add_argument("--plain-batch", type=count, default=loss.PLAIN_BATCH, metavar="N", help=told)
    told = "with --loss: turns of each side at that batch (default %(default)s)"
    verb.add_argument("--repeats", type=count, default=loss.TURNS, metavar="N", help=told)
    verb.set_defaults(run=run)
