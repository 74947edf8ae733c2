"""The picture of a row, wherever that lies: in a file, in a frame of a video, or in a row of its source."""

import numpy as np

from ...data.images.limits import DEFAULT_LIMITS, Limits, check_bytes
from ...data.videos.reader import VideoReader
from ...errors import DataError
from ...search.scan.folder.content import digest_of
from .missing import CHANGED, UNREADABLE, PictureMissing
from .row_files import RowFile, RowFiles
from .rows import PictureRow
from .source_rows import SourceRows


class RowPictures:
    """Pictures of rows. limits: of what is read and decoded. Threads may share it."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits, self.files, self.sources = limits, RowFiles(), SourceRows()

    def picture(self, row: PictureRow) -> bytes | np.ndarray:
        """The bytes of the encoded picture, of the content that the index knows, or RGB uint8 [H, W, 3].

        Raises PictureMissing where there is none, and ImageError for one that is over the limits.
        """
        if not row.path:
            return self.sources.picture(row)
        with self.files.open(row) as file:
            return self._frame(file, row.time) if row.is_frame else self._content(file, row)

    def _content(self, file, row):
        check_bytes(file.size, "the file", self.limits)
        data = file.read(file.size)
        if digest_of(data) != row.digest:
            raise PictureMissing(CHANGED)
        return data

    def _frame(self, file: RowFile, time: int) -> np.ndarray:
        """The frame of an open video that is shown at a time in milliseconds."""
        try:
            reader = VideoReader(f"/proc/self/fd/{file.descriptor}", (file.size, file.mtime), self.limits)
        except DataError:
            raise PictureMissing(UNREADABLE) from None
        try:
            return reader.frame(time)
        finally:
            reader.close()
