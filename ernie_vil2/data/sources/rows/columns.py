"""Names of columns and keys: those known in English and in Chinese, and those that the option `columns` gives."""

from collections.abc import Mapping
from typing import Any, TypeVar

from ....errors import ConfigError, nearest
from ..base import RowError
from .texts import shorten

Value = TypeVar("Value")
IMAGE_KEYS = ("image", "file_name", "filename")
TEXT_KEYS = ("text", "texts", "caption", "captions")
IMAGE_FIELDS = (*IMAGE_KEYS, "image_base64")
KEYS = (*IMAGE_FIELDS, *TEXT_KEYS, "tags", "boxes", "id")
GROUPS = (IMAGE_FIELDS, TEXT_KEYS, ("tags",), ("boxes",), ("id",))
GROUP = {key: group for group in GROUPS for key in group}
CHINESE = {
    "image": "图片 图像 照片 图片路径 图像路径 图片名 图片名称 图片文件 图像文件 图片文件名 文件名 文件路径",
    "text": "文本 描述 标题 说明 文字 图片描述 图像描述 文字描述 文本描述 中文描述 图片说明 图片标题 商品标题",
    "tags": "标签 图片标签 图像标签 关键词",
    "boxes": "框 边界框 检测框",
    "id": "编号 图片编号 图像编号 图片id 图像id",
}
KNOWN = {name: key for key, names in CHINESE.items() for name in names.split()}
"""{Chinese name of a column: its key}"""


class Columns:
    """What the columns of a table, or the keys of a row, are called here.

    columns: {key: name of the column}, the option `columns`; a column that it names for captions, the image, ... is the
    only one for these, and one that it names "" says that none is meant. Raises ConfigError for an option that is none.
    """

    def __init__(self, columns: Mapping[str, str] | None = None):
        if columns is not None and not isinstance(columns, Mapping):
            raise ConfigError(
                f"columns: {shorten(columns)} is no mapping; write for example {{image: 图片, text: 描述}}"
            )
        given = {str(key): "" if name is None else str(name) for key, name in (columns or {}).items()}
        for key in given:
            if key not in GROUP:
                close = nearest(key, GROUP)
                hint = f"did you mean {close!r}?" if close else f"known are {', '.join(GROUP)}"
                raise ConfigError(f"columns: {key!r} is no key of a row; {hint}")
        self.named = {key: name for key, name in given.items() if name}
        self.without = {GROUP[key] for key in given if not given[key]}
        """Groups of which no column is taken"""
        if needed := self.without & {IMAGE_FIELDS, TEXT_KEYS}:
            key = next(key for key in given if GROUP[key] in needed)
            raise ConfigError(f"columns: no column is named for {key}, which every row needs; name one")
        names = list(self.named.values())
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"columns: the column {twice!r} is named twice; keep one")

    def keys(self, row: Mapping[str, Value], where: str) -> Mapping[str, Value]:
        """A row (or {name: place} of a header) under our keys; RowError where two Chinese names mean one thing."""
        if self.named or self.without:
            groups = {GROUP[key] for key in self.named} | self.without
            others = {name: value for name, value in row.items() if GROUP.get(KNOWN.get(name, name)) not in groups}
            taken = {key: row[name] for key, name in self.named.items() if name in row}
            row = {name: value for name, value in others.items() if name not in self.named.values()} | taken
        chinese = [name for name in KNOWN.keys() & row.keys() if row[name] not in (None, "")]
        if not chinese:
            return row
        found: dict[str, Any] = dict(row)
        for key in {KNOWN[name] for name in chinese}:
            names = sorted((name for name in chinese if KNOWN[name] == key), key=list(row).index)
            if any(row.get(other) not in (None, "") for other in GROUP[key]):
                continue
            if len(names) > 1:
                fix = f"name the one that is meant by the option columns: {{{key}: {names[0]}}}"
                raise RowError(where, "several columns", f"{' and '.join(names)} are there, each for {key}", fix)
            found[key] = found.pop(names[0])
        return found


def clean(name: str) -> str:
    """The name of a column without what cannot be seen around it, in small letters."""
    return name.strip(" \t\r\n\u3000\u00a0\ufeff\u200b").lower()
