"""Parts of a query: a sentence, a picture of an index, an uploaded picture, or a vector."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from ...search.query.combination import MOST_CHARACTERS
from ...search.store.manifest import WIDEST

LARGEST_ID = (1 << 63) - 1
LONGEST_NAME = 255
"""Bytes of a folder's name, which an index is called by"""
LONGEST_TOKEN = 100
LARGEST_WEIGHT = 10.0


class Strict(BaseModel):
    """A request, or a part of one, in which nothing stands that is not known."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Weighted(Strict):
    """A part with its weight."""

    weight: float = Field(default=1.0, gt=0, le=LARGEST_WEIGHT, description="how much it counts")


class TextPart(Weighted):
    """A sentence, in Chinese or English."""

    text: str = Field(max_length=10 * MOST_CHARACTERS)


class RowPart(Weighted):
    """A picture of this index, or of another one of the server that was made with the same model."""

    id: int = Field(ge=0, le=LARGEST_ID, strict=True)
    index: str | None = Field(default=None, max_length=LONGEST_NAME)


class UploadPart(Weighted):
    """A picture that was uploaded: the token that was given for it."""

    upload: str = Field(min_length=1, max_length=LONGEST_TOKEN)


class VectorPart(Weighted):
    """A vector of the index's model, of any length but 0."""

    vector: list[float] = Field(min_length=1, max_length=WIDEST, fail_fast=True)


KINDS = {"text": TextPart, "id": RowPart, "upload": UploadPart, "vector": VectorPart}
"""{the key that a part is known by: what it is}"""


def kind_of(part: Any) -> str | None:
    """Which of KINDS a part is; None for what is none."""
    if isinstance(part, dict):
        return next((kind for kind in KINDS if kind in part), None)
    return next((kind for kind, model in KINDS.items() if isinstance(part, model)), None)


Part = Annotated[
    Annotated[TextPart, Tag("text")]
    | Annotated[RowPart, Tag("id")]
    | Annotated[UploadPart, Tag("upload")]
    | Annotated[VectorPart, Tag("vector")],
    Discriminator(kind_of),
]
"""A part of a query, whatever it is"""
