"""Measure a model on your pictures or a benchmark; compare runs; calibrate a threshold.

  --model M --input SOURCE    your own pictures and captions; --output RUN keeps all for `compare`
  --model M --benchmark NAME  figures beside published ones; `scenes` is drawn and needs no --data
  --embeddings PATH           what `ernie-vil2 encode` wrote, or the release's text file
  compare RUN...              runs that were written with --output, side by side
  calibrate INDEX             the score from which two things are the same, from labelled pairs

`ernie-vil2 eval compare --help` and `ernie-vil2 eval calibrate --help` explain these two.
"""

import argparse
import sys

from ...errors import nearest
from ...evaluation import retrieval
from ...evaluation.benchmarks import registry
from ...evaluation.embeddings import read_embeddings
from ...evaluation.runs import results as runs
from ...files.claim import Claims
from ...files.json_files import write_json
from ...messages import brief
from ..arguments import Parser, add_damaged, add_engine, add_replace, model_path
from ..progress import encoded
from ..stopping import stoppable
from . import benchmark, calibrate, compare, own_source

EXAMPLES = """
ernie-vil2 eval --model output/try --input valid.jsonl --output runs/try
ernie-vil2 eval --model output/try --input photos.jsonl --protocol standard --json scores.json
ernie-vil2 eval --model model --benchmark coco-cn --data data/COCO-CN --output runs/coco_cn
ernie-vil2 eval --model output/try --benchmark scenes -o language=en
ernie-vil2 eval --embeddings embeds
ernie-vil2 eval --embeddings vectors.txt --ids ids.txt
ernie-vil2 eval compare runs/try runs/all --output runs/report
ernie-vil2 eval calibrate photos.index --pairs labels.csv
"""
USAGE = """\
ernie-vil2 eval --model M --input SOURCE [--output RUN] [options]
       ernie-vil2 eval --model M --benchmark NAME[@PROTOCOL] [--data DIR] [--output RUN] [options]
       ernie-vil2 eval --embeddings PATH [--ids FILE] [--protocol P] [--json OUT]
       ernie-vil2 eval compare RUN... [--output DIR]
       ernie-vil2 eval calibrate INDEX --pairs FILE [--precision P]"""


def parser() -> Parser:
    """The arguments."""
    found = Parser(prog="ernie-vil2 eval", usage=USAGE, description=__doc__, examples=EXAMPLES)
    what = found.add_mutually_exclusive_group(required=True)
    what.add_argument("--embeddings", metavar="PATH", help="directory written by encode, or the release's text file")
    what.add_argument(
        "--model", type=model_path, metavar="M", help="model directory or .pdparams; needs --input or --benchmark"
    )
    found.add_argument("--input", metavar="SOURCE", help="TSV, JSON lines, folder or scenes: what the model is run on")
    found.add_argument("--vocab", help="vocabulary of a .pdparams")
    found.add_argument("--ids", metavar="FILE", help="image id of every line of a release text file")
    found.add_argument("--protocol", choices=("official", "standard", "both"), help="default both")
    found.add_argument("--skip-broken", action="store_true", help="leave out broken samples and count them")
    add_damaged(found)
    add_engine(found)
    told = "with --model: folder to write figures, provenance, queries and errors to, for `eval compare`"
    found.add_argument("--output", metavar="RUN", help=told)
    found.add_argument("--json", metavar="OUT", help="write the figures to this file")
    add_replace(found)
    benchmark.add_options(found.add_argument_group("public benchmarks"))
    return found


def parsed(argv: list[str]) -> argparse.Namespace:
    """What is asked for; what does not go together is an error."""
    arguments = parser()
    if argv and not argv[0].startswith("-"):
        close = nearest(argv[0], ("compare", "calibrate"))
        hint = f"did you mean {close}?" if close else "begin with --model, --embeddings, compare or calibrate"
        arguments.error(f"{brief(argv[0], 80)!r} is nothing to evaluate; {hint}")
    args = arguments.parse_args(argv)
    if args.model and (args.input is None) == (args.benchmark is None):
        arguments.error("--model needs --input SOURCE, or --benchmark NAME with --data DIR")
    if args.embeddings and (args.input or args.vocab or args.skip_broken or args.benchmark):
        arguments.error("--input, --benchmark, --vocab and --skip-broken belong to --model, not to --embeddings")
    if args.embeddings and args.damaged == "keep":
        arguments.error("--damaged belongs to --model, not to --embeddings, which have no pictures")
    if args.embeddings and (args.engine, args.precision) != ("auto", "fp32"):
        arguments.error("--engine and --precision belong to --model, not to --embeddings, which are computed already")
    if args.model and args.ids:
        arguments.error("--ids belongs to --embeddings; a source has its own ids")
    if args.benchmark and args.protocol:
        arguments.error("--protocol does not go with --benchmark; name a protocol with it, as in coco-cn@1k-official")
    if args.benchmark and args.data is None and not registry.benchmark(args.benchmark).drawn:
        arguments.error("--benchmark needs --data DIR")
    of_benchmarks = args.data, args.split, args.allow_counts, args.boxes, args.options
    if not args.benchmark and any(of_benchmarks):
        arguments.error("--data, --split, --allow-counts, --boxes and -o belong to --benchmark")
    if args.embeddings and args.output:
        arguments.error("--output belongs to --model: a run folder shows pictures and texts, which embeddings have not")
    return args


@stoppable()
def main(argv: list[str] | None = None) -> None:
    """Print a table per protocol; with --json write the figures as well."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] in (["compare"], ["calibrate"]):
        return {"compare": compare, "calibrate": calibrate}[argv[0]].main(argv[1:])
    args = parsed(argv)
    inputs = [args.embeddings, args.model, args.input, args.vocab, args.ids, args.data, args.boxes]
    claims = Claims("eval", inputs, args.replace)
    claims.folder(args.output, "a run folder with nothing else in it", runs.is_run_alone)
    claims.file(args.json)
    command = [sys.argv[0], *argv]
    if args.benchmark:
        return benchmark.run(args, command, encoded("images and texts"))
    return measure(args) if args.embeddings else own_source.run(args, command, encoded("samples"))


def measure(args: argparse.Namespace) -> None:
    """Embeddings that were computed before."""
    embeddings = read_embeddings(args.embeddings, args.ids)
    results = retrieval.evaluate(embeddings, args.protocol or "both")
    own_source.show(results, embeddings.notes)
    if args.json:
        told = {"embeddings": args.embeddings, "notes": list(embeddings.notes), "protocols": results}
        write_json(args.json, told, "eval")
