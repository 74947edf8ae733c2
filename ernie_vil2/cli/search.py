"""What an index finds for a sentence, a picture, or several: `search.py DIR "夕阳下的帆船" --k 20`.

A table of hits, best first: score (a cosine), id, name, day, pixels, caption; JSON with `--json`, a page in the browser
with `--open`. Sentences and pictures that are given together are added up, and those of `--minus` taken away.
`--filter` leaves pictures out: `folder:2021/上海 date:2021-05..2021-07 tag:cat -tag:dog width>=1000 video`.
"""

import argparse
import json
import re
import shlex
import shutil
import sys
import tempfile
import webbrowser
from collections.abc import Sequence
from pathlib import Path

import ernie_vil2

from ..files.paths.names import SURROGATE
from ..messages import plain
from ..search.query.hit_page import hit_page
from ..search.query.hit_table import hit_table
from ..search.query.hits import Hit, Hits
from ..search.query.view import KINDS
from .arguments import Parser, add_engine, count, model_path, number, positive, whole
from .progress import tell, watched
from .stopping import stoppable

PARTS = "text", "image", "like", "minus", "minus_image"
"""What a query is made of, in the order of --weight"""
OPPOSITE = re.compile(r"-(?!h$)[^\W\d]")
"""How a term of a filter begins that is turned round"""


def threshold(text: str) -> float | str:
    """A number, or the name of a threshold of the index."""
    try:
        return number(text)
    except argparse.ArgumentTypeError:
        return text


def joined(argv: Sequence[str]) -> list[str]:
    """The arguments with `--filter -tag:dog` as `--filter=-tag:dog`, which argparse would take for an option."""
    found: list[str] = []
    for argument in argv:
        if found and found[-1] == "--filter" and OPPOSITE.match(argument):
            found[-1] = f"--filter={argument}"
        else:
            found.append(argument)
    return found


@stoppable()
def main(argv: list[str] | None = None) -> None:
    """Search, then print the hits."""
    parser = Parser(prog="search", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", metavar="DIR", help="folder of an index, which `ernie-vil2 index build` makes")
    parser.add_argument("text", nargs="*", metavar="TEXT", help="what to look for, in Chinese or English")
    repeated = {"action": "append", "default": []}
    parser.add_argument("--image", **repeated, metavar="FILE", help="a picture to look for the like of")
    parser.add_argument(
        "--like", **repeated, type=whole, metavar="ID", help="a picture of the index, which needs no model"
    )
    parser.add_argument("--minus", **repeated, metavar="TEXT", help="a sentence to go away from")
    parser.add_argument("--minus-image", **repeated, metavar="FILE", help="a picture to go away from")
    told = "of the parts in this order: texts, --image, --like, --minus, --minus-image; those without one have 1"
    parser.add_argument("--weight", **repeated, type=positive, metavar="W", help=f"weight, once for each part: {told}")
    parser.add_argument("--k", type=count, default=10, metavar="N", help="hits of a page (default 10)")
    parser.add_argument("--page", type=count, default=1, metavar="N", help="which page (default 1)")
    told = "pictures that count, see docs/search.md; with several all must hold"
    parser.add_argument("--filter", **repeated, metavar="F", help=told)
    told = "lowest score, or the name of a threshold that ernie-vil2 eval calibrate keeps with the index"
    parser.add_argument("--threshold", type=threshold, metavar="T", help=told)
    parser.add_argument("--of", choices=KINDS, default="images", help="what to look for (default images)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument(
        "--open", action="store_true", help="show the hits in the browser, from a page in a temporary file"
    )
    parser.add_argument("--model", type=model_path, metavar="M", help="where the index's model lies, if it was moved")
    add_engine(parser)
    args = parser.parse_args(joined(sys.argv[1:] if argv is None else argv))
    parts = [(kind, value) for kind in PARTS for value in getattr(args, kind)]
    if not any(getattr(args, kind) for kind in PARTS[:3]):
        parser.error("nothing is asked for; give a TEXT, --image FILE or --like ID")
    if len(args.weight) > len(parts):
        parser.error(f"there are {len(args.weight)} --weight for {len(parts)} texts and pictures; leave some out")
    index = ernie_vil2.open_index(args.index, args.model, args.engine, args.precision)
    hits = found(index, args, weighted(parts, args.weight))
    if args.json:
        print(json_text(args, hits))
        return
    if args.open:
        show(", ".join(str(value) for _, value in parts), hits)
        return
    if hits:
        print(hit_table(hits, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))
    nobody = hits.total == 0 and not args.filter and args.threshold is None
    tell(f"nothing was found, for the index has no {args.of}" if nobody else summary(hits))
    if any(hit.missing for hit in hits if isinstance(hit, Hit)):
        command = f"ernie-vil2 index update {shlex.quote(args.index)}"
        tell(f"some files are not there any more; {command} looks for where they are")
    if watched() and args.text and index.model:
        tell(index.model.engines.told("text"))


def weighted(parts: list[tuple[str, str | int]], weights: list[float]) -> dict[str, list[tuple[str | int, float]]]:
    """{kind of part: (value, weight) of each}."""
    weights = [*weights, *[1.0] * (len(parts) - len(weights))]
    return {
        kind: [(value, weight) for (own, value), weight in zip(parts, weights, strict=True) if own == kind]
        for kind in PARTS
    }


def found(index: "ernie_vil2.search.index.Index", args: argparse.Namespace, parts: dict[str, list]) -> Hits:
    """What the index has for the parts of a query."""
    like = [(index.vectors([number])[0], weight) for number, weight in parts["like"]]
    minus = {"text": parts["minus"], "image": parts["minus_image"]}
    asked = parts["text"], parts["image"], like, minus
    filters = " ".join(args.filter)
    return index.search(*asked, args.k, args.page, filter=filters, threshold=args.threshold, of=args.of)


def json_text(args: argparse.Namespace, hits: Hits) -> str:
    """The hits as JSON; what is no text in a name is escaped as halves of surrogate pairs."""
    about = {"index": args.index, "of": args.of, "page": hits.page, "k": hits.k, "total": hits.total}
    text = json.dumps({**about, "hits": [hit.record() for hit in hits]}, ensure_ascii=False, indent=1)
    return SURROGATE.sub(lambda found: ascii(found.group())[1:-1], text)


def summary(hits: Hits) -> str:
    """Which hits these are, and of how many."""
    if not hits:
        return "nothing was found" + (f" on page {hits.page}" if hits.page > 1 else "")
    first = (hits.page - 1) * hits.k + 1
    of = "" if hits.total is None else f" of {hits.total:,}"
    return f"{first:,} to {first + len(hits) - 1:,}{of}"


def show(title: str, hits: Hits) -> None:
    """The hits in a browser. The page stays, since nobody knows when the browser has read it."""
    page = hit_page(title, summary(hits), hits).encode("utf-8", "replace")
    with tempfile.NamedTemporaryFile(prefix="ernie-vil2-search-", suffix=".html", delete=False) as handle:
        handle.write(page)
    opened = webbrowser.open(Path(handle.name).as_uri())
    tell(plain(f"{summary(hits)}: {handle.name}" + ("" if opened else "; no browser could be opened")))
