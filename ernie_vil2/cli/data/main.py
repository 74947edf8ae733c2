"""Look into data, and write it anew: `data check SOURCE` finds what is wrong, `data shard` makes tars."""

from ..arguments import Parser
from . import boxes, check, pairs, shard, split, tags, vocab

VERBS = (check, shard, split, tags, boxes, pairs, vocab)


def main(argv: list[str] | None = None) -> int | None:
    """Run one verb on a source."""
    parser = Parser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        verb.add_verb(verbs)
    options = parser.parse_args(argv)
    return options.run(options)
