"""The verb `compact` of `index`: one segment, without what is gone; `--type` makes what finds neighbours anew."""

import argparse

from ...messages import plain
from ...search.scan.nearest import renew_neighbours
from ...search.store.compact import compact
from ...search.store.snapshot import Snapshot
from ...search.store.summary import summary
from ...search.store.writer import open_writer
from ..progress import note
from ..stopping import stoppable
from .scanning import add_neighbours, most_memory

MIB = 1 << 20

EXAMPLES = """
ernie-vil2 index compact photos.index
ernie-vil2 index compact photos.index --type hnsw
"""


@stoppable(kept=True)
def run(options: argparse.Namespace) -> None:
    """Compact the index, and say what that gave."""
    with open_writer(options.index) as writer:
        before = figures(writer.snapshot)
        after = figures(compact(writer))
        found = renew_neighbours(writer, options.type, most_memory(options), note)
    rows, size, segments = (f"{old} to {new}" for old, new in zip(before, after, strict=True))
    print(plain(f"{options.index}: from {rows} rows, {size} MiB, {segments} segments"))
    print(*map(plain, found), sep="\n")


def figures(snapshot: Snapshot) -> tuple[str, str, str]:
    """Rows, MiB and segments of an index, those of neighbours left out."""
    found = summary(snapshot)
    rows = sum(counts["living"] + counts["gone"] for counts in found["rows"].values())
    size = sum(size for name, size in found["bytes"].items() if name != "neighbours")
    return f"{rows:,}", f"{size / MIB:,.1f}", f"{len(found['segments'])}"


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `compact` to the verbs of an argument parser."""
    verb = verbs.add_parser(
        "compact", help="rewrite an index without what is gone", description=run.__doc__, examples=EXAMPLES
    )
    verb.add_argument("index", metavar="DIR", help="folder of an index")
    add_neighbours(verb)
    verb.set_defaults(run=run)
