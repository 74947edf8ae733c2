"""Embeddings of the texts and images of a source: `encode.py --model M --input FILE --output OUT`; resumable.

OUT becomes a directory of image.npy, image_ids.txt, text.npy and text_ids.txt, or with `--format release` a file of
lines `text vector TAB image vector TAB 1`. Bad rows are listed in OUT/bad.jsonl (release: OUT.bad.jsonl). After an
interruption the same command goes on where it stopped.
"""

import argparse
import sys
import time

import ernie_vil2

from ..data.sources.open import open_source
from ..inference import writer
from ..inference.identity import describe


def progress_line():
    """Function (rows done, rows, bad rows) that rewrites one line, on a terminal."""
    first = []

    def show(done, total, bad):
        first.append((done, time.monotonic()))
        if not sys.stderr.isatty():
            return
        rate = (done - first[0][0]) / max(time.monotonic() - first[0][1], 1e-9)
        left = f", {rate:.1f} rows/s, {(total - done) / rate / 60:.1f} min left" if rate else ""
        bar = "#" * int(30 * done / total)
        print(f"\r[{bar:<30}] {done:,} of {total:,} rows, {bad:,} bad{left}  ", end="", file=sys.stderr, flush=True)
        if done == total:
            print(file=sys.stderr)

    return show


def main(argv=None):
    """Encode, then print what was written."""
    parser = argparse.ArgumentParser(
        prog="encode", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, metavar="M", help="model directory or .pdparams")
    parser.add_argument("--input", required=True, metavar="FILE", help="TSV of the release, JSON lines or folder")
    parser.add_argument("--output", required=True, metavar="OUT", help="directory (npy) or file (release) to write")
    parser.add_argument("--format", choices=sorted(writer.FORMATS), default="npy")
    parser.add_argument("--vocab", help="vocabulary of a .pdparams")
    parser.add_argument("--batch-size", type=int, metavar="N", help="items of a forward pass")
    parser.add_argument("--on-bad", choices=("skip", "stop"), default="skip", help="what to do with a bad row")
    args = parser.parse_args(argv)
    source = open_source(args.input)
    print(source.describe(), file=sys.stderr)
    for note in source.notes:
        print(f"note: {note}", file=sys.stderr)
    model = ernie_vil2.load(args.model, args.vocab)
    identity = describe(args.model, args.vocab, args.input, source)
    record = writer.encode_source(
        model,
        source,
        args.output,
        identity,
        form=args.format,
        on_bad=args.on_bad,
        batch_size=args.batch_size,
        progress=progress_line(),
    )
    side = writer.FORMATS[args.format](args.output, model.embed_dim).bad
    bad = f"; {record['bad rows']:,} bad rows were left out and are listed in {side}" if record["bad rows"] else ""
    images = f"{record['images']:,} images and " if "images" in record else ""
    print(f"wrote {args.output}: {images}{record['texts']:,} texts of {record['rows']:,} rows{bad}")
