"""The two output formats of encoding: arrays with ids, and the release's lines of text."""

import json
import math
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data.sources.base import SIDES
from ..errors import ConfigError, DataError
from ..files.atomic import atomic_file, behind_link, replace_directory, sync_directory
from ..files.json_files import read_json
from ..files.text import ContentError
from ..keys import stable_hash
from .journal import DATABASE, Journal

HEADER_BYTES = 128
TEXT_KEYS = "text_keys.npy"
FILES = {"image": ("image.npy", "image_ids.txt"), "text": ("text.npy", "text_ids.txt", TEXT_KEYS)}
"""Of each side in a directory of arrays"""
Row = tuple[str, Sequence[str], np.ndarray | None, np.ndarray | None]
"""Image id, texts [N], text vectors [N, D] (None: images alone), and the image vector [D] where it is asked for"""


class Arrays:
    """A directory: image.npy [N, D] and text.npy [M, D] float32, image_ids.txt (a distinct id a line, in the order of
    their first appearance), text_ids.txt (the image id of each text) and text_keys.npy int64 [M], by which equal texts
    are known. Of one side alone, the files of that.
    """

    name = "npy"
    once_per_id = is_folder = True

    def __init__(self, out: str | os.PathLike, dim: int, sides: Collection[str] = SIDES):
        self.out, self.sides = behind_link(out), sides
        self.files = (*(name for side in sides for name in FILES[side]), "bad.jsonl")
        self.work = self.out.with_name(self.out.name + ".partial")
        self.record = self.out / "run.json"
        self.bad = self.out / "bad.jsonl"
        arrays = {"image.npy": ("<f4", (dim,)), "text.npy": ("<f4", (dim,)), TEXT_KEYS: ("<i8", ())}
        self.arrays = {name: form for name, form in arrays.items() if name in self.files}

    def occupied(self) -> bool:
        """Whether something is in the way of the output."""
        return self.out.exists() and not (self.out.is_dir() and not any(self.out.iterdir()))

    def is_own(self) -> bool:
        """Whether an existing output is one of these."""
        return read_record(self.record).get("format") == self.name

    def begin(self, journal: Journal) -> None:
        """Leave room for the headers, whose row counts are known at the end."""
        for name, (kind, width) in self.arrays.items():
            journal.write(name, header(kind, 0, width))

    def write(self, journal: Journal, rows: Sequence[Row], fresh: Mapping[str, np.ndarray]) -> None:
        """rows: [(id, texts, text vectors, image vector)]; fresh: {id: image vector} of images not written before."""
        for key, vector in fresh.items():
            journal.write("image.npy", vector.astype("<f4").tobytes())
            journal.write("image_ids.txt", f"{key}\n".encode())
        for key, texts, vectors, _ in rows if "text" in self.sides else ():
            for text, vector in zip(texts, vectors, strict=True):
                journal.write("text.npy", vector.astype("<f4").tobytes())
                journal.write("text_ids.txt", f"{key}\n".encode())
                journal.write(TEXT_KEYS, np.int64(stable_hash(text)).astype("<i8").tobytes())

    def complete(self, journal: Journal) -> None:
        """Write the true headers, before the last commit."""
        for name, (kind, width) in self.arrays.items():
            handle = journal.files[name]
            count = (handle.tell() - HEADER_BYTES) // (np.dtype(kind).itemsize * math.prod(width))
            handle.seek(0)
            handle.write(header(kind, count, width))
            handle.seek(0, os.SEEK_END)

    def publish(self, record: Mapping[str, Any]) -> None:
        """Rename the finished directory; may be repeated after a kill at any place in it."""
        if self.work.exists():
            if not record["bad rows"]:
                (self.work / "bad.jsonl").unlink(missing_ok=True)
            write_record(self.work / "run.json", record)
            replace_directory(self.work, self.out)
        (self.out / DATABASE).unlink(missing_ok=True)


class ReleaseLines:
    """A file of lines `text vector TAB image vector TAB 1`, numbers separated by blanks, one per text of a good row."""

    name = "release"
    files = ("rows.tsv", "bad.jsonl")
    once_per_id = is_folder = False

    def __init__(self, out: str | os.PathLike, dim: int, sides: Collection[str] = SIDES):
        if set(sides) != set(SIDES):
            raise ConfigError("the format release has both sides in every line; encode both, or choose the format npy")
        self.out, self.sides = Path(out), sides
        self.work, self.record, self.bad = (
            self.out.with_name(self.out.name + suffix) for suffix in (".partial", ".run.json", ".bad.jsonl")
        )
        self.dim = dim

    def occupied(self) -> bool:
        return self.out.exists()

    def is_own(self) -> bool:
        """Whether an existing output is one of these, or a kill left it without the last of its files."""
        begun = not self.out.exists() and (self.work / DATABASE).exists()
        return begun or read_record(self.record).get("format") == self.name

    def begin(self, journal: Journal) -> None:
        """Nothing comes before the first line."""

    def write(self, journal: Journal, rows: Sequence[Row], fresh: Mapping[str, np.ndarray]) -> None:
        """Arguments as for Arrays; every row has its image vector."""
        for _, _, vectors, image in rows:
            for vector in vectors:
                journal.write("rows.tsv", f"{numbers(vector)}\t{numbers(image)}\t1\n".encode())

    def complete(self, journal: Journal) -> None:
        """Nothing comes after the last line."""

    def publish(self, record: Mapping[str, Any]) -> None:
        """Move the files to their places, the output last; may be repeated after a kill at any place in it."""
        if not record["bad rows"]:
            self.bad.unlink(missing_ok=True)
        elif (self.work / "bad.jsonl").exists():
            os.replace(self.work / "bad.jsonl", self.bad)
        write_record(self.record, record)
        if (self.work / "rows.tsv").exists():
            os.replace(self.work / "rows.tsv", self.out)
        sync_directory(self.out.parent)
        shutil.rmtree(self.work, ignore_errors=True)


FORMATS = {item.name: item for item in (Arrays, ReleaseLines)}


def header(kind: str, count: int, width: tuple[int, ...]) -> bytes:
    """The first 128 bytes of a .npy file of [count, *width] numbers; its length does not depend on the count."""
    text = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {(count, *width)}, }}"
    return b"\x93NUMPY\x01\x00" + (HEADER_BYTES - 10).to_bytes(2, "little") + f"{text:<{HEADER_BYTES - 11}}\n".encode()


def numbers(vector: np.ndarray) -> str:
    """The shortest decimals that give the same float32 values back, separated by blanks."""
    return " ".join(vector.astype("U"))


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """What was encoded, as JSON."""
    with atomic_file(path) as handle:
        handle.write((json.dumps(record, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "backslashreplace"))


def read_record(path: Path) -> dict[str, Any]:
    """The record of a finished output, or {} where there is none."""
    try:
        record = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        reason = f" ({error.reason})" if isinstance(error, ContentError) else ""
        raise DataError(f"{path} is damaged{reason}; delete it or choose another output") from None
    return record if isinstance(record, dict) else {}
