"""What is told of indexes."""

from pydantic import BaseModel


class ModelRecord(BaseModel):
    """The model that the vectors of an index are of; empty texts where that is not known."""

    name: str
    digest: str
    system: str


class Threshold(BaseModel):
    """A calibrated threshold. of: the pairs it was calibrated on; precision, recall: in percent."""

    name: str
    threshold: float
    of: str
    precision: float | None
    recall: float | None


class IndexRecord(BaseModel):
    """An index. state: ready, or broken with the reason as its message."""

    name: str
    state: str
    message: str
    pictures: int
    texts: int
    has_texts: bool
    can_encode: bool
    model: ModelRecord
    width: int
    sequence: int
    updating: bool
    thresholds: list[Threshold]


class IndexList(BaseModel):
    """All indexes of a server, by name."""

    indexes: list[IndexRecord]


class ValueCount(BaseModel):
    """A value, and how many pictures have it."""

    value: str
    count: int


class SourceCount(ValueCount):
    """A place that pictures come from: `source:VALUE` in a filter. name: what it is called."""

    name: str


class Dates(BaseModel):
    """The first and the last day."""

    first: str
    last: str


class FacetsRecord(BaseModel):
    """What pictures can be narrowed by."""

    tags: list[ValueCount]
    folders: list[ValueCount]
    sources: list[SourceCount]
    dates: Dates | None
    videos: bool
    pictures: bool
    widest: int
    highest: int
