"""Write the embeddings of the texts and images of a source; goes on after a stop.

OUT becomes a directory of image.npy, image_ids.txt, text.npy, text_ids.txt and text_keys.npy (of images or
texts alone with --only, or where a source has nothing else), or with `--format release` a file of lines `text
vector TAB image vector TAB 1`. Bad rows are listed in OUT/bad.jsonl (release: OUT.bad.jsonl). After a stop the
same command goes on where it was.
"""

import argparse
import sys
import time
from collections.abc import Callable

import ernie_vil2

from ..data.sources.base import SIDES
from ..files.claim import Claims
from ..files.paths.place import check_file
from ..inference import writer
from ..inference.identity import describe
from ..inference.sides import check_towers, sides_of
from ..messages import LEFT_OUT, counted, plain
from ..stop import StopRequest
from .arguments import Parser, add_damaged, add_engine, add_replace, model_path, whole
from .progress import rewrite, tell
from .sources import opened
from .stopping import stoppable

EXAMPLES = """
ernie-vil2 encode --model output/try --input photos.jsonl --output embeds
ernie-vil2 encode --model output/try --input photos.jsonl --output vectors.txt --format release
ernie-vil2 encode --model output/try --input photos --output images --only image
ernie-vil2 encode --model output/try --input queries.txt --output queries --only text
"""


def row_counter() -> Callable[[int, int, int], None]:
    """Function (rows done, rows, bad rows) that keeps one line on a terminal up to date."""
    first: tuple[int, float] | None = None

    def show(done: int, total: int, bad: int) -> None:
        nonlocal first
        began, since = first = first or (done, time.monotonic())
        rate = (done - began) / max(time.monotonic() - since, 1e-9)
        left = f", {rate:.1f} rows/s, {(total - done) / rate / 60:.1f} min left" if rate else ""
        bar = "#" * int(30 * done / total)
        rewrite(f"[{bar:<30}] {done:,} of {total:,} rows, {bad:,} bad{left}", done == total)

    return show


def claim(args: argparse.Namespace) -> None:
    """Refuse places that must stay as they are; which rows an output of this command is of is compared later."""
    form = writer.FORMATS[args.format]
    claims = Claims("encode", [args.model, args.vocab, args.input], args.replace)
    if form.is_folder:
        claims.folder(args.output, "a folder of embeddings", lambda out: form(out, 0).is_own())
        return
    check_file(args.output, parents=True)
    target = form(args.output, 0)
    for place in (target.out, target.record, target.bad):
        claims.file(place, lambda _: target.is_own(), parents=True)


def parser() -> Parser:
    """The arguments."""
    found = Parser(prog="ernie-vil2 encode", description=__doc__, examples=EXAMPLES)
    found.add_argument(
        "--model",
        type=model_path,
        required=True,
        metavar="M",
        help="model directory, the folder of a run, or .pdparams",
    )
    found.add_argument("--input", required=True, metavar="FILE", help="TSV of the release, JSON lines, folder, .txt")
    found.add_argument(
        "--only",
        choices=SIDES,
        help="encode one side alone; the default is all that the source has",
    )
    found.add_argument("--output", required=True, metavar="OUT", help="directory (npy) or file (release) to write")
    found.add_argument("--format", choices=sorted(writer.FORMATS), default="npy")
    found.add_argument("--vocab", help="vocabulary of a .pdparams")
    found.add_argument("--batch-size", type=whole, metavar="N", help="items of a forward pass")
    found.add_argument("--on-bad", choices=("skip", "stop"), default="skip", help="what to do with a bad row")
    add_damaged(found)
    add_engine(found)
    add_replace(found)
    return found


@stoppable(kept=True)
def main(argv: list[str] | None = None) -> None:
    """Encode, then print what was written."""
    arguments = parser()
    args = arguments.parse_args(argv)
    if args.only and args.format == "release":
        arguments.error("--only does not go with --format release, whose lines have both; leave one of them out")
    claim(args)
    source = opened(args.input, sys.stderr)
    sides = sides_of(source, args.only)
    form = writer.FORMATS[args.format]
    form(args.output, 0, sides)  # refuses sides that it cannot hold, before a model is loaded
    model = ernie_vil2.load(args.model, args.vocab, args.damaged, args.engine, args.precision)
    check_towers(sides, model.config.towers())
    model.engines.make(*sides)  # before they are named: what has no graph runs in another one
    tell(model.engines.told(*sides))
    identity = describe(args.model, args.vocab, args.input, source)
    identity |= {"damaged": args.damaged, "engines": {side: model.engines.record[side] for side in sides}}
    with StopRequest("stopping after these rows; once more Ctrl-C stops at once, without them") as stop:
        record = writer.encode_source(
            model,
            source,
            args.output,
            identity,
            form=args.format,
            on_bad=args.on_bad,
            batch_size=args.batch_size,
            progress=row_counter(),
            replace=args.replace,
            stop=stop,
            sides=sides,
        )
    listed = form(args.output, model.embed_dim).bad
    bad = f"; {counted(record['bad rows'], *LEFT_OUT)}, see {listed}" if record["bad rows"] else ""
    images = [counted(record["images"], "image")] if "images" in record else []
    texts = [counted(record["texts"], "text")] if "text" in sides else []
    print(plain(f"wrote {args.output}: {' and '.join(images + texts)} of {counted(record['rows'], 'row')}{bad}"))
    if causes := record.get("causes"):
        print("bad rows by cause:", ", ".join(f"{count:,} {cause}" for cause, count in sorted(causes.items())))
