"""The verb `merge` of `index`: the pictures and texts of other indexes of the same model into one."""

import argparse

from ...messages import counted, plain
from ...search.scan.nearest import renew_neighbours
from ...search.store.merge import merge
from ...search.store.snapshot import open_snapshot
from ...search.store.writer import open_writer
from ..progress import note
from ..stopping import stoppable
from .scanning import add_neighbours, most_memory

EXAMPLES = """
ernie-vil2 index merge photos.index phone.index camera.index
"""


@stoppable(kept=True)
def run(options: argparse.Namespace) -> None:
    """Merge, and say how many pictures that gave."""
    others = [open_snapshot(other) for other in dict.fromkeys(options.others)]
    with open_writer(options.index) as writer:
        counts = merge(writer, others)
        found = renew_neighbours(writer, options.type, most_memory(options), note)
        living = len(writer.snapshot.images)
    added, there = counted(counts["added"], "picture"), counted(counts["there"], "was", "were")
    told = f"{added} added, {there} there already, {living:,} now"
    print(plain(f"{options.index}: {told}"), *map(plain, found), sep="\n")


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `merge` to the verbs of an argument parser."""
    verb = verbs.add_parser(
        "merge", help="add the pictures of other indexes of the same model", description=run.__doc__, examples=EXAMPLES
    )
    verb.add_argument("index", metavar="DIR", help="folder of the index that grows")
    verb.add_argument("others", nargs="+", metavar="OTHER", help="folder of an index, which stays as it is")
    add_neighbours(verb)
    verb.set_defaults(run=run)
