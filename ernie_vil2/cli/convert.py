"""Convert weights between this project and others, both ways, and run the result.

The layout of SRC, a file or a folder, is recognised by its keys: that of the release, PaddleNLP, Hugging Face,
PaddleClas, CLIP, open_clip, Chinese-CLIP, timm and BriVL. What was left out, checked and written is printed.
"""

from typing import Any

from ..errors import ConfigError
from ..files.yaml_files import parse_value
from ..messages import brief, quoted
from ..runtime import import_paddle
from .arguments import Parser, add_plugin, add_replace, model_path
from .stopping import stoppable

LONGEST_LINE = 2000
TARGETS = ("model-dir", "official", "paddlenlp", "torch", "brivl")

EXAMPLES = """
ernie-vil2 convert OPEN_ERNIE_VIL2_BASE_ViT.pdparams model --vocab vocab.txt
ernie-vil2 convert ernie-3.0-base-zh text_model       # a folder of PaddleNLP or Hugging Face
ernie-vil2 convert model weights.pdparams             # back to the release's file
ernie-vil2 convert model folder --to paddlenlp
ernie-vil2 convert BriVL-1.0-5500w.pth brivl --vocab vocab.txt
ernie-vil2 convert brivl BriVL.pth --to brivl
"""


def pair(text: str) -> tuple[str, Any]:
    """(name, value) of `name=value`, the value as YAML has it."""
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise ConfigError(f"the option {quoted(text)} is not KEY=VALUE, for example activation=gelu")
    what = f"the value of {quoted(text)}"
    return name, parse_value(what, value, " cannot be read; write it as in a YAML file")


def parser() -> Parser:
    """The arguments."""
    found = Parser(prog="ernie-vil2 convert", description=__doc__, examples=EXAMPLES)
    found.add_argument(
        "source", type=model_path, metavar="SRC", help="weights (.pdparams, .safetensors, .bin, .pt) or a folder"
    )
    found.add_argument("target", metavar="DST", help="what to write; NAME.pdparams is the release's file")
    found.add_argument("--to", choices=TARGETS, help="layout to write (default: model-dir)")
    found.add_argument("--vocab", help="the vocabulary; default: the vocab.txt beside the weights")
    found.add_argument("--config", help="a config.json, for a weights file whose shapes cannot tell everything")
    found.add_argument(
        "-o",
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what the source cannot tell: activation, heads, epsilon, pixels (a preset), projection=false; of BriVL "
        "image_size, max_length, twins=false",
    )
    found.add_argument("--no-check", dest="check", action="store_false", help="do not run source and result")
    add_plugin(found)
    add_replace(found)
    return found


@stoppable()
def main(argv: list[str] | None = None) -> None:
    """Convert, and print what was recognised, left out, checked and written."""
    args = parser().parse_args(argv)
    import_paddle()
    from ..conversion.convert import convert

    options = {}
    for name, value in map(pair, args.option):
        if name in options:
            raise ConfigError(f"the option {quoted(name)} is given twice; keep one of them")
        options[name] = value
    said = convert(
        args.source, args.target, args.to, args.vocab, args.config, options, check=args.check, replace=args.replace
    )
    print(*(brief(line, LONGEST_LINE) for line in said), sep="\n")
