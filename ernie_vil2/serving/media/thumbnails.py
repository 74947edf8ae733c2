"""Thumbnails of rows: from the cache, or made once however many ask; a file that is gone still has those it had."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from ...errors import DataError
from .missing import GONE, UNREADABLE, PictureMissing
from .row_pictures import RowPictures
from .rows import PictureRow
from .thumbnail import QUALITY, SIZES, thumbnail
from .thumbnail_cache import ThumbnailCache

Made = tuple[str, bytes]
"""(key, JPEG)"""
WAY = f"1 {QUALITY}"
"""How thumbnails are made: with another one they are other thumbnails"""


class Thumbnails:
    """For the event loop of one server. drawing: calls a function in one of a few threads, `await drawing(function,
    ...)`; what is in the cache does not wait for these. seen: told of each that is looked for whether the cache had
    it."""

    def __init__(
        self,
        pictures: RowPictures,
        cache: ThumbnailCache,
        drawing: Callable[..., Awaitable[Any]],
        seen: Callable[[bool], object] = lambda hit: None,
    ) -> None:
        self.pictures, self.cache, self.drawing, self._seen = pictures, cache, drawing, seen
        self._making: dict[str, asyncio.Future[Made]] = {}

    async def jpeg(self, row: PictureRow, size: int) -> Made:
        """(key, JPEG) of a row, with a longest side of at most `size`, one of SIZES; the key is of a smaller or larger
        one where the file is gone. PictureMissing where there is nothing to show."""
        key = key_of(row, size)
        known = await asyncio.to_thread(self.cache.get, key)
        self._seen(known is not None)
        if known is not None:
            return key, known
        making = self._making.get(key)
        if making is None:
            making = asyncio.ensure_future(self.drawing(self._found, row, size))
            self._making[key] = making
            making.add_done_callback(lambda done: self._end(key, done))
        return await asyncio.shield(making)  # who asked first may go away before the others

    def _end(self, key, done):
        del self._making[key]
        if not done.cancelled():
            done.exception()

    def _found(self, row: PictureRow, size: int) -> Made:
        """Of the cache, where another one may just have put it, or else made and kept there."""
        key = key_of(row, size)
        known = self.cache.get(key)
        return (key, known) if known is not None else self._made(row, size, key)

    def _made(self, row, size, key):
        try:
            picture = self.pictures.picture(row)
        except PictureMissing as error:
            if error.state != GONE:
                raise
            return self._other(row, size)
        except DataError:
            raise PictureMissing(UNREADABLE) from None
        try:
            return key, self.cache.put(key, thumbnail(picture, size, self.pictures.limits))
        except DataError:
            raise PictureMissing(UNREADABLE) from None

    def _other(self, row, size):
        """A thumbnail of another size of a picture whose file is gone, a larger one rather than a smaller."""
        for other in sorted(SIZES, key=lambda other: (other < size, abs(other - size))):
            key = key_of(row, other)
            known = self.cache.get(key)
            if known is not None:
                return key, known
        raise PictureMissing(GONE)


def key_of(row: PictureRow, size: int) -> str:
    """What a thumbnail shows, in hexadecimal: equal for equal content, wherever that lies."""
    shown = f"{WAY} {row.time} {size} ".encode() + row.digest
    return hashlib.blake2b(shown, digest_size=16).hexdigest()
