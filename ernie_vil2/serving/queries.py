"""Parts of a request as a Query: their vectors are made first, so that the search itself needs no model."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..inference.items import text_fault
from ..search.query.combination import Item, Query, unit_vector
from .catalog.moment import Moment
from .encoding.lanes import Gone
from .refusals import Refusal, refused
from .schemas.parts import Part, RowPart, TextPart, UploadPart, VectorPart
from .services import Services


async def query_of(
    given: Services, moment: Moment, parts: Sequence[Part], minus: Sequence[Part], gone: Gone | None = None
) -> Query:
    """The Query of parts and of those that are gone away from. Its items keep their kinds, and have vectors for values:
    ask with `known_vector`. gone: `Request.is_disconnected`."""
    vectors = await vectors_of(given, moment, [*parts, *minus], gone)
    signed = [*((part, 1.0) for part in parts), *((part, -1.0) for part in minus)]
    items = zip(signed, vectors, strict=True)
    return Query(tuple([Item(compared_as(part), vector, sign * part.weight) for (part, sign), vector in items]))


def known_vector(kind: str, item: Any) -> np.ndarray:
    """The vector of an item that is one: an Encode."""
    return item


def compared_as(part: Part) -> str:
    """What a part is compared as: text, image or vector."""
    return {TextPart: "text", VectorPart: "vector"}.get(type(part), "image")


async def vectors_of(
    given: Services, moment: Moment, parts: Sequence[Part], gone: Gone | None = None
) -> list[np.ndarray]:
    """float32 [D] each: the unit vectors of parts. Texts are encoded last, so that what is wrong elsewhere costs none,
    and together."""
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    for text in texts:
        check_text(text, given.settings.text_characters)
    others = [None if isinstance(part, TextPart) else await known(given, moment, part) for part in parts]
    encoded = iter(await given.encoders.texts(moment, texts, gone) if texts else ())
    return [next(encoded) if vector is None else vector for vector in others]


async def known(given: Services, moment: Moment, part: RowPart | UploadPart | VectorPart) -> np.ndarray:
    """float32 [D]: the unit vector of a part that needs no model."""
    if isinstance(part, UploadPart):
        return given.uploads.vector(part.upload, moment)
    if isinstance(part, RowPart):
        return await given.working(row_vector, await source_of(given, moment, part), part.id)
    with refused("vector", given=len(part.vector), width=moment.manifest.width):
        return unit_vector(part.vector, moment.manifest.width)


def check_text(text: str, most: int) -> None:
    """Refusal for a sentence that is empty, or longer than is allowed."""
    if len(text) > most:
        raise Refusal(400, "text_too_long", count=len(text), most=most)
    if text_fault(text):
        raise Refusal(400, "text_empty")


async def source_of(given: Services, moment: Moment, part: RowPart) -> Moment:
    """The index that a picture is of; Refusal where its vectors do not compare with those that are searched."""
    if part.index is None or part.index == moment.name:
        return moment
    other = await given.catalog.moment(part.index)
    if not moment.digest or other.digest != moment.digest or other.manifest.width != moment.manifest.width:
        raise Refusal(409, "other_model", index=moment.name, other=other.name)
    return other


def row_vector(moment: Moment, number: int) -> np.ndarray:
    """float32 [D]: the unit vector of a picture of an index; Refusal `no_picture` for one that is not there."""
    if not moment.view.part("image").alive(np.array([number], np.int64)).all():
        raise Refusal(404, "no_picture", index=moment.name, id=number)
    return unit_vector(moment.index.vectors([number])[0], moment.manifest.width)
