"""Make an index of pictures and videos, keep it up to date, look into it."""

from ..arguments import Parser
from . import add, build, check, compact, duplicates, info, merge, remove, update

VERBS = (build, add, update, remove, compact, check, info, duplicates, merge)


def parser() -> Parser:
    """The arguments of all verbs."""
    told = "`ernie-vil2 index VERB --help` explains one, with examples."
    found = Parser(prog="ernie-vil2 index", description=__doc__, epilog=told)
    verbs = found.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        verb.add_verb(verbs)
    return found


def main(argv: list[str] | None = None) -> int | None:
    """Run one verb on an index."""
    options = parser().parse_args(argv)
    return options.run(options)
