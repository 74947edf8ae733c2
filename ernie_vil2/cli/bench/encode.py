"""The verb `encode` of `bench`: encoding by the release, by this project's engines, and by torch."""

import argparse
from pathlib import Path

from ...files.claim import Claims
from ...files.json_files import write_json
from ...messages import plain
from ...studies.speed.encoding.comparison import compare
from ...studies.speed.encoding.report import COMMAND, content, tables
from ...studies.speed.encoding.sides import SIDES
from ...studies.speed.turns.torch_python import TORCH_PYTHON
from ..arguments import add_replace, count, model_path
from ..progress import note
from ..stopping import stoppable

EXAMPLES = """
ernie-vil2 bench encode --model output/try
ernie-vil2 bench encode --only-sides "openvino fp32" --json encode.json
"""


@stoppable()
def run(args: argparse.Namespace) -> None:
    """Compare encoding: the release's way, dynamic mode, every engine and precision, and torch; speeds and outputs."""
    claims = Claims(COMMAND, [args.model, args.vocab, args.torch], args.replace)
    claims.file(args.json)
    names = None if args.only_sides is None else [name.strip() for name in args.only_sides.split(",")]
    found = compare(args.model, args.vocab, args.images, args.texts, args.repeats, names, args.torch, note)
    print(tables(found))
    if args.json:
        write_json(args.json, content(found), COMMAND)
        print(plain(f"wrote {args.json}"))


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `encode` to the verbs of an argument parser."""
    verb = verbs.add_parser("encode", help=run.__doc__, description=run.__doc__, examples=EXAMPLES)
    verb.add_argument(
        "--model", type=model_path, metavar="M", help="model directory or .pdparams; default: random weights, base size"
    )
    verb.add_argument("--vocab", help="vocabulary of a .pdparams")
    told = f"separated by commas, beside dynamic; default: all of {', '.join(SIDES)}"
    verb.add_argument("--only-sides", metavar="NAMES", help=told)
    told = "the Python of an environment with torch, for its sides (default: %s, which make interop fills)"
    verb.add_argument("--torch", type=Path, metavar="PYTHON", help=told % TORCH_PYTHON)
    verb.add_argument("--images", type=count, default=64, metavar="N", help="images of a turn (default %(default)s)")
    verb.add_argument(
        "--texts", type=count, default=256, metavar="N", help="captions of a turn and length (%(default)s)"
    )
    verb.add_argument("--repeats", type=count, default=3, metavar="N", help="turns of each side (default %(default)s)")
    verb.add_argument("--json", metavar="OUT", help="write all that was measured to this file")
    add_replace(verb)
    verb.set_defaults(run=run)
