"""The verb `remove` of `index`: pictures that shall not be in it; their files stay where they are."""

import argparse

from ...errors import ConfigError
from ...messages import counted, plain
from ...search.scan.nearest import renew_neighbours
from ...search.scan.places import root_named
from ...search.scan.removal import take_out
from ...search.store.writer import open_writer
from ..arguments import between
from ..stopping import stoppable

identity = between(int, 0, 2**62)

EXAMPLES = """
ernie-vil2 index remove photos.index --source photos
ernie-vil2 index remove photos.index --path "*/screenshots/*"
ernie-vil2 index remove photos.index --id 3 4
"""


@stoppable()
def run(options: argparse.Namespace) -> None:
    """Take out what is named, and say how much that was."""
    if not (options.source or options.path or options.id):
        raise ConfigError("nothing is named to be removed; give --source, --path or --id")
    if len(options.source) > 1:
        raise ConfigError("--source was given several times; take out one source at a time")
    with open_writer(options.index) as writer:
        root = root_named(writer.manifest, options.source[0]) if options.source else None
        gone = take_out(writer, root, options.path, options.id)
        left = len(writer.snapshot.images)
        print(plain(f"{counted(gone, 'picture')} removed; {options.index} has {left:,}"))
        renew_neighbours(writer)


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `remove` to the verbs of an argument parser."""
    verb = verbs.add_parser(
        "remove", help="take pictures out of an index; no file is deleted", description=run.__doc__, examples=EXAMPLES
    )
    verb.add_argument("index", metavar="DIR", help="the index")
    told = "a source as it was given, or its folder: all of it, or with --path a part; it is not scanned any more"
    verb.add_argument("--source", action="append", default=[], metavar="S", help=told)
    told = "pictures whose path or id is like a pattern, in which * stands for / too; later scans pass over them"
    verb.add_argument("--path", action="extend", nargs="+", default=[], metavar="GLOB", help=told)
    told = "pictures by their numbers, as search prints them; later scans pass over them"
    verb.add_argument("--id", action="extend", nargs="+", type=identity, default=[], metavar="N", help=told)
    verb.set_defaults(run=run)
