"""Convert weights: `.pdparams` -> model directory, or model directory -> `.pdparams`; every bit is kept.

python tools/convert.py OPEN_ERNIE_VIL2_BASE_ViT.pdparams model --vocab vocab.txt
python tools/convert.py model weights.pdparams
"""

import argparse
import json
from pathlib import Path

from ernie_vil2.checkpoints.safe_pickle import write_pdparams
from ernie_vil2.checkpoints.store import open_model, save_model
from ernie_vil2.errors import CheckpointError, run_tool
from ernie_vil2.model_config import ModelConfig


def read_config(path):
    """The configuration of a model directory's config.json, without its list of files."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        content = {key: value for key, value in content.items() if key not in ("files", "extra")}
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"cannot read the configuration {path} ({error}); give a model directory's config.json"
        ) from None
    return ModelConfig.from_dict(content, str(path))


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="convert", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", metavar="SRC", help="a .pdparams in the release's keys, or a model directory")
    parser.add_argument("target", metavar="DST", help="a model directory to write, or a name that ends with .pdparams")
    parser.add_argument(
        "--vocab", help="the vocabulary; default: the directory's own, or vocab.txt beside the .pdparams"
    )
    parser.add_argument("--config", help="a config.json, for a .pdparams that is not of a released size")
    args = parser.parse_args(argv)
    config = read_config(args.config) if args.config else None
    state, config, vocab = open_model(args.source, args.vocab, config, raw=True)
    image, text = config.image_tower, config.text_tower
    print(
        f"{args.source}: official layout, {len(state)} tensors; image tower {image.depth} x {image.width}, "
        f"patch {image.patch_size}, {image.image_size} px; text tower {text.depth} x {text.width}, "
        f"{text.vocab_size:,} tokens; vocabulary {vocab}"
    )
    for note in state.notes:
        print(f"note: {note}")
    if args.target.endswith(".pdparams"):
        write_pdparams(args.target, state)
        print("note: a .pdparams holds no configuration; keep config.json and give it with --config to come back")
    else:
        save_model(args.target, state, config, vocab)
    print(f"wrote {args.target}")


if __name__ == "__main__":
    run_tool(main)
