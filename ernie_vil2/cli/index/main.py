"""An index of pictures: `index.py build DIR SOURCE --model M` makes one, `update` keeps it up to date."""

from ..arguments import Parser
from . import add, build, check, compact, duplicates, info, merge, remove, update

VERBS = (build, add, update, remove, compact, check, info, duplicates, merge)


def main(argv: list[str] | None = None) -> int | None:
    """Run one verb on an index."""
    parser = Parser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        verb.add_verb(verbs)
    options = parser.parse_args(argv)
    return options.run(options)
