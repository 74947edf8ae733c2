"""The picture of every id that shards have so far, on the disk: a run that goes on knows what the former one knew."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ....errors import ConfigError, DataError
from ..base import Sample, Source
from ..pictures import Picture, clash, picture_of

NAME = "pictures.sqlite"


class SeenPictures:
    """{id: Picture} of the rows before `start`, to which rows are added; `commit` makes them survive a kill."""

    def __init__(self, base: sqlite3.Connection, start: int) -> None:
        self.base = base
        base.execute(
            "CREATE TABLE IF NOT EXISTS pictures (id TEXT PRIMARY KEY, row INTEGER, path TEXT, digest TEXT) "
            "WITHOUT ROWID"
        )
        base.execute("DELETE FROM pictures WHERE row >= ?", (start,))

    def check(self, source: Source, sample: Sample, row: int) -> tuple[str, bool]:
        """(digest of the picture of a sample's id, whether the id is new); RowError where it has another one."""
        found = self.base.execute("SELECT row, path, digest FROM pictures WHERE id = ?", (sample.id,)).fetchone()
        if found is None:
            picture = picture_of(sample, row)
            self.base.execute("INSERT INTO pictures VALUES (?, ?, ?, ?)", (sample.id, *picture))
            return picture.digest, True
        picture = Picture(*found)
        if not picture.shown_by(sample):
            raise clash(sample.where, sample.id, source.where(picture.row))
        return picture.digest, False

    def commit(self) -> None:
        """Keep what was added so far."""
        self.base.commit()


@contextmanager
def seen_pictures(out: Path, start: int) -> Iterator[SeenPictures]:
    """The SeenPictures of a folder of shards whose rows go on at `start`; the file is removed with `forget`."""
    if start and not (out / NAME).is_file():
        raise ConfigError(f"{out}: lacks {NAME}, without which its shards cannot be gone on with; name a new folder")
    base = sqlite3.connect(out / NAME)
    try:
        yield SeenPictures(base, start)
        base.commit()
    except sqlite3.Error as error:
        raise DataError(f"{out / NAME}: cannot be used ({error}); free some space, or name a new folder") from None
    finally:
        base.close()


def forget(out: Path) -> None:
    """Remove the file once all shards are written."""
    (out / NAME).unlink(missing_ok=True)
