"""The verb `train` of `bench`: speed of a training step."""

import argparse

from ...config.load import load_run
from ...studies.speed import training
from ..arguments import add_run, count, positive
from ..stopping import stoppable

BASE = "configs/ernie_vil2_base_vit_zh.yaml"


@stoppable()
def run(args: argparse.Namespace) -> None:
    """Pairs a second of a training step on noise, and its share of the device's peak."""
    config = load_run(args.config, ["data.train=none", *args.override])
    found = training.throughput(config, args.batch, args.steps)
    speed = f"{found['pairs_per_second']:,.1f} pairs/s"
    if "tflops" not in found:
        print(f"{speed}; operations are counted for the system ernie_vil2 with towers of kind vit and ernie alone")
        return
    share = f", {found['tflops'] / args.peak:.1%} of {args.peak:g}" if args.peak else ""
    print(f"{speed}, {found['tflops']:,.2f} TFLOP/s{share}")


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `train` to the verbs of an argument parser."""
    verb = verbs.add_parser("train", help=run.__doc__, description=run.__doc__)
    add_run(verb, BASE)
    verb.add_argument("--batch", type=count, default=64, metavar="N", help="pairs of a step (default %(default)s)")
    verb.add_argument("--steps", type=count, default=10, metavar="N", help="default: %(default)s")
    verb.add_argument("--peak", type=positive, metavar="TFLOPS", help="the device's peak, for example 312 (A100, bf16)")
    verb.set_defaults(run=run)
