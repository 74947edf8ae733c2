"""Measure speed on this machine: `bench.py encode` prints images/s and texts/s against a plain use of the layers."""
import argparse
import sys

from ernie_vil2.errors import run_tool


def encode(args):
    """Compare encoding with the plain use of the same layers."""
    from ernie_vil2.inference import bench

    def note(line):
        if sys.stderr.isatty():
            print(line, file=sys.stderr)

    print(bench.table(bench.compare(args.model, args.vocab, args.images, args.texts, args.repeats, note)))


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
    args = parser.parse_args(argv)
    return args.run(args)


if __name__ == "__main__":
    run_tool(main)
