"""Mix the weights of two models, for example before and after fine-tuning.

OUT becomes a model directory with (1 - share) A + share B.
"""

from ..checkpoints.interpolate import interpolate, is_between
from ..checkpoints.model_directory import is_model
from ..files.claim import Claims
from ..messages import plain
from .arguments import Parser, add_plugin, add_replace, model_path, number
from .stopping import stoppable

EXAMPLES = """
ernie-vil2 interpolate model output/own mixed --share 0.5
"""


def parser() -> Parser:
    """The arguments."""
    found = Parser(prog="ernie-vil2 interpolate", description=__doc__, examples=EXAMPLES)
    found.add_argument("first", type=model_path, metavar="A", help="model directory, for example before fine-tuning")
    found.add_argument(
        "second", type=model_path, metavar="B", help="model directory of the same sizes, for example after it"
    )
    found.add_argument("target", metavar="OUT", help="model directory to write")
    found.add_argument("--share", type=number, default=0.5, help="share of B in [0, 1]; default 0.5")
    add_plugin(found)
    add_replace(found)
    return found


@stoppable()
def main(argv: list[str] | None = None) -> None:
    """Write a model directory with (1 - share) * A + share * B."""
    args = parser().parse_args(argv)
    claims = Claims("interpolate", [args.first, args.second], args.replace)
    claims.folder(args.target, "a model directory", is_between, is_model)
    interpolate(args.first, args.second, args.target, args.share, args.replace)
    print(plain(f"wrote {args.target}: {1 - args.share:g} of {args.first}, {args.share:g} of {args.second}"))
