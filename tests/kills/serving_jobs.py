"""The verbs `serve` and `up` as jobs that are killed under load: the index stays whole, and the port is free again."""

import io
import shutil
import socket
from pathlib import Path

from PIL import Image

from tests.kills import judge_index
from tests.kills.forked import apart
from tests.kills.index_jobs import INDEXED, PHOTOS, prepare_indexes
from tests.kills.job import Job

PORT = "port.txt"
"""Beside the index: where all servers of a trial listen"""
SERVED = "to-merge"
"""Among the inputs: the index that is served, of pictures that are where they were"""


def begin(inputs: Path, folder: Path) -> None:
    """Choose a port; what is served is among the inputs of the other jobs of indexes."""
    if not (inputs / INDEXED).exists():
        prepare_indexes(inputs)
    with socket.create_server(("127.0.0.1", 0)) as free:
        (folder / PORT).write_text(str(free.getsockname()[1]))


def begin_served(inputs: Path, folder: Path) -> None:
    """The index to be served."""
    begin(inputs, folder)
    shutil.copytree(inputs / SERVED, folder / "out")


def command(folder: Path, verb: str, *arguments: str | Path) -> list[str]:
    """A verb under load. PHOTOS are pictures, one of which has a copy."""
    port = (folder / PORT).read_text()
    more = ("--cache", folder / "cache", "--engine", "paddle")
    return ["tests/kills/loaded_server.py", port, str(PHOTOS + 1), verb, *map(str, (*arguments, *more))]


def serving(inputs: Path, folder: Path) -> list[str]:
    return command(folder, "serve", folder / "out")


def coming_up(inputs: Path, folder: Path) -> list[str]:
    more = ("--model", inputs / "model", "--index", folder / "out", "--every", "1", "--no-open")
    return command(folder, "up", inputs / "photos", *more)


def port_and_thumbnails(folder: Path) -> list[str]:
    """Faults of what a server has beside its index: a port that is still taken, a thumbnail that is torn."""
    faults = []
    try:
        socket.create_server(("127.0.0.1", int((folder / PORT).read_text()))).close()
    except OSError as error:
        faults.append(f"its port is not free: {error}")
    for path in sorted((folder / "cache").rglob("*.jpg")):
        try:
            Image.open(io.BytesIO(path.read_bytes())).load()
        except OSError as error:
            faults.append(f"{path.relative_to(folder)} is torn: {error}")
    return faults


def unchanged(folder: Path, right: Path) -> list[str]:
    """A server that was killed, or has ended: it writes nothing into an index."""
    return [*port_and_thumbnails(folder), *apart(judge_index.wrong, folder, right)]


def torn(folder: Path, right: Path) -> list[str]:
    """`up` that was killed: the index has what was committed."""
    return [*port_and_thumbnails(folder), *apart(judge_index.torn, folder, right, False, False)]


SERVING_JOBS = (
    Job("serve", serving, torn=unchanged, wrong=unchanged, begin=begin_served),
    Job("up folder", coming_up, torn=torn, wrong=unchanged, begin=begin),
)
