"""The verb `shard` of `data`: a source as tars with an index."""

import argparse
import os
import re
from pathlib import Path

from ...data.images.limits import limits_of
from ...data.sources.tar.manifest import NAME, read_manifest
from ...data.sources.tar.write import BAD_NAME, parse_size, write_shards
from ...files.atomic import reported
from ...files.claim import Claims
from ...messages import LEFT_OUT, counted, plain
from ..arguments import add_damaged, add_plugin, add_replace, whole
from ..progress import row_bar
from ..sources import SOURCE, opened
from ..stopping import stoppable

OWN = re.compile(r"\d{5,}\.tar(\.index)?|index\.json|bad\.txt|pictures\.sqlite[-\w]*|.+\.tmp-.+")
"""What this verb writes into a folder, beside which nothing may be lost"""

EXAMPLES = """
ernie-vil2 data shard photos.jsonl shards                    # goes on after a stop
ernie-vil2 data shard table.csv shards --per-shard 5000 --size-limit 500MB
"""


@stoppable(kept=True)
def run(options: argparse.Namespace) -> None:
    """Write a source as tars; a second call goes on where the first was stopped."""
    limit, damaged = parse_size(options.size_limit), limits_of(options.damaged)
    claims = Claims("data shard", [options.source], options.replace)
    claims.folder(options.out, "a folder of shards alone", holds_shards)
    source = opened(options.source)
    with reported(options.out, "finished tars are kept, the same command goes on"):
        done = write_shards(
            source, options.out, options.per_shard, limit, row_bar(len(source)), damaged, options.replace
        )
    samples, tars = counted(done["samples"], "sample"), counted(len(done["shards"]), "tar")
    print(plain(f"{options.out}: {samples} in {tars}, {done['bytes'] / 1e6:,.1f} MB"))
    if done["bad"]:
        print(plain(f"{counted(done['bad'], *LEFT_OUT)}, see {os.path.join(options.out, BAD_NAME)}"))


def holds_shards(folder: Path) -> bool:
    """Whether this verb wrote into a folder, or was killed before it could."""
    names = os.listdir(folder)
    if read_manifest(folder) is None:
        return all(name.startswith(f"{NAME}.tmp-") for name in names)
    return all(OWN.fullmatch(name) for name in names)


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `shard` to the verbs of an argument parser."""
    verb = verbs.add_parser(
        "shard", help="write a source as tars with an index", description=run.__doc__, examples=EXAMPLES
    )
    verb.add_argument("source", metavar="SOURCE", help=SOURCE)
    verb.add_argument("out", metavar="OUT", help="folder for 00000.tar, ... and index.json")
    verb.add_argument("--per-shard", type=whole, default=10000, help="samples of a tar (default 10000)")
    verb.add_argument("--size-limit", default="1GB", help="bytes of a tar (default 1GB)")
    add_plugin(verb)
    add_replace(verb)
    add_damaged(verb)
    verb.set_defaults(run=run)
