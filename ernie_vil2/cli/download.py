"""Fetch released weights and vocabularies by name, with checksums.

What is there already is only checked; after a stop the same command goes on.
"""

import functools
import time
from collections.abc import Callable

from ..checkpoints.download.catalogue import listing
from ..checkpoints.download.download import MIRRORS, download
from ..checkpoints.download.http_file import Limits
from ..messages import plain
from . import progress
from .arguments import Parser, number
from .stopping import stoppable

EXAMPLES = """
ernie-vil2 download --list
ernie-vil2 download ernie-vil2-base-vit-zh                   # goes on after a stop
ernie-vil2 download ernie-vil2-base-vit-zh --offline         # check what is there
ernie-vil2 download ernie-vil2-base-vit-zh --mirror https://files.example.com/models
"""


def byte_counter() -> Callable[[int, int | None], None] | None:
    """Function (bytes so far, whole length or None) that keeps one line on a terminal up to date; None elsewhere."""
    if not progress.watched():
        return None
    shown = 0.0

    def show(done: int, total: int | None) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown > 0.2 or done == total:
            shown = now
            share = f" of {total / 1e6:,.1f} MB, {100 * done / total:.0f} %" if total else " MB"
            progress.rewrite(f"{done / 1e6:,.1f}{share}", done == total)

    return show


def parser() -> Parser:
    """The arguments."""
    found = Parser(prog="ernie-vil2 download", description=__doc__, examples=EXAMPLES)
    found.add_argument("name", metavar="NAME", nargs="?", help="one of --list")
    found.add_argument("--list", action="store_true", help="print names, files and where they come from")
    found.add_argument(
        "--output", metavar="DIR", default="downloads", help="files go to DIR/NAME (default: %(default)s)"
    )
    found.add_argument(
        "--mirror",
        metavar="URL",
        action="append",
        default=[],
        help=f"base address tried first, as URL/NAME/FILE and URL/FILE; repeatable; also the variable {MIRRORS}",
    )
    found.add_argument("--sha256", metavar="HEX", help="what the weights (the first file of the name) must have")
    found.add_argument("--offline", action="store_true", help="ask nothing of the network: only check what is there")
    found.add_argument("--timeout", metavar="SECONDS", type=number, default=30, help="of silence; default: %(default)s")
    found.add_argument("--limit", metavar="GB", type=number, default=20, help="of one file (default: %(default)s)")
    return found


@stoppable(kept=True)
def main(argv: list[str] | None = None) -> None:
    """Print what was found, fetched and checked, and the folder."""
    arguments = parser()
    args = arguments.parse_args(argv)
    if args.list:
        print(listing())
        return
    if not args.name:
        arguments.error("give a NAME, or --list")
    if not (0 < args.timeout <= 86400 and 0 < args.limit <= 1e6):
        arguments.error("--timeout is above 0 and at most a day, --limit above 0 and at most a million")
    limits = Limits(timeout=args.timeout, size=args.limit * 1e9)
    tell, show = functools.partial(print, flush=True), byte_counter()
    folder = download(args.name, args.output, args.mirror, args.sha256, args.offline, limits, tell, show)
    print(plain(f"all files of {args.name} are in {folder}"))
