"""Retrieval metrics of embeddings (`eval.py --embeddings OUT`) or of a model (`eval.py --model M --input FILE`)."""
import argparse
import sys

from ernie_vil2.errors import run_tool
from ernie_vil2.evaluation import retrieval


def progress(done, total):
    """A line that rewrites itself, on a terminal."""
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\rencoded {done:,} of {total:,} samples", end=end, file=sys.stderr, flush=True)


def main(argv=None):
    """Print a table per protocol; with --json write the figures as well."""
    parser = argparse.ArgumentParser(prog="eval", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--embeddings", metavar="PATH", help="directory written by encode, or the release's text file")
    what.add_argument("--model", metavar="M", help="model directory or .pdparams; needs --input")
    parser.add_argument("--input", metavar="SOURCE", help="TSV, JSON lines, folder or scenes: what the model is run on")
    parser.add_argument("--vocab", help="vocabulary of a .pdparams")
    parser.add_argument("--ids", metavar="FILE", help="image id of every line of a release text file")
    parser.add_argument("--protocol", choices=("official", "standard", "both"), default="both")
    parser.add_argument("--skip-broken", action="store_true", help="leave out broken samples and count them")
    parser.add_argument("--json", metavar="OUT", help="write the figures to this file")
    args = parser.parse_args(argv)
    if args.model and not args.input:
        parser.error("--model needs --input SOURCE")
    if args.embeddings and (args.input or args.vocab or args.skip_broken):
        parser.error("--input, --vocab and --skip-broken belong to --model, not to --embeddings")
    if args.model and args.ids:
        parser.error("--ids belongs to --embeddings; a source has its own ids")
    if args.embeddings:
        embeddings = retrieval.read_embeddings(args.embeddings, args.ids)
    else:
        import ernie_vil2
        from ernie_vil2.data.sources import open_source

        source = open_source(args.input)
        print(source.describe(), file=sys.stderr)
        for note in source.notes:
            print(f"note: {note}", file=sys.stderr)
        embeddings = retrieval.encode_source(ernie_vil2.load(args.model, args.vocab), source, args.skip_broken,
                                             progress=progress)
    results = retrieval.evaluate(embeddings, args.protocol)
    print(retrieval.table(results))
    for note in embeddings.notes:
        print(f"note: {note}")
    if args.json:
        subject = {"embeddings": args.embeddings} if args.embeddings else {"model": args.model, "input": args.input}
        retrieval.write_json(args.json, {**subject, "notes": list(embeddings.notes), "protocols": results})


if __name__ == "__main__":
    run_tool(main)
