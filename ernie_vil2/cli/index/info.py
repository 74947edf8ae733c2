"""The verb `info` of `index`: what an index holds, where it comes from, and what finds neighbours in it."""

import argparse
import json
from collections.abc import Iterator
from typing import Any

from ...messages import counted, plain
from ...search.store.snapshot import open_snapshot
from ...search.store.summary import summary

MIB = 1 << 20
NAMES = {"image": "pictures", "text": "texts"}

EXAMPLES = """
ernie-vil2 index info photos.index
ernie-vil2 index info photos.index --json
"""


def run(options: argparse.Namespace) -> None:
    """Print the figures of an index, as lines or as JSON."""
    found = summary(open_snapshot(options.index))
    if options.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        print(*(f"{name:16} {plain(text)}" for name, text in lines(found)), sep="\n")


def lines(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(name, text) of what a person wants to know of a summary."""
    yield "index", found["folder"]
    for side, counts in found["rows"].items():
        gone = f", {counts['gone']:,} gone" if counts["gone"] else ""
        yield NAMES[side], f"{counts['living']:,}{gone}"
    sizes = ", ".join(f"{size / MIB:,.1f} MiB {name}" for name, size in found["bytes"].items() if size)
    yield "on the disk", sizes or "nothing yet"
    yield "segments", ", ".join(f"{sum(rows_of(segment)):,}" for segment in found["segments"]) or "none"
    model = found["model"]
    yield "model", f"{model.get('path') or 'unknown'}, vectors of {found['width']} values"
    if found["engines"]:
        yield "engines", ", ".join(f"{engine} ({side}s)" for side, engine in found["engines"].items())
    if found["pixels"]:
        yield "pixels", ", ".join(f"{name} {value}" for name, value in found["pixels"].items())
    for number, root in found["roots"].items():
        pictures = counted(root["pictures"], "picture")
        yield f"root {number}", f"{root['folder'] or root['spec']} ({root['kind']}), {pictures}"
    for side, record in found["neighbours"].items():
        yield f"{side} neighbours", neighbours_line(record)
    for name, record in found["thresholds"].items():
        yield f"threshold {name}", ", ".join(shown(key, value) for key, value in record.items() if is_plain(key, value))


def rows_of(segment: dict[str, Any]) -> list[int]:
    """The counts of a segment's parts."""
    return [count for name, count in segment.items() if name != "name"]


def neighbours_line(record: dict[str, Any]) -> str:
    """The kind, why it was chosen, and what it finds of the rows that an exact search finds."""
    recall = record.get("recall", {})
    found = ""
    if record.get("kind") != "flat" and {"at", "near", "far"} <= set(recall):
        found = f"; finds {min(recall['near'], recall['far']):.1%} of the nearest {recall['at']}"
    return f"{record.get('reason') or record.get('kind')}{found}"


def is_plain(key: str, value: object) -> bool:
    """Whether a value of JSON is shown in a line: a digest tells a person nothing."""
    return isinstance(value, (str, int, float)) and value != "" and key != "model"


def shown(key: str, value: str | float) -> str:
    """A name and its value as a person reads them."""
    return f"{key.replace('_', ' ')} " + (f"{value:.4g}" if isinstance(value, float) else f"{value}")


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `info` to the verbs of an argument parser."""
    verb = verbs.add_parser("info", help="what an index holds", description=run.__doc__, examples=EXAMPLES)
    verb.add_argument("index", metavar="DIR", help="folder of an index")
    verb.add_argument("--json", action="store_true", help="print all of it as JSON")
    verb.set_defaults(run=run)
