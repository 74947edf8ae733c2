"""The verb `vocab` of `data`: a vocabulary of a source's captions, to train from nothing with."""

import argparse

from ...data.vocabulary import write_vocabulary
from ...files.claim import Claims
from ...messages import plain
from ..arguments import add_plugin, add_replace, count, number
from ..progress import row_bar
from ..sources import SOURCE, opened
from ..stopping import stoppable

EXAMPLES = """
ernie-vil2 data vocab table.csv own_vocab.txt --size 8000
"""


@stoppable()
def run(options: argparse.Namespace) -> None:
    """Write a vocabulary of the captions of a source, and print what it holds and what it leaves unknown."""
    Claims("data vocab", [options.source], options.replace).file(options.out)
    source = opened(options.source)
    progress = row_bar(len(source))
    print(write_vocabulary(source, options.out, options.size, options.lower_case, options.coverage, progress))
    cased = "" if options.lower_case else " -o model.lower_case=false"
    print(plain(f"wrote {options.out}; train with it by `-o data.vocab={options.out}{cased}`"))


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `vocab` to the verbs of an argument parser."""
    verb = verbs.add_parser(
        "vocab", help="make a vocabulary of the captions of a source", description=run.__doc__, examples=EXAMPLES
    )
    verb.add_argument("source", metavar="SOURCE", help=SOURCE)
    verb.add_argument("out", metavar="OUT", help="vocabulary file to write, lines `token TAB id`")
    verb.add_argument("--size", type=count, required=True, metavar="N", help="most tokens; the release has 39979")
    verb.add_argument(
        "--coverage",
        type=number,
        default=1.0,
        metavar="SHARE",
        help="share of all characters of the texts that must be known; rare ones go first (default 1, all)",
    )
    verb.add_argument(
        "--lower-case",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="lower-case and strip accents, as model.lower_case of a run (default: yes)",
    )
    add_plugin(verb)
    add_replace(verb)
    verb.set_defaults(run=run)
