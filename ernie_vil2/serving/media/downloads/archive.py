"""Pictures of a selection as one zip archive, made while it is sent: no file is written, and one is in memory at most
by a piece."""

import time
import zlib
from collections.abc import Iterable

from ..missing import PictureMissing
from ..row_files import RowFile
from ..row_pictures import RowPictures
from ..rows import PictureRow
from .file_names import DistinctNames
from .media_types import suffix_of
from .originals import PIECE, HeldBytes, has_suffix, opened_original, pieces_of
from .streamed import Pieces
from .zip_records import FIRST_DAY, Entry, central_record, dos_time, end_records, local_record

MISSING = "missing.txt"
LACKING, CUT = "is not there any more, or has another content", "changed while it was sent, and is damaged here"


class Archive:
    """A zip archive of rows. Names are safe, and no two are alike; a file that cannot be had is named in MISSING."""

    def __init__(self, pictures: RowPictures, rows: Iterable[PictureRow]) -> None:
        self.pictures, self.rows = pictures, rows
        self._names = DistinctNames((MISSING,))
        self._missing: list[str] = []
        self._entries: list[Entry] = []
        self._at = 0

    def pieces(self) -> Pieces:
        """Yield its bytes, once; empty ones while something is read."""
        for row in self.rows:
            try:
                file = opened_original(self.pictures, row)
            except PictureMissing:
                self._missing.append(f"{self._names.of(name_of(row))}: {LACKING}\n")
                continue
            try:
                yield from self._file(file, row)
            finally:
                file.close()
        if self._missing:
            content = HeldBytes("".join(self._missing).encode())
            yield from self._stored(content, MISSING, zlib.crc32(content.data))
        start = self._at
        for entry in self._entries:
            yield self._counted(central_record(entry))
        yield end_records(len(self._entries), self._at - start, start)

    def _file(self, file: RowFile | HeldBytes, row: PictureRow) -> Pieces:
        """An open file under a name of its own. It is read twice: its checksum comes first."""
        name = name_of(row)
        if not file.name and not has_suffix(row.key):
            name = f"{name}{suffix_of(file.read(64))}"
        name, crc = self._names.of(name), 0
        for piece in pieces_of(file, range(file.size)):
            crc = zlib.crc32(piece, crc)
            yield b""  # a client that went away is not read for any longer
        yield from self._stored(file, name, crc)

    def _stored(self, file, name, crc):
        entry = Entry(name, crc, file.size, moment_of(file.mtime), self._at)
        yield self._counted(local_record(entry))
        sent, sum_sent = 0, 0
        for piece in pieces_of(file, range(file.size)):
            sent, sum_sent = sent + len(piece), zlib.crc32(piece, sum_sent)
            yield self._counted(piece)
        while sent < file.size:  # what follows must stand where the list says
            filling = bytes(min(PIECE, file.size - sent))
            sent += len(filling)
            yield self._counted(filling)
            sum_sent = -1
        if sum_sent != crc:
            self._missing.append(f"{name}: {CUT}\n")
        self._entries.append(entry)

    def _counted(self, data):
        self._at += len(data)
        return data


def name_of(row: PictureRow) -> str | bytes:
    """What the file of a row is called, or its id where it has none."""
    return row.path.rpartition(b"/")[2] or row.key


def moment_of(mtime: int) -> int:
    """Nanoseconds since 1970 as a zip has them, on the clock of this machine."""
    try:
        return dos_time(*time.localtime(mtime // 10**9)[:6]) if mtime else FIRST_DAY
    except (OverflowError, ValueError, OSError):
        return FIRST_DAY
