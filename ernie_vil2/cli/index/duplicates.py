"""The verb `duplicates` of `index`: pictures that are nearly the same, in groups, the largest picture first."""

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from ...files.paths.names import SURROGATE
from ...messages import plain
from ..progress import rewrite, tell
from ..search import threshold
from ..stopping import stoppable

if TYPE_CHECKING:
    from ...search.duplicates import Group
    from ...search.query.hits import Hit
    from ...search.store.snapshot import Snapshot

THRESHOLD = 0.97
WINDOW = 256
"""Groups whose rows are read together"""

EXAMPLES = """
ernie-vil2 index duplicates photos.index
ernie-vil2 index duplicates photos.index --threshold 0.99 --filter "width>=100" --json
"""


@stoppable()
def run(args: argparse.Namespace) -> None:
    """Print groups of pictures that are nearly the same; no file is touched. In each, the largest picture comes first,
    the others are at least as like it as the threshold says."""
    from ...search.duplicates import duplicate_groups
    from ...search.query.filter_rows import allowed_ids
    from ...search.query.filter_terms import terms_of
    from ...search.query.score_limit import lowest_score
    from ...search.store.snapshot import open_snapshot

    snapshot = open_snapshot(args.index)
    least = lowest_score(args.threshold, snapshot.manifest.thresholds, {"image"}, "image")
    part, terms = snapshot.part("image"), terms_of(" ".join(args.filter))
    allowed = allowed_ids(part, snapshot.manifest.roots, terms) if terms else None
    groups = duplicate_groups(part, least, allowed, counter)
    spared = 0
    for number, (group, hits) in enumerate(described(snapshot, groups)):
        spared += sum(hit.size for hit in hits[1:])
        if args.json:
            print(as_json(group, hits))
        else:
            print("\n" * bool(number) + table(group, hits))
    sys.stdout.flush()
    tell(summary(groups, spared))


def counter(done: int, total: int) -> None:
    """Keep one line on a terminal up to date."""
    rewrite(f"compared {100 * done / total:.0f} % of all pairs", done == total)


def described(snapshot: "Snapshot", groups: "list[Group]") -> "Iterator[tuple[Group, list[Hit]]]":
    """Yield each Group with a Hit of every picture in it."""
    from ...search.query.hits import COLUMNS, image_hits

    part, left = snapshot.part("image"), iter(groups)
    while window := list(islice(left, WINDOW)):
        ids = [one for group in window for one in group.ids.tolist()]
        scores = [score for group in window for score in group.scores.tolist()]
        hits = iter(image_hits(part.take(ids, list(COLUMNS)), scores, snapshot.manifest.roots))
        for group in window:
            yield group, list(islice(hits, len(group.ids)))


def table(group: "Group", hits: "list[Hit]") -> str:
    """A group as lines: score or `copy`, id, name, pixels, bytes."""
    from ...pages.terminal import aligned
    from ...search.query.hit_page import size_text

    said = ["copy" if exact else f"{hit.score:.4f}" for hit, exact in zip(hits, group.exact, strict=True)]
    rows = [
        (word, str(hit.id), plain(hit.key), size_text(hit), amount(hit.size) if hit.size else "")
        for word, hit in zip(["first", *said[1:]], hits, strict=True)
    ]
    return aligned(rows, right=(1, 3, 4))


def amount(size: int) -> str:
    """Bytes for a person."""
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"


def as_json(group: "Group", hits: "list[Hit]") -> str:
    """A group as one line of JSON; what is no text in a name is escaped as halves of surrogate pairs."""
    pictures: list[dict[str, Any]] = [
        {**hit.record(), "copy": bool(exact)} for hit, exact in zip(hits, group.exact, strict=True)
    ]
    pictures[0]["copy"] = False
    text = json.dumps({"pictures": pictures}, ensure_ascii=False)
    return SURROGATE.sub(lambda found: ascii(found.group())[1:-1], text)


def summary(groups: "list[Group]", spared: int) -> str:
    """How many there are, and what they take."""
    if not groups:
        return "no two pictures are as like each other as that"
    copies = sum(int(group.exact[1:].sum()) for group in groups)
    pictures = sum(len(group.ids) for group in groups)
    size = f"; without all but the first of each, {amount(spared)} less" if spared else ""
    return f"groups: {len(groups):,}; pictures in them: {pictures:,}, exact copies of the first: {copies:,}{size}"


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `duplicates` to the verbs of an argument parser."""
    verb = verbs.add_parser(
        "duplicates", help="pictures that are nearly the same, in groups", description=run.__doc__, examples=EXAMPLES
    )
    verb.add_argument("index", metavar="DIR", help="folder of the index")
    told = "lowest cosine with the first picture of a group, or the name of a threshold that eval calibrate made"
    verb.add_argument("--threshold", type=threshold, default=THRESHOLD, metavar="T", help=f"{told}; default 0.97")
    told = "pictures that count, see docs/search.md; with several all must hold"
    verb.add_argument("--filter", action="append", default=[], metavar="F", help=told)
    verb.add_argument("--json", action="store_true", help="print a line of JSON for each group")
    verb.set_defaults(run=run)
