"""Rows of a source to embeddings: one rule on which rows are bad, whoever encodes them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..data.images.limits import image_error
from ..data.sources.base import SIDES, Sample, Source
from ..data.sources.pictures import Picture, clash, picture_of
from ..errors import DataError, ImageError
from .items import Reason

if TYPE_CHECKING:
    from .model import Model


class KnownPictures(Protocol):
    """{id: Picture} of the ids whose picture has been found, such as a dict."""

    def get(self, key: str, /) -> Picture | None: ...

    def __setitem__(self, key: str, picture: Picture, /) -> None: ...


@dataclass
class Encoded:
    """What became of the rows of a window.

    texts: {row: float32 [N, D]}; images: {row: float32 [D]} of what was encoded; fresh: the rows, in order, whose
    picture became that of their id; bad: {row: error}, and a row in it counts for nothing.
    """

    texts: dict[int, np.ndarray] = field(default_factory=dict)
    images: dict[int, np.ndarray] = field(default_factory=dict)
    fresh: list[int] = field(default_factory=list)
    bad: dict[int, DataError] = field(default_factory=dict)


def encode_rows(
    model: "Model",
    source: Source,
    samples: Mapping[int, Sample],
    known: KnownPictures,
    again: bool = False,
    sides: Collection[str] = SIDES,
    **options: Any,
) -> Encoded:
    """Encode the {row: Sample} of a window; an id has the picture of its first row that can be used, here or before.

    A broken text or image makes its row bad, and the next row of the id takes its turn; so does another picture than
    the one the id has. known: pictures of earlier windows; new ones are added. again: encode known ones, too, once.
    sides: "text" and "image", or one of them; of the other nothing is read, so it makes no row bad. Boxes of a row go
    with its image where the model takes some. options: of `model.encode_text` and
    `model.encode_image`.
    """
    found = Encoded()
    if "text" in sides:
        encode_texts(model, samples, found, options)
    if "image" not in sides:
        return found

    def agreeing(rows: list[int], first: Picture) -> list[int]:
        """Those of the rows that show this picture; the others are bad."""
        good = []
        for row in rows:
            try:
                if not first.shown_by(samples[row]):
                    raise clash(samples[row].where, samples[row].id, source.where(first.row))
                good.append(row)
            except DataError as error:
                found.bad[row] = error
        return good

    waiting: dict[str, list[int]] = {}
    for row, sample in samples.items():
        if row not in found.bad:
            waiting.setdefault(sample.id, []).append(row)
    for key, rows in waiting.items():
        first = known.get(key)
        if first is not None:
            rows[:] = agreeing(rows, first) if again else agreeing(rows, first)[:0]
    while waiting := {key: rows for key, rows in waiting.items() if rows}:
        turn = [(key, rows.pop(0)) for key, rows in waiting.items()]
        if getattr(model, "most_boxes", 0):
            options["boxes"] = [samples[row].boxes for _, row in turn]
        embeds, failures = model.encode_image([samples[row].image for _, row in turn], on_error="skip", **options)
        failures = dict(failures)
        for position, (key, row) in enumerate(turn):
            try:
                if position in failures:
                    raise image_error(getattr(failures[position], "cause", Reason.cause), failures[position])
                first = known.get(key)
                if first is None:
                    known[key] = first = picture_of(samples[row], row)
                    found.fresh.append(row)
            except ImageError as error:
                found.bad[row] = error
                continue
            same = [row, *agreeing(waiting.pop(key), first)]
            found.images.update(dict.fromkeys(same, embeds[position]))
    found.fresh.sort()
    return found


def encode_texts(model: "Model", samples: Mapping[int, Sample], found: Encoded, options: Mapping[str, Any]) -> None:
    """Encode all texts of a window together."""
    everything = [text for sample in samples.values() for text in sample.texts]
    vectors, failures = model.encode_text(everything, on_error="skip", **options)
    failures, start = dict(failures), 0
    for row, sample in samples.items():
        stop = start + len(sample.texts)
        found.texts[row] = vectors[start:stop]
        reasons = [failures[position] for position in range(start, stop) if position in failures]
        if reasons:
            found.bad[row] = DataError(reasons[0])
        start = stop
