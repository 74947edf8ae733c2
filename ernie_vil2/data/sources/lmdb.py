"""Chinese-CLIP's lmdb: `imgs` (id -> base64, num_images) and `pairs` (number -> pickle of (image id, text id, text)).

Format: `build_lmdb_dataset.py` of OFA-Sys/Chinese-CLIP. The pickles are read by a machine that knows no global at all.
"""

import io
import os
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, SupportsIndex

import numpy as np

from ...checkpoints.formats.lazy_tensors import Piece, printable
from ...checkpoints.formats.pickle_machine import Machine, Refused
from ...errors import CheckpointError, DataError, advice
from ...files.lmdb_pages import BEING_WRITTEN, NAME, check_lmdb
from ...files.paths.names import name_text
from ...files.stand_ins import stand_in_at
from ...files.text import ContentError
from ...messages import counted
from . import fields
from .base import RowError, Sample, Source, digest, without_front
from .chinese_clip import Grouping
from .rows.images import decode_base64
from .rows.texts import decode_utf8, plain_text, shorten

if TYPE_CHECKING:
    import lmdb

MAX_PICKLE = 1 << 20
MAX_KEY = 511  # of lmdb
COUNTS = (b"num_samples", b"num_images")
_environments = {}  # {path: open environment}: lmdb wants one of a file in a process
_checked = {}  # {file: what tells that it has not changed since it was found whole}
UNNAMED = "image that no pair names is", "images that no pair names are"
WITHOUT_IMAGE = "pair names an image that imgs lacks and is", "pairs name an image that imgs lacks and are"


class PairMachine(Machine):
    """The pickle instructions that a tuple of numbers and texts needs, over bytes."""

    def __init__(self, data: bytes, where: str):
        super().__init__(io.BytesIO(data), {}, where, end=len(data))

    def find(self, module: object, name: object) -> NoReturn:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise Refused("asks for a global whose name is not text")
        raise Refused(f"asks for {printable(module)}.{printable(name)}, while a pair holds numbers and texts alone")


class LmdbSource(Source):
    """The images of a folder with `imgs` and `pairs` that have a text; a sample is an image with all its texts.

    All pairs are read once at opening, for the ids in them. A pair that cannot be used is left out and counted.
    """

    def __init__(self, path: str | os.PathLike):
        self.folder, self.name, self.prefix = Path(path), name_text(path), ""
        self.bad_pairs, numbers, named = [], array("q"), array("Q")
        total = self._total()
        images = np.array(list(self._image_digests()), np.uint64)
        for number in range(total):
            try:
                image_id, _ = self._pair(number)
            except RowError as error:
                self.bad_pairs.append(str(error))
                continue
            numbers.append(number)
            named.append(digest(image_id.encode()))
        self.groups = Grouping(images, np.array(named, np.uint64), np.array(numbers, np.int64))
        if not len(self):
            raise DataError(f"{self.name}: no pair names an image of imgs; {next(iter(self.notes), 'pairs is empty')}")
        self.order = np.argsort([self.groups.texts(row)[0] for row in range(len(self.groups.rows))], kind="stable")

    def __len__(self):
        return len(self.groups.rows)

    def load(self, index: int) -> Sample:
        numbers = self.groups.texts(self.order[index])
        where = self.where(index)
        pairs = [self._pair(int(number)) for number in numbers]
        image = self._get("imgs", pairs[0][0])
        if image is None:
            raise RowError(where, "no image", f"imgs lacks {shorten(pairs[0][0])}", "open the source again")
        texts = tuple(text for _, texts in pairs for text in texts)
        return Sample(self.prefix + pairs[0][0], decode_base64(image, where), texts, (), where)

    def where(self, index: SupportsIndex) -> str:
        return f"{self.name}/pairs:{self.groups.texts(self.order[self.position(index)])[0]}"

    def key(self, index: SupportsIndex) -> str:
        return self.prefix + self._pair(int(self.groups.texts(self.order[self.position(index)])[0]))[0]

    def qualify_ids(self, folders: bool = True) -> None:
        self.prefix = f"{name_text(self.folder)}#"

    def own_id(self, index: int, key: str) -> str:
        return without_front(key, self.prefix)

    def describe(self) -> str:
        return f"{self.name}: {counted(len(self), 'image')} with texts in an lmdb"

    @property
    def notes(self) -> list[str]:
        lost = self.groups.lost_texts
        notes = []
        if len(self.groups.lost_images):
            notes.append(f"{self.name}: {counted(len(self.groups.lost_images), *UNNAMED)} left out")
        if len(lost):
            example = self._pair(int(lost[0]))[0]
            notes.append(
                f"{self.name}: {counted(len(lost), *WITHOUT_IMAGE)} left out, "
                f"for example {self.name}/pairs:{lost[0]} with {shorten(example)}"
            )
        if self.bad_pairs:
            notes.append(
                f"{self.name}: {counted(len(self.bad_pairs), 'pair')} cannot be used; the first: {self.bad_pairs[0]}"
            )
        return notes

    def _total(self):
        with reading(self.folder / "pairs") as transaction:
            raw, stored = transaction.get(b"num_samples"), transaction.stat()["entries"] - 1
        if raw is None or not raw.isdigit() or len(raw) > 12:
            raise DataError(f"{self.name}/pairs: has no num_samples; give an lmdb that Chinese-CLIP's tool wrote")
        if int(raw) > stored:
            raise DataError(
                f"{self.name}/pairs: num_samples is {int(raw):,}, and {stored:,} pairs are stored; copy or write the "
                "lmdb again"
            )
        return int(raw)

    def _image_digests(self):
        with reading(self.folder / "imgs") as transaction:
            yield from (digest(key) for key in transaction.cursor().iternext(values=False) if key not in COUNTS)

    def _get(self, folder, key):
        key = key.encode()
        with reading(self.folder / folder) as transaction:
            return transaction.get(key) if 0 < len(key) <= MAX_KEY else None

    def _pair(self, number):
        """(image id, its captions) of a pair; raises RowError."""
        where = f"{self.name}/pairs:{number}"
        raw = self._get("pairs", str(number))
        if raw is None or len(raw) > MAX_PICKLE:
            reason = "the pair is missing" if raw is None else f"the pair has {len(raw):,} bytes"
            raise RowError(where, "bad pair", reason, "write the lmdb again")
        value = read_pair(raw, where)
        image_id, text = value[0], value[2]
        if isinstance(text, Piece):  # a long text is given as a place in the pickle
            text = decode_utf8(raw[text.offset : text.offset + text.length], where, "text")
        if type(image_id) not in (int, str) or not isinstance(text, str):
            raise RowError(where, "bad pair", "the pair is not (image id, text id, text)", "write the lmdb again")
        return plain_text(str(image_id), where, "id"), fields.captions({"text": text}, where)


