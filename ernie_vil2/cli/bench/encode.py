"""The verb `encode` of `bench`: encoding against the plain use of the same layers."""

import argparse

from ...studies.speed import encoding
from ..arguments import count, model_path
from ..progress import note
from ..stopping import stoppable


@stoppable()
def run(args: argparse.Namespace) -> None:
    """Compare encoding with the plain use of the same layers."""
    print(encoding.table(encoding.compare(args.model, args.vocab, args.images, args.texts, args.repeats, note)))


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `encode` to the verbs of an argument parser."""
    verb = verbs.add_parser("encode", help=run.__doc__, description=run.__doc__)
    verb.add_argument(
        "--model", type=model_path, metavar="M", help="model directory or .pdparams; default: random weights, base size"
    )
    verb.add_argument("--vocab", help="vocabulary of a .pdparams")
    verb.add_argument("--images", type=count, default=16, metavar="N", help="images of a turn (default 16)")
    verb.add_argument("--texts", type=count, default=64, metavar="N", help="texts of a turn (default 64)")
    verb.add_argument("--repeats", type=count, default=3, metavar="N", help="turns of each side (default 3)")
    verb.set_defaults(run=run)
