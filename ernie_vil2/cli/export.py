"""Write a model for Paddle Inference, ONNX, OpenVINO or transformers, and run it.

OUT becomes a folder of both towers, export.json, which says all that a reader of pictures and texts must know,
a client that needs nothing of this project, and what that client imports. A difference of more than 1e-4
between embeddings of the files and of the model leaves nothing; docs/export.md says more.
"""

import sys

from ..config.model import MAX_POSITIONS
from ..data.sources.base import Source
from ..messages import plain
from ..runtime import import_paddle
from .arguments import Parser, add_plugin, add_replace, between, model_path
from .sources import SOURCE, opened
from .stopping import stoppable

tokens = between(int, 3, MAX_POSITIONS)

EXAMPLES = """
ernie-vil2 export output/try out/paddle --to paddle
ernie-vil2 export output/try out/onnx --to onnx --max-length 64
ernie-vil2 export output/try out/openvino --to openvino --source photos.jsonl
ernie-vil2 export model out/transformers --to transformers
"""


def parser() -> Parser:
    """The arguments."""
    found = Parser(prog="ernie-vil2 export", description=__doc__, examples=EXAMPLES)
    found.add_argument("model", type=model_path, metavar="MODEL", help="model directory, folder of a run, or .pdparams")
    found.add_argument("target", metavar="OUT", help="the folder to write")
    found.add_argument("--to", required=True, metavar="TARGET", help="paddle, onnx, openvino or transformers")
    found.add_argument(
        "--weights",
        default="average",
        metavar="average|trained",
        help="of a checkpoint: the model to use, averaged if the run does that (default), or its last parameters",
    )
    found.add_argument(
        "--max-length", type=tokens, metavar="N", help="tokens of the longest text; default: the model's own"
    )
    found.add_argument(
        "--source", metavar="SOURCE", help=f"what the files are tried on, by default drawn scenes: {SOURCE}"
    )
    found.add_argument("--vocab", help="vocabulary of a .pdparams")
    add_plugin(found)
    add_replace(found)
    return found


@stoppable()
def main(argv: list[str] | None = None) -> None:
    """Export, and print what was found by running it."""
    args = parser().parse_args(argv)
    import_paddle()
    from ..export.export import export

    source: Source | None = opened(args.source, sys.stderr) if args.source else None
    said = export(
        args.model,
        args.target,
        args.to,
        vocab=args.vocab,
        weights=args.weights,
        max_length=args.max_length,
        source=source,
        replace=args.replace,
    )
    print(*map(plain, said), sep="\n")