def read_pair(raw: bytes, where: str) -> tuple:
    """The tuple of three in a pickle; RowError when it is anything else, naming a global that it asks for."""
    try:
        value = PairMachine(raw, where).run()
    except CheckpointError as error:
        reason = str(error).removeprefix(f"{where}: ").removeprefix(f"{where} ").partition("; ")[0]
        raise RowError(
            where, "bad pair", f"the pickle {reason}", "take the lmdb from a source that you trust"
        ) from None
    if type(value) is not tuple or len(value) != 3:
        raise RowError(where, "bad pair", "the pickle is not (image id, text id, text)", "write the lmdb again")
    return value


@contextmanager
def reading(path: str | os.PathLike) -> "Iterator[lmdb.Transaction]":
    """A transaction over the lmdb in a folder, opened once a process and without a lock; DataError when it is none, or
    is damaged: its pages are looked at before liblmdb maps them, in the first process that opens it."""
    import lmdb

    path, transaction_id = os.path.realpath(path), None
    try:
        found = _environments.get(path)
        if found is None:
            check_once(path)
            found = _environments[path] = lmdb.open(path, readonly=True, lock=False, readahead=False, create=False)
        with found.begin() as transaction:
            transaction_id = transaction.id()
            yield transaction
    except lmdb.Error as error:
        fix = "copy or write it again"
        if "already open" in str(error):
            fix = "close it there first"
        elif isinstance(error, lmdb.MemoryError):
            fix = "raise the limit of address space with ulimit -v"
        elif found is not None and found.info()["last_txnid"] != transaction_id:
            error, fix = BEING_WRITTEN.args
        raise DataError(f"{path}: cannot be read as lmdb ({error}); {fix}") from None


def check_once(path: str) -> None:
    """DataError for a folder without an lmdb that can be read safely; a file that was found right stays so."""
    file = os.path.join(path, NAME)
    try:
        if found := stand_in_at(file):
            raise DataError(f"{file}: {found}")
        if not os.path.isfile(file):
            found = f"{NAME} is no file" if os.path.lexists(file) else f"holds no {NAME}"
            raise DataError(f"{path}: {found}; give the folder that has imgs and pairs in it")
        status = os.stat(file)
        mark = status.st_ino, status.st_size, status.st_mtime_ns
        if _checked.get(file) != mark:
            check_lmdb(file)
            _checked[file] = mark
    except ContentError as error:
        raise DataError(f"{path}: cannot be read as lmdb ({error.reason}); {error.fix}") from None
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read as lmdb ({error.strerror or error}); {advice(error, 'give a readable file')}"
        ) from None


def _leave_to_parent():
    """Close, in a process that was forked, what the parent has open: lmdb forbids its use there."""
    while _environments:
        _environments.popitem()[1].close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
