"""Measure on this machine: speed against a plain use of the same steps, memory, and what the views are worth."""

from ..arguments import Parser
from . import ablation, encode, host, kernels, loader, memory, queries, scale, search, serving, streams, systems, train

VERBS = (encode, loader, memory, train, kernels, host, streams, ablation, systems, scale, search, queries, serving)


def main(argv: list[str] | None = None) -> int | None:
    """Run one benchmark."""
    parser = Parser(prog="bench", description=__doc__)
    verbs = parser.add_subparsers(metavar="WHAT", required=True)
    for verb in VERBS:
        verb.add_verb(verbs)
    args = parser.parse_args(argv)
    return args.run(args)
