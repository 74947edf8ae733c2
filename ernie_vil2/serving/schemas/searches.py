"""What a search asks, and what it answers."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from ...search.query.filter_terms import MOST_CHARACTERS
from ...search.query.ranking import DEEPEST
from .parts import LONGEST_NAME, Part, Strict

MOST_PARTS = 32
MOST_HITS = 200
"""Hits of a page, unless the server is told less"""


class SearchRequest(Strict):
    """A search; without a part the newest pictures."""

    parts: list[Part] = Field(default=[], max_length=MOST_PARTS, description="what is looked for")
    minus: list[Part] = Field(default=[], max_length=MOST_PARTS, description="what is gone away from")
    k: int = Field(default=40, ge=1, le=MOST_HITS, strict=True, description="hits of a page")
    page: int = Field(default=1, ge=1, le=DEEPEST, strict=True)
    filter: str = Field(default="", max_length=MOST_CHARACTERS, description="which pictures count (docs/search.md)")
    threshold: (
        Annotated[float, Field(ge=-1, le=1)] | Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)] | None
    ) = Field(default=None, description="the lowest score, or the name of one that is kept with the index")
    of: Literal["images", "texts", "captions", "tags"] = "images"


class PictureHit(BaseModel):
    """A picture, or a frame of a video."""

    id: int
    score: float | None = Field(description="cosine with the query; null without a query")
    key: str
    name: str
    folder: str
    path: str | None = Field(description="where it lies on the server, for who sits at it")
    missing: bool
    width: int
    height: int
    size: int
    date: str | None
    time: float | None = Field(description="seconds into a video")
    caption: str
    tags: list[str]
    source: str
    video: bool
    thumbnail: str | None = Field(description="null for what is only a vector")
    original: str | None = Field(description="null where no file can be had")


class TextHit(BaseModel):
    """A caption or a tag."""

    id: int
    score: float
    kind: str
    text: str
    images: list[int]
    image_count: int


class SearchAnswer(BaseModel):
    """A page of hits, best first."""

    hits: list[PictureHit] | list[TextHit]
    k: int
    page: int
    total: int | None = Field(description="hits of all pages; null where that is not known")
    sequence: int = Field(description="the state of the index that was searched")
    ms: float
    background: list[float] | None = Field(
        description="33 rising quantiles of the scores of rows that nobody chose; null without a query"
    )
