"""Convert weights between this project and others; the layout of SRC is recognised by its keys, and the result is run.

ernie-vil2 convert OPEN_ERNIE_VIL2_BASE_ViT.pdparams model --vocab vocab.txt
ernie-vil2 convert ernie-3.0-base-zh text_model          a folder of PaddleNLP or Hugging Face, or a file
ernie-vil2 convert model weights.pdparams                back to the release's file
ernie-vil2 convert model folder --to paddlenlp
ernie-vil2 convert BriVL-1.0-5500w.pth model --vocab vocab.txt
ernie-vil2 convert model BriVL.pth --to brivl
"""

import argparse
from typing import Any

from ..errors import ConfigError
from ..files.yaml_files import parse_value
from ..messages import brief, quoted
from ..runtime import import_paddle
from .arguments import Parser, add_plugin, add_replace, model_path
from .stopping import stoppable

LONGEST_LINE = 2000
TARGETS = ("model-dir", "official", "paddlenlp", "torch", "brivl")


def pair(text: str) -> tuple[str, Any]:
    """(name, value) of `name=value`, the value as YAML has it."""
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise ConfigError(f"the option {quoted(text)} is not KEY=VALUE, for example activation=gelu")
    what = f"the value of {quoted(text)}"
    return name, parse_value(what, value, " cannot be read; write it as in a YAML file")


@stoppable()
def main(argv: list[str] | None = None) -> None:
    """Convert, and print what was recognised, left out, checked and written."""
    parser = Parser(prog="convert", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "source", type=model_path, metavar="SRC", help="weights (.pdparams, .safetensors, .bin, .pt) or a folder"
    )
    parser.add_argument("target", metavar="DST", help="what to write; NAME.pdparams is the release's file")
    parser.add_argument("--to", choices=TARGETS, help="layout to write (default: model-dir)")
    parser.add_argument("--vocab", help="the vocabulary; default: the vocab.txt beside the weights")
    parser.add_argument("--config", help="a config.json, for a weights file whose shapes cannot tell everything")
    parser.add_argument(
        "-o",
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what the source cannot tell: activation, heads, epsilon, pixels (a preset), projection=false; of BriVL "
        "image_size, max_length, twins=false",
    )
    parser.add_argument("--no-check", dest="check", action="store_false", help="do not run source and result")
    add_plugin(parser)
    add_replace(parser)
    args = parser.parse_args(argv)
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
