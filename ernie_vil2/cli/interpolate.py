"""Weights between two models: interpolate.py A B OUT --share 0.5 (0: those of A, 1: those of B)."""

from ..checkpoints.interpolate import interpolate, is_between
from ..checkpoints.model_directory import is_model
from ..files.claim import Claims
from ..messages import plain
from .arguments import Parser, add_plugin, add_replace, model_path, number
from .stopping import stoppable


@stoppable()
def main(argv: list[str] | None = None) -> None:
    """Write a model directory with (1 - share) * A + share * B."""
    parser = Parser(prog="interpolate", description=__doc__)
    parser.add_argument("first", type=model_path, metavar="A", help="model directory, for example before fine-tuning")
    parser.add_argument(
        "second", type=model_path, metavar="B", help="model directory of the same sizes, for example after it"
    )
    parser.add_argument("target", metavar="OUT", help="model directory to write")
    parser.add_argument("--share", type=number, default=0.5, help="share of B in [0, 1]; default 0.5")
    add_plugin(parser)
    add_replace(parser)
    args = parser.parse_args(argv)
    claims = Claims("interpolate", [args.first, args.second], args.replace)
    claims.folder(args.target, "a model directory", is_between, is_model)
    interpolate(args.first, args.second, args.target, args.share, args.replace)
    print(plain(f"wrote {args.target}: {1 - args.share:g} of {args.first}, {args.share:g} of {args.second}"))
