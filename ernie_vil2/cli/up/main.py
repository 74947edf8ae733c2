"""Index a folder of pictures and videos, open a page to search on, keep both current.

The index is made beside the folder, unless --index says where. The page shows the first pictures while the
others are being indexed; from then on the folder is looked at again and again, and what is new, moved, changed
or gone is taken up. Ctrl-C or SIGTERM ends it; what is indexed is kept, and the same command goes on.
"""

import dataclasses
from pathlib import Path

from ...errors import UserError
from ...files.paths.names import name_text
from ...serving.upkeep import Upkeep, ended
from ..arguments import Parser, between
from ..index.scanning import add_choice
from ..progress import tell
from ..serve import add_server, settings_of, told_address
from ..stopping import stoppable
from .folder_index import folder_index

seconds = between(float, 1.0, 1e6)

EXAMPLES = """
ernie-vil2 up photos --model output/try
ernie-vil2 up photos --index /data/photos.index --every 600 --no-open
ernie-vil2 up photos --model model --precision bf16 --port 9000
"""


def parser() -> Parser:
    """The arguments."""
    found = Parser(prog="ernie-vil2 up", description=__doc__, examples=EXAMPLES)
    found.add_argument("folder", metavar="FOLDER", help="folder of pictures and videos, or another source of them")
    found.add_argument("--index", metavar="DIR", help="where the index is, or will be (default: FOLDER.index)")
    told = "seconds between two looks at the folder (default %(default)g)"
    found.add_argument("--every", type=seconds, default=60.0, metavar="S", help=told)
    told = "frames of videos: `every 2 s` (default), or a number of frames of each, evenly"
    found.add_argument("--frames", default="", metavar="F", help=told)
    add_choice(found, "model directory, the folder of a run, or .pdparams; of an index that is there its own (default)")
    add_server(found)
    found.set_defaults(engine="", precision="")
    found.add_argument("--no-open", dest="open", action="store_false", help="open no browser")
    return found


def unmade(folder: Path, status: int) -> int:
    """The status to leave with where no index could be made; UserError where the process could not tell why itself."""
    if status >= 0:
        return status
    why = f"making the index {ended(status)}, perhaps for want of memory"
    raise UserError(f"{name_text(str(folder))}: {why}; give the command again")


@stoppable(kept=True)
def main(argv: list[str] | None = None) -> int | None:
    """Index, serve and update until a signal ends it."""
    options = parser().parse_args(argv)
    index = folder_index(options)
    engine = {"model": options.model or None, "engine": options.engine or "auto"}
    settings = dataclasses.replace(settings_of(options, index.folder), **engine, precision=options.precision or "fp32")
    from ...serving.app import create_app
    from ...serving.binding import bound_socket
    from ...serving.server import serve

    with bound_socket(settings.host, settings.port, or_next=True) as bound:
        port = bound.getsockname()[1]
        if settings.port not in (0, port):
            tell(f"port {settings.port} is taken, so it is {port}")
        upkeep = Upkeep(index.command, index.exists, options.every, tell)
        upkeep.start()
        try:
            if not upkeep.begun():
                return unmade(settings.folder, upkeep.first)
            app = create_app(dataclasses.replace(settings, port=port))
            serve(app, bound, told_address(settings.folder, options.open))
        finally:
            upkeep.stop()
    return None
