"""Serve an index, or a folder of them, with a page to search on.

Open the address that it prints. DIR is an index, or a folder of indexes, among which the page switches. What is
written to them while it runs is taken up. Ctrl-C or SIGTERM ends it when the requests that run are answered.
"""

import argparse
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Parser, add_engine, between, model_path
from .progress import tell

if TYPE_CHECKING:
    from ..serving.settings import ServerSettings

EXAMPLES = """
ernie-vil2 serve photos.index --open
ernie-vil2 serve indexes --host 0.0.0.0 --key-file key.txt   # other machines, who have the key
"""


def add_server(parser: argparse.ArgumentParser) -> None:
    """The arguments of a server, whichever index it has."""
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="address to listen at (default %(default)s)")
    told = "port to listen at; 0 is one that is free (default %(default)s)"
    parser.add_argument("--port", type=between(int, 0, 65_535), default=8765, metavar="P", help=told)
    told = "file with the key that is asked for (default: the environment's ERNIE_VIL2_KEY, or none)"
    parser.add_argument("--key-file", type=Path, metavar="FILE", help=told)
    parser.add_argument("--public", action="store_true", help="let other machines search without a key")
    told = "host name, beside its own, by which the server may be asked; may be given several times"
    parser.add_argument("--allowed-host", action="append", default=[], metavar="NAME", help=told)
    add_engine(parser)
    told = "searches and encodings that may wait; more are refused for a moment (default %(default)s)"
    parser.add_argument("--queue", type=between(int, 1, 100_000), default=64, metavar="N", help=told)
    told = "threads that search, and as many that read files (default: the cores)"
    parser.add_argument("--threads", type=between(int, 1, 1024), default=0, metavar="N", help=told)
    told = "folder of thumbnails, which can be made anew (default: in the cache of the user)"
    parser.add_argument("--cache", type=Path, metavar="DIR", help=told)
    told = "most that thumbnails take; those that were not seen for longest go (default %(default)s)"
    parser.add_argument("--cache-size", type=between(int, 0, 10**9), default=512, metavar="MB", help=told)


def settings_of(args: argparse.Namespace, folder: Path) -> "ServerSettings":
    """The settings that arguments stand for; ConfigError for what cannot be."""
    from ..serving.guard.keys import read_key
    from ..serving.settings import MIB, ServerSettings

    return ServerSettings(
        folder=folder,
        host=args.host,
        port=args.port,
        public=args.public,
        key=read_key(args.key_file) or "",
        allowed_hosts=tuple(args.allowed_host),
        model=args.model,
        engine=args.engine,
        precision=args.precision,
        queue=args.queue,
        threads=args.threads,
        cache=args.cache,
        cache_bytes=args.cache_size * MIB,
    )


def told_address(folder: Path, opened: bool) -> Callable[[str], None]:
    """Function (address) that tells where to search. opened: whether it opens the page, too."""

    def ready(address: str) -> None:
        tell(f"{folder}: {address} (Ctrl-C ends the server)")
        if opened:  # beside the server, since one in the terminal stays until it is left
            threading.Thread(target=open_page, args=(address,), name="browser", daemon=True).start()

    return ready


def open_page(address: str) -> None:
    """Open an address in the browser, or say that there is none."""
    if not webbrowser.open(address):
        tell("no browser could be opened; open the address yourself")


def parser() -> Parser:
    """The arguments."""
    found = Parser(prog="ernie-vil2 serve", description=__doc__, examples=EXAMPLES)
    found.add_argument("folder", type=Path, metavar="DIR", help="an index, or a folder of indexes")
    found.add_argument("--model", type=model_path, metavar="M", help="where the indexes' model lies, if it was moved")
    add_server(found)
    found.add_argument("--open", action="store_true", help="open the page in the browser")
    return found


def main(argv: list[str] | None = None) -> None:
    """Serve until a signal ends it."""
    args = parser().parse_args(argv)
    settings = settings_of(args, args.folder)
    from ..serving.app import create_app
    from ..serving.binding import bound_socket
    from ..serving.server import serve

    app = create_app(settings)
    with bound_socket(settings.host, settings.port) as bound:
        serve(app, bound, told_address(settings.folder, args.open))
