"""The verb `shard` of `data`: a source as tars with an index."""

import argparse
import os

from ...data.images.limits import limits_of
from ...data.sources.tar.write import BAD_NAME, parse_size, write_shards
from ..arguments import add_damaged
from ..progress import row_bar
from ..sources import SOURCE, opened


def run(options: argparse.Namespace) -> None:
    """Write a source as tars; a second call goes on where the first was stopped."""
    limit, source = parse_size(options.size_limit), opened(options.source)
    damaged = limits_of(options.damaged)
    done = write_shards(source, options.out, options.per_shard, limit, row_bar(len(source)), damaged)
    print(f"{options.out}: {done['samples']:,} samples in {len(done['shards']):,} tars, {done['bytes'] / 1e6:,.1f} MB")
    if done["bad"]:
        print(f"{done['bad']:,} bad rows were left out; {os.path.join(options.out, BAD_NAME)} lists them")


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `shard` to the verbs of an argument parser."""
    verb = verbs.add_parser("shard", help="write a source as tars with an index")
    verb.add_argument("source", metavar="SOURCE", help=SOURCE)
    verb.add_argument("out", metavar="OUT", help="folder for 00000.tar, ... and index.json")
    verb.add_argument("--per-shard", type=int, default=10000, help="samples of a tar (default 10000)")
    verb.add_argument("--size-limit", default="1GB", help="bytes of a tar (default 1GB)")
    add_damaged(verb)
    verb.set_defaults(run=run)
