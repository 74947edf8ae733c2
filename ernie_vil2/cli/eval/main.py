"""Retrieval metrics of embeddings, of a model on a source, or of a model on a public benchmark (`--benchmark NAME`).

eval --embeddings OUT                       what ernie-vil2 encode wrote, or the release's text file
eval --model M --input FILE                 a source of images and texts; with --output RUN kept for `compare`
eval --model M --benchmark NAME --data DIR  coco-cn, coco-cn@5k, flickr30k-cn, muge, aic-icc, flickr30k, mscoco, ...
eval --model M --benchmark scenes           drawn scenes, without files: retrieval, pairs of texts, images by labels
eval compare RUN...                         runs that were written with --output, side by side
eval calibrate INDEX --pairs FILE           the score from which two things are the same, from labelled pairs
"""

import argparse
import sys

from ...evaluation import retrieval
from ...evaluation.benchmarks import registry
from ...evaluation.embeddings import read_embeddings
from ...evaluation.encoding import Progress
from ...evaluation.runs import results as runs
from ...files.claim import Claims
from ...files.json_files import write_json
from ..arguments import Parser, add_damaged, add_engine, add_replace, model_path
from ..progress import rewrite
from ..stopping import stoppable
from . import benchmark, calibrate, compare, own_source


def counter(what: str = "samples") -> Progress:
    """Function (done, all) that keeps one line on a terminal up to date."""
    return lambda done, total: rewrite(f"encoded {done:,} of {total:,} {what}", done == total)


@stoppable()
def main(argv: list[str] | None = None) -> None:
    """Print a table per protocol; with --json write the figures as well."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] in (["compare"], ["calibrate"]):
        return {"compare": compare, "calibrate": calibrate}[argv[0]].main(argv[1:])
    parser = Parser(prog="eval", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--embeddings", metavar="PATH", help="directory written by encode, or the release's text file")
    what.add_argument(
        "--model", type=model_path, metavar="M", help="model directory or .pdparams; needs --input or --benchmark"
    )
    parser.add_argument("--input", metavar="SOURCE", help="TSV, JSON lines, folder or scenes: what the model is run on")
    parser.add_argument("--vocab", help="vocabulary of a .pdparams")
    parser.add_argument("--ids", metavar="FILE", help="image id of every line of a release text file")
    parser.add_argument("--protocol", choices=("official", "standard", "both"), help="default both")
    parser.add_argument("--skip-broken", action="store_true", help="leave out broken samples and count them")
    add_damaged(parser)
    add_engine(parser)
    told = "with --model: folder to write figures, provenance, queries and errors to, for `eval compare`"
    parser.add_argument("--output", metavar="RUN", help=told)
    parser.add_argument("--json", metavar="OUT", help="write the figures to this file")
    add_replace(parser)
    benchmark.add_options(parser.add_argument_group("public benchmarks"))
    args = parser.parse_args(argv)
    if args.model and (args.input is None) == (args.benchmark is None):
        parser.error("--model needs --input SOURCE, or --benchmark NAME with --data DIR")
    if args.embeddings and (args.input or args.vocab or args.skip_broken or args.benchmark):
        parser.error("--input, --benchmark, --vocab and --skip-broken belong to --model, not to --embeddings")
    if args.embeddings and args.damaged == "keep":
        parser.error("--damaged belongs to --model, not to --embeddings, which have no pictures")
    if args.embeddings and (args.engine, args.precision) != ("auto", "fp32"):
        parser.error("--engine and --precision belong to --model, not to --embeddings, which are computed already")
    if args.model and args.ids:
        parser.error("--ids belongs to --embeddings; a source has its own ids")
    if args.benchmark and args.protocol:
        parser.error("--protocol does not go with --benchmark; name a protocol with it, as in coco-cn@1k-official")
    if args.benchmark and args.data is None and not registry.benchmark(args.benchmark).drawn:
        parser.error("--benchmark needs --data DIR")
    of_benchmarks = args.data, args.split, args.allow_counts, args.boxes, args.options
    if not args.benchmark and any(of_benchmarks):
        parser.error("--data, --split, --allow-counts, --boxes and -o belong to --benchmark")
    if args.embeddings and args.output:
        parser.error("--output belongs to --model: a run folder shows pictures and texts, which embeddings have not")
    inputs = [args.embeddings, args.model, args.input, args.vocab, args.ids, args.data, args.boxes]
    claims = Claims("eval", inputs, args.replace)
    claims.folder(args.output, "a run folder with nothing else in it", runs.is_run_alone)
    claims.file(args.json)
    command = [sys.argv[0], *argv]
    if args.benchmark:
        return benchmark.run(args, command, counter("images and texts"))
    return measure(args) if args.embeddings else own_source.run(args, command, counter())


def measure(args: argparse.Namespace) -> None:
    """Embeddings that were computed before."""
    embeddings = read_embeddings(args.embeddings, args.ids)
    results = retrieval.evaluate(embeddings, args.protocol or "both")
    own_source.show(results, embeddings.notes)
    if args.json:
        told = {"embeddings": args.embeddings, "notes": list(embeddings.notes), "protocols": results}
        write_json(args.json, told, "eval")
