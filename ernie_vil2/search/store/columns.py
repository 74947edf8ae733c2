"""What an index knows of a picture and of a text: rows as Python sees them, and the Arrow columns that hold them."""

from dataclasses import asdict, dataclass, fields
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class ImageRow:
    """A picture, or a frame of a video.

    root: number of the place it came from, a key of `Manifest.roots`. path: relative to the root's folder, in the bytes
    that the system has it by (empty where there is no file). key: the same as text, or the id that its source gives,
    for a frame `clip.mp4@12.5`; unique in a root. folder: of the path as text, "" at the top. width, height: pixels as
    the picture is shown, 0 where unknown. size: bytes, mtime: nanoseconds, of the file, 0 without one. date: seconds
    since 1970, from EXIF or else of the file, None without either. time: milliseconds into a video, None for a
    picture. digest: 16 bytes of BLAKE2b of the file's content, or of the picture's. caption: the first text of the
    source. texts: ids of TextRows: all captions and tags.
    """

    root: int
    key: str
    path: bytes = b""
    folder: str = ""
    width: int = 0
    height: int = 0
    size: int = 0
    mtime: int = 0
    date: int | None = None
    time: int | None = None
    digest: bytes = b""
    caption: str = ""
    tags: tuple[str, ...] = ()
    texts: tuple[int, ...] = ()


@dataclass(frozen=True)
class TextRow:
    """A caption or a tag, once however many pictures have it. kind: `caption` or `tag`."""

    kind: str
    text: str


IMAGE_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("root", pa.int32()),
        ("key", pa.string()),
        ("path", pa.binary()),
        ("folder", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("size", pa.int64()),
        ("mtime", pa.int64()),
        ("date", pa.int64()),
        ("time", pa.int64()),
        ("digest", pa.binary()),
        ("caption", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("texts", pa.list_(pa.int64())),
    ]
)
TEXT_SCHEMA = pa.schema([("id", pa.int64()), ("kind", pa.string()), ("text", pa.string())])
SCHEMAS = {"image": IMAGE_SCHEMA, "text": TEXT_SCHEMA}
ROWS = {"image": ImageRow, "text": TextRow}


def columns_of(side: str, ids: list[int], rows: list[ImageRow] | list[TextRow]) -> pa.Table:
    """The Arrow table of rows with their ids. side: `image` or `text`."""
    records = [{"id": number, **asdict(row)} for number, row in zip(ids, rows, strict=True)]
    return pa.Table.from_pylist(records, schema=SCHEMAS[side])


def row_of(side: str, record: dict[str, Any]) -> ImageRow | TextRow:
    """The row of a record of Arrow (`Table.to_pylist`), whatever else it holds."""
    kind = ROWS[side]
    values = {field.name: record[field.name] for field in fields(kind)}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
