"""The verb `check` of `index`: whether an index is what was written, and rows and vectors belong together."""

import argparse
from pathlib import Path

from ...errors import DataError
from ...messages import plain
from ...search.query.view import View
from ...search.store.check import check
from ...search.store.snapshot import Snapshot
from ..stopping import stoppable

EXAMPLES = """
ernie-vil2 index check photos.index
ernie-vil2 index check photos.index --quick
"""


@stoppable()
def run(options: argparse.Namespace) -> int:
    """Print what is wrong; 1 when anything is."""
    faults = check(Path(options.index), not options.quick, neighbours_faults)
    if faults:
        print(*map(plain, faults), sep="\n")
        return 1
    read = "files, sizes, ids and rows" if options.quick else "all files, ids, rows and vectors"
    print(plain(f"{options.index} is whole: {read} were looked at, and rows find themselves"))
    return 0


def neighbours_faults(snapshot: Snapshot, side: str) -> list[str]:
    """What is wrong with what finds neighbours of a side: its file, or that rows do not find themselves."""
    try:
        View(snapshot).neighbours(side)
    except DataError as error:
        return [str(error)]
    return []


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `check` to the verbs of an argument parser."""
    verb = verbs.add_parser(
        "check", help="find what is wrong with an index", description=run.__doc__, examples=EXAMPLES
    )
    verb.add_argument("index", metavar="DIR", help="folder of an index")
    verb.add_argument("--quick", action="store_true", help="compare no checksums, and look at some vectors only")
    verb.set_defaults(run=run)
