"""The verb `loader` of `bench`: how fast training samples are made, and whether memory grows."""

import argparse

from ...studies.speed import loader
from ...studies.speed.loader_memory import memory
from ..arguments import between, count
from ..progress import note
from ..stopping import stoppable

EXAMPLES = """
ernie-vil2 bench loader
ernie-vil2 bench loader --memory --workers 4
"""


@stoppable()
def run(args: argparse.Namespace) -> None:
    """Training samples per second and core, by stage; or with --memory whether the loader's memory grows."""
    if args.memory:
        for seen, megabytes in memory(args.samples or 100_000, args.workers, note=note):
            print(f"{seen:>9,} samples {megabytes:9.1f} MB resident, {args.workers} workers and their parent")
    else:
        print(loader.table(loader.compare(args.samples or 1024, args.quality, args.repeats, note)))


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `loader` to the verbs of an argument parser."""
    verb = verbs.add_parser("loader", help=run.__doc__, description=run.__doc__, examples=EXAMPLES)
    verb.add_argument("--memory", action="store_true", help="measure memory instead of speed")
    verb.add_argument("--samples", type=count, metavar="N", help="default 1024, and 100000 with --memory")
    verb.add_argument(
        "--quality", type=between(int, 1, 100), default=85, metavar="Q", help="of the JPEGs, 1 to 100 (default 85)"
    )
    verb.add_argument("--repeats", type=count, default=3, metavar="N", help="turns of each side (default 3)")
    verb.add_argument("--workers", type=count, default=2, metavar="N", help="processes, with --memory (default 2)")
    verb.set_defaults(run=run)
