"""The verb `split` of `data`: a source in two parts, to train on and to validate with."""

import argparse
import os

from ...data.split import check_request, write_split
from ...errors import ConfigError
from ...files.claim import Claims
from ...files.paths.names import name_text
from ...messages import LEFT_OUT, counted
from ..arguments import add_plugin, add_replace, number, seed
from ..progress import row_bar
from ..sources import SOURCE, opened
from ..stopping import stoppable

EXAMPLES = """
ernie-vil2 data split table.csv own_train.jsonl own_valid.jsonl --share 0.25
"""


@stoppable()
def run(options: argparse.Namespace) -> None:
    """Write a source as two files of JSON lines with no image in common; more rows later move none of the old ones."""
    claims = Claims("data split", [options.source], options.replace)
    for path in (options.train, options.valid):
        if not os.path.isdir(os.path.dirname(path) or "."):
            raise ConfigError(f"the folder of {path} does not exist; create it first")
        claims.file(path)
    check_request(options.train, options.valid, options.share)
    source = opened(options.source)
    progress = row_bar(len(source))
    split = write_split(source, options.train, options.valid, options.share, options.seed, options.embed, progress)
    if split.bad:
        print(f"{counted(split.bad, *LEFT_OUT)}:", *split.reasons, sep="\n")
        if more := split.bad - len(split.reasons):
            print(f"... and {more:,} more; `ernie-vil2 data check` counts them by cause")
    images = split.train.images + split.valid.images
    for part in (split.train, split.valid):
        held = f"{counted(part.rows, 'row')} of {counted(part.images, 'image')}"
        print(f"{name_text(part.path)}: {held} ({part.images / images:.1%})")


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `split` to the verbs of an argument parser."""
    verb = verbs.add_parser(
        "split", help="divide a source by image, to train and to validate", description=run.__doc__, examples=EXAMPLES
    )
    verb.add_argument("source", metavar="SOURCE", help=SOURCE)
    verb.add_argument("train", metavar="TRAIN", help="file of JSON lines to write, below which the images lie")
    verb.add_argument("valid", metavar="VALID", help="the other one, with the share")
    verb.add_argument("--share", type=number, default=0.1, help="of the images that VALID gets (default 0.1)")
    verb.add_argument("--seed", type=seed, default=0, help="another one divides otherwise (default 0)")
    verb.add_argument("--embed", action="store_true", help="put images that are files into the rows, as base64")
    add_plugin(verb)
    add_replace(verb)
    verb.set_defaults(run=run)
