"""Filters of requests: what of them is refused, and in which words."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import UserError
from ..messages import brief
from ..search.query.filter_terms import FIELDS, KINDS, Terms, UnknownField, terms_of
from .catalog.sources import asks_for_places
from .refusals import Refusal, refused

SHOWN = 80
"""Characters of a filter that a sentence shows"""
KNOWN = f"可用的字段有 {'、'.join(FIELDS)}，另有单词 {' 和 '.join(KINDS)}"
FORM = f"“{{given}}”无法理解；请写成“字段:值”，例如 folder:2021 date:2021-05 -tag:猫；{KNOWN}"
UNKNOWN, CLOSE = "没有“{field}”；", "是否应为 {close}？"
PLACE = (
    "filter: places on the disk are not told here; write folders without / at the front, and source:NUMBER",
    "此处不提供磁盘上的位置；文件夹请不要以 / 开头，来源请写成 source:编号",
)
SOURCE = (
    "filter: the index has no such source; take one of those that it names, by its number",
    "索引中没有这样的来源；请按编号选择索引列出的来源",
)


def read_filter(text: str, shows_paths: bool) -> Terms:
    """The terms of a filter; Refusal for one that cannot be read, or that asks for places which are not told."""
    try:
        terms = terms_of(text)
    except UserError as error:
        raise Refusal(400, "filter", detail=str(error), detail_zh=chinese(error, text)) from error
    if not shows_paths and asks_for_places(terms):
        raise Refusal(400, "filter", detail=PLACE[0], detail_zh=PLACE[1])
    return terms


def chinese(error: UserError, text: str) -> str:
    """Why a filter cannot be read, in Chinese."""
    if not isinstance(error, UnknownField):
        return FORM.format(given=brief(text, SHOWN))
    hint = CLOSE.format(close=error.close) if error.close else ""
    return f"{UNKNOWN.format(field=brief(error.field, SHOWN))}{hint}{KNOWN}"


@contextmanager
def known_sources(shows_paths: bool) -> Iterator[None]:
    """While rows are looked at: the Refusal of a source that the index does not have, whose others are places."""
    hidden = {} if shows_paths else {"detail": SOURCE[0]}
    with refused("filter", detail_zh=SOURCE[1], **hidden):
        yield
