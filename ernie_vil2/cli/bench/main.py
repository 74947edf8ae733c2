"""Measure on this machine: speed, memory, and what views and systems are worth."""

from ..arguments import Parser
from . import ablation, encode, host, kernels, loader, memory, queries, scale, search, serving, streams, systems, train

VERBS = (encode, loader, memory, train, kernels, host, streams, ablation, systems, scale, search, queries, serving)


def parser() -> Parser:
    """The arguments of all verbs."""
    told = "`ernie-vil2 bench WHAT --help` explains one, with examples."
    found = Parser(prog="ernie-vil2 bench", description=__doc__, epilog=told)
    verbs = found.add_subparsers(dest="verb", required=True, metavar="WHAT")
    for verb in VERBS:
        verb.add_verb(verbs)
    return found


def main(argv: list[str] | None = None) -> int | None:
    """Run one benchmark."""
    options = parser().parse_args(argv)
    return options.run(options)
