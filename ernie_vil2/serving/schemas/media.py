"""What is asked and told of single pictures, of downloads, and of pictures that are nearly the same."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from .parts import LARGEST_ID, Strict
from .searches import PictureHit

MOST_EXPORTED = 2000
"""Pictures of a download"""
LEAST_ALIKE = 0.5
"""The lowest cosine of pictures that are nearly the same: below it all pairs would have to be compared in full"""


class PictureRecord(PictureHit):
    """A picture with everything that is said of it."""

    texts: list[str] = Field(description="all captions and tags, captions first")


class ExportRequest(Strict):
    """A selection of pictures, as an archive or as the places where they lie."""

    ids: list[Annotated[int, Field(ge=0, le=LARGEST_ID, strict=True)]] = Field(min_length=1, max_length=MOST_EXPORTED)
    form: Literal["zip", "paths"] = "zip"


class PathList(BaseModel):
    """Where pictures lie on the server. missing: how many of the ids have no file."""

    paths: list[str]
    missing: int


class Download(BaseModel):
    """An archive that can be fetched for a while. count: of files; missing: how many ids have none; bytes: of all."""

    download: str
    count: int
    missing: int
    bytes: int


class GroupRecord(BaseModel):
    """Pictures that are nearly the same as the first one. pictures: the first ones of `count`; scores: cosines with the
    first; exact: whether a picture has the very content of the first."""

    pictures: list[PictureHit]
    scores: list[float]
    exact: list[bool]
    count: int


class Running(BaseModel):
    """A search that has not ended: ask again."""

    state: Literal["running"]
    done: float = Field(description="share of all pairs that was compared")


class Ready(BaseModel):
    """A page of groups. total: groups of all pages; pictures: in all of them; bytes: of all but the first of each."""

    state: Literal["ready"]
    threshold: float
    sequence: int
    total: int
    pictures: int
    bytes: int
    page: int
    groups: list[GroupRecord]
