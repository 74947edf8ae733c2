"""The verbs of `index` as jobs that are killed, and what they begin with: pictures, a table, indexes of these."""

import os
import shutil
from pathlib import Path

import numpy as np

from tests.kills import judge_index
from tests.kills.forked import Forked, apart, small_steps
from tests.kills.inputs import write_table
from tests.kills.job import Job

INDEXED = "indexed"
"""Among the inputs: the index that most jobs begin with"""
PHOTOS = 36
TABLE_ROWS = 98
"""Of a table with captions: three a picture, one of them with a picture that cannot be read"""


def draw(path: Path, seed: int) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)).save(path, "PNG")


def write_photos(folder: Path, first: int) -> None:
    """A folder of pictures, with a copy of one, a picture that is none, and a text."""
    for number in range(PHOTOS):
        draw(folder / "ab"[number % 2] / f"{number:03d}.png", first + number)
    shutil.copy(folder / "a/000.png", folder / "b/copy.png")
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_bytes(b"text")


def rearrange(folder: Path) -> None:
    """Move, rename, edit, touch, add and delete pictures."""
    os.rename(folder / "a", folder / "elsewhere")
    for number in range(1, 9, 2):
        os.unlink(folder / f"b/{number:03d}.png")
    os.rename(folder / "b/011.png", folder / "renamed.png")
    for number in (21, 23, 25):
        draw(folder / f"b/{number:03d}.png", 5000 + number)
    os.utime(folder / "b/027.png", ns=(1, 1))
    for number in range(12):
        draw(folder / f"new/{number}.png", 6000 + number)
    draw(folder / "broken.png", 7000)


def run(inputs: Path, *arguments: str | Path) -> None:
    """A verb that nobody disturbs."""
    with open(inputs / "output.txt", "ab") as output:
        status = Forked(["tools/index.py", *arguments], output, lambda: small_steps(inputs / "commits.txt")).wait()
    if status:
        raise RuntimeError(f"index {arguments[0]} fails: {(inputs / 'output.txt').read_text('utf-8')[-2000:]}")


def prepare_indexes(inputs: Path) -> None:
    """Pictures, a table, and: an index of pictures that were rearranged since, one of all, with some removed, and one
    to be merged."""
    write_photos(inputs / "photos", 0)
    write_photos(inputs / "rearranged", 1000)
    write_table(inputs / "captions.tsv", TABLE_ROWS)
    model = ["--model", inputs / "model", "--engine", "paddle"]
    run(inputs, "build", inputs / INDEXED, inputs / "rearranged", *model)
    run(inputs, "build", inputs / "to-merge", inputs / "photos", inputs / "captions.tsv", *model)
    shutil.copytree(inputs / INDEXED, inputs / "fragments")
    run(inputs, "add", inputs / "fragments", inputs / "captions.tsv")
    run(inputs, "remove", inputs / "fragments", "--path", "a/00*", "图1*")
    rearrange(inputs / "rearranged")


def index_job(verb: str, *arguments: str, begin: str = "", name: str = "", older: bool = False) -> Job:
    """A verb on the index `out`. arguments: those that begin with @ are inputs; begin: the index to begin with, by
    default none; older: whether until the end that one is what lies there."""

    def command(inputs: Path, folder: Path) -> list[str]:
        rest = [str(inputs / one[1:]) if one.startswith("@") else one for one in arguments]
        return ["tools/index.py", verb, str(folder / "out"), *rest]

    def lay(inputs: Path, folder: Path) -> None:
        if begin:
            shutil.copytree(inputs / begin, folder / "out")
        if older:
            shutil.copytree(inputs / begin, folder / "older")

    def torn(folder: Path, right: Path) -> list[str]:
        return apart(judge_index.torn, folder, right, bool(begin), older)

    return Job(
        f"index {name or verb}",
        command,
        torn=torn,
        wrong=lambda folder, right: apart(judge_index.wrong, folder, right),
        begin=lay,
        forked=True,
    )


MODEL = ("--model", "@model", "--engine", "paddle")
INDEX_JOBS = (
    index_job("build", "@photos", *MODEL),
    index_job("update", begin=INDEXED),
    index_job("add", "@captions.tsv", "@photos", begin=INDEXED),
    index_job("remove", "--path", "a/01*", "b/*", begin="fragments"),
    index_job("compact", "--type", "hnsw", begin="fragments"),
    index_job("merge", "@to-merge", begin=INDEXED),
    index_job("build", "@captions.tsv", *MODEL, name="build of captions"),
    index_job(
        "build", "@photos", "--rebuild", "--model", "@other", *MODEL[2:], begin=INDEXED, name="rebuild", older=True
    ),
)
