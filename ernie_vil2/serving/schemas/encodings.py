"""What is asked of the model alone: vectors, the similarity of two things, labels of a picture."""

from typing import Annotated

from pydantic import BaseModel, Field

from .parts import Part, Strict

MOST_ITEMS = 64
LEAST_LABELS, MOST_LABELS = 2, 200
LONGEST_LABEL, LONGEST_TEMPLATE = 200, 500
MARK = "{}"
"""Where a label goes in a template"""


class UploadAnswer(BaseModel):
    """A picture that was encoded. width, height, format: as its header says; 0 and "" where it does not."""

    upload: str = Field(description="the token that stands for it in parts of queries")
    width: int
    height: int
    format: str


class EmbeddingsRequest(Strict):
    """What is to be encoded; weights count for nothing here."""

    items: list[Part] = Field(min_length=1, max_length=MOST_ITEMS)


class EmbeddingsAnswer(BaseModel):
    """Vectors of length 1, in the order of the items."""

    width: int
    vectors: list[list[float]]


class SimilarityRequest(Strict):
    """Two sentences, pictures or vectors, any two."""

    a: Part
    b: Part


class SimilarityAnswer(BaseModel):
    """score: the cosine."""

    score: float


class LabelsRequest(Strict):
    """A picture, and what it might show."""

    image: Part
    labels: list[Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL)]] = Field(
        min_length=LEAST_LABELS, max_length=MOST_LABELS
    )
    template: str = Field(
        default=MARK, min_length=1, max_length=LONGEST_TEMPLATE, description=f"a sentence with {MARK} for the label"
    )


class LabelScore(BaseModel):
    """score: the cosine; probability: among the labels, by the model's own scale."""

    label: str
    score: float
    probability: float


class LabelsAnswer(BaseModel):
    """Labels, best first."""

    labels: list[LabelScore]
