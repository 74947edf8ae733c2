"""Search an index by sentences, pictures, or both: a table of hits, best first.

Score (a cosine), id, name, day, pixels and caption of each; JSON with --json, a page in the browser with
--open. Sentences and pictures that are given together are added up, and those of --minus taken away. --filter
leaves pictures out: `folder:2021/上海 date:2021-05..2021-07 tag:cat -tag:dog width>=1000 video`.
"""

import argparse
import json
import re
import shutil
import sys
import tempfile
import webbrowser
from collections.abc import Sequence
from pathlib import Path

import ernie_vil2

from ..files.paths.names import SURROGATE
from ..files.paths.program import typed
from ..messages import plain
from ..search.query.folder_hint import folder_hint
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

EXAMPLES = """
ernie-vil2 search photos.index "一个红色的心形" --k 5
ernie-vil2 search photos.index --image photos/04-red-star-blue-square.jpg --open
ernie-vil2 search photos.index "红色的心形" --minus "草地" --filter "width>=100"
ernie-vil2 search photos.index --like 3 --page 2             # like a picture of the index
ernie-vil2 search photos.index "白色的三角形" --of texts --json
ernie-vil2 search photos.index "红色的五角星" --threshold same
"""


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


def parser() -> Parser:
    """The arguments."""
    found = Parser(prog="ernie-vil2 search", description=__doc__, examples=EXAMPLES)
    found.add_argument("index", metavar="DIR", help="folder of an index, which `ernie-vil2 index build` makes")
    found.add_argument("text", nargs="*", metavar="TEXT", help="what to look for, in Chinese or English")
    repeated = {"action": "append", "default": []}
    found.add_argument("--image", **repeated, metavar="FILE", help="a picture to look for the like of")
    found.add_argument(
        "--like", **repeated, type=whole, metavar="ID", help="a picture of the index, which needs no model"
    )
    found.add_argument("--minus", **repeated, metavar="TEXT", help="a sentence to go away from")
    found.add_argument("--minus-image", **repeated, metavar="FILE", help="a picture to go away from")
    told = "of the parts in this order: texts, --image, --like, --minus, --minus-image; those without one have 1"
    found.add_argument("--weight", **repeated, type=positive, metavar="W", help=f"weight, once for each part: {told}")
    found.add_argument("--k", type=count, default=10, metavar="N", help="hits of a page (default 10)")
    found.add_argument("--page", type=count, default=1, metavar="N", help="which page (default 1)")
    told = "pictures that count, see docs/search.md; with several all must hold"
    found.add_argument("--filter", **repeated, metavar="F", help=told)
    told = "lowest score, or the name of a threshold that ernie-vil2 eval calibrate keeps with the index"
    found.add_argument("--threshold", type=threshold, metavar="T", help=told)
    found.add_argument("--of", choices=KINDS, default="images", help="what to look for (default images)")
    form = found.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument(
        "--open", action="store_true", help="show the hits in the browser, from a page in a temporary file"
    )
    found.add_argument("--model", type=model_path, metavar="M", help="where the index's model lies, if it was moved")
    add_engine(found)
    return found


@stoppable()
def main(argv: list[str] | None = None) -> None:
    """Search, then print the hits."""
    arguments = parser()
    args = arguments.parse_args(joined(sys.argv[1:] if argv is None else argv))
    parts = [(kind, value) for kind in PARTS for value in getattr(args, kind)]
    if not any(getattr(args, kind) for kind in PARTS[:3]):
        arguments.error("nothing is asked for; give a TEXT, --image FILE or --like ID")
    if len(args.weight) > len(parts):
        arguments.error(f"there are {len(args.weight)} --weight for {len(parts)} texts and pictures; leave some out")
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
    if hits.total == 0 and (hint := folder_hint(index.view, " ".join(args.filter))):
        tell(hint)
    if any(hit.missing for hit in hits if isinstance(hit, Hit)):
        tell(f"some files are not there any more; {typed('index', 'update', args.index)} looks for where they are")
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
