"""The verb `streams` of `bench`: COOKIE beside a dual encoder and a one-stream scorer."""

import argparse

from ...config.load import load_run
from ...errors import ConfigError
from ...studies.speed import streams
from ..arguments import add_run, count
from ..stopping import stoppable

BASE = "cookie"

EXAMPLES = """
ernie-vil2 bench streams --images 4 --texts 8
"""


@stoppable()
def run(args: argparse.Namespace) -> None:
    """What shared layers cost, and what N images against M texts cost in two streams and in one."""
    config = load_run(args.config, ["data.train=none", *args.override]).model
    if config.system != "cookie":
        raise ConfigError(f"{args.config} is of the system {config.system}; give the configuration of a cookie")
    print(streams.table(streams.compare(config, args.images, args.texts, args.repeats)))


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `streams` to the verbs of an argument parser."""
    verb = verbs.add_parser("streams", help=run.__doc__, description=run.__doc__, examples=EXAMPLES)
    add_run(verb, BASE, plugins=False)
    verb.add_argument("--images", type=count, default=4, metavar="N", help="images of a turn (default %(default)s)")
    verb.add_argument("--texts", type=count, default=8, metavar="N", help="texts of a turn (default %(default)s)")
    verb.add_argument("--repeats", type=count, default=5, metavar="N", help="turns (default %(default)s)")
    verb.set_defaults(run=run)
