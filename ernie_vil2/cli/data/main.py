"""Look into data, divide it, make a vocabulary, shards, tags or boxes of it."""

from ..arguments import Parser
from . import boxes, check, pairs, shard, split, tags, vocab

VERBS = (check, shard, split, tags, boxes, pairs, vocab)


def parser() -> Parser:
    """The arguments of all verbs."""
    told = "`ernie-vil2 data VERB --help` explains one, with examples."
    found = Parser(prog="ernie-vil2 data", description=__doc__, epilog=told)
    verbs = found.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        verb.add_verb(verbs)
    return found


def main(argv: list[str] | None = None) -> int | None:
    """Run one verb on a source."""
    options = parser().parse_args(argv)
    return options.run(options)
