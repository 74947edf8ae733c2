"""The verb `search` of `bench`: the kinds of neighbours beside each other, on many vectors."""

import argparse
import contextlib
from pathlib import Path

from ...files.claim import Claims
from ...files.json_files import write_json
from ...files.leftovers import scratch_folder
from ...messages import plain
from ...search.neighbours.choice import known
from ...search.neighbours.kinds import KINDS
from ...studies.search.comparison import TURNS, compare
from ...studies.search.report import COMMAND, content, tables
from ..arguments import add_replace, between, count
from ..progress import note
from ..stopping import stoppable

WIDTH = between(int, 2, 4096)
QUESTIONS = between(int, TURNS, 10_000)

EXAMPLES = """
ernie-vil2 bench search --rows 100000 --kinds flat,hnsw
"""


@stoppable()
def run(args: argparse.Namespace) -> None:
    """Build and ask every kind of neighbours on vectors that are drawn: speed, recall, memory, filters."""
    claims = Claims(COMMAND, [args.at] if args.at else [], args.replace)
    claims.file(args.json)
    kinds = list(KINDS) if args.kinds is None else [known(name.strip()) for name in args.kinds.split(",")]
    place = contextlib.nullcontext(args.at) if args.at else scratch_folder("search")
    with place as folder:
        folder.mkdir(parents=True, exist_ok=True)
        found, measured = compare(folder, args.rows, args.width, kinds, args.questions, note)
    print(tables(args.rows, args.width, found, measured))
    if args.json:
        write_json(args.json, content(args.rows, args.width, found, measured), COMMAND)
        print(plain(f"wrote {args.json}"))


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `search` to the verbs of an argument parser."""
    verb = verbs.add_parser("search", help=run.__doc__, description=run.__doc__, examples=EXAMPLES)
    verb.add_argument("--rows", type=count, default=1_000_000, metavar="N", help="vectors (default %(default)s)")
    verb.add_argument("--width", type=WIDTH, default=768, metavar="D", help="values of a vector (default %(default)s)")
    told = "single questions of each of two sorts (default %(default)s)"
    verb.add_argument("--questions", type=QUESTIONS, default=200, metavar="N", help=told)
    verb.add_argument("--kinds", metavar="NAMES", help=f"separated by commas; default: all, {', '.join(KINDS)}")
    told = "keep vectors and what is built in this folder, and take them from it where they are there"
    verb.add_argument("--at", type=Path, metavar="FOLDER", help=told)
    verb.add_argument("--json", metavar="OUT", help="write all that was measured to this file")
    add_replace(verb)
    verb.set_defaults(run=run)
