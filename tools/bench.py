"""Measure on this machine: speed against a plain use of the same steps, memory, and what the views are worth."""

import argparse
import sys

from ernie_vil2.errors import run_tool
from ernie_vil2.training import ablation, memory_bench, scaling_verb, throughput


def encode(args):
    """Compare encoding with the plain use of the same layers."""
    from ernie_vil2.inference import bench

    print(bench.table(bench.compare(args.model, args.vocab, args.images, args.texts, args.repeats, note)))


def loader(args):
    """Training samples per second and core, by stage; or with --memory whether the loader's memory grows."""
    from ernie_vil2.data import bench

    if args.memory:
        for seen, megabytes in bench.memory(args.samples or 100_000, args.workers, note=note):
            print(f"{seen:>9,} samples {megabytes:9.1f} MB resident, {args.workers} workers and their parent")
    else:
        print(bench.table(bench.compare(args.samples or 1024, args.quality, args.repeats, note)))


def note(line):
    """Tell a person who watches how far it is."""
    if sys.stderr.isatty():
        print(line, file=sys.stderr)


def count(text):
    """A number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def main(argv=None):
    """Run one benchmark."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    verbs = parser.add_subparsers(metavar="WHAT", required=True)
    verb = verbs.add_parser("encode", help=encode.__doc__, description=encode.__doc__)
    verb.add_argument("--model", metavar="M", help="model directory or .pdparams; default: random weights, base size")
    verb.add_argument("--vocab", help="vocabulary of a .pdparams")
    verb.add_argument("--images", type=count, default=16, metavar="N", help="images of a turn (default 16)")
    verb.add_argument("--texts", type=count, default=64, metavar="N", help="texts of a turn (default 64)")
    verb.add_argument("--repeats", type=count, default=3, metavar="N", help="turns of each side (default 3)")
    verb.set_defaults(run=encode)
    verb = verbs.add_parser("loader", help=loader.__doc__, description=loader.__doc__)
    verb.add_argument("--memory", action="store_true", help="measure memory instead of speed")
    verb.add_argument("--samples", type=count, metavar="N", help="default 1024, and 100000 with --memory")
    verb.add_argument("--quality", type=count, default=85, metavar="Q", help="of the JPEGs, 1 to 100 (default 85)")
    verb.add_argument("--repeats", type=count, default=3, metavar="N", help="turns of each side (default 3)")
    verb.add_argument("--workers", type=count, default=2, metavar="N", help="processes, with --memory (default 2)")
    verb.set_defaults(run=loader)
    memory_bench.add_verb(verbs, count)
    throughput.add_verb(verbs, count)
    ablation.add_verb(verbs, count)
    scaling_verb.add_verb(verbs, count)
    args = parser.parse_args(argv)
    return args.run(args)


if __name__ == "__main__":
    run_tool(main)
