"""Which rows of a source calibrate a model, and which others show what that cost."""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from ..data.sources.base import Boxes, Source
from ..data.sources.composite import SelectedRows
from ..errors import DataError
from ..inference.engines.calibration import LEAST

MOST_VALIDATED = 1000
"""Rows that recall is measured on where they are of the source that calibrates"""


@dataclass
class CalibrationItems:
    """Images with their boxes, and a caption, of each row; bad: sentences on rows that cannot be read."""

    images: list = field(default_factory=list)
    boxes: list[Boxes | None] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    bad: list[DataError] = field(default_factory=list)


def spread(rows: np.ndarray, count: int) -> np.ndarray:
    """`count` of the rows at equal distances, or all where there are no more; in order."""
    if count >= len(rows):
        return rows
    return rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)]


def divided(source: Source, count: int, validating: bool) -> tuple[Source, Source | None]:
    """(`count` rows spread over the source, up to MOST_VALIDATED others): with `validating`, which halves a source of
    fewer than twice `count` rows. DataError where a part has fewer than LEAST."""
    least = LEAST * (1 + validating)
    if len(source) < least:
        fix = "give a larger one, or one more with --validate" if validating else "give a larger one"
        what = "calibration and what validates it need" if validating else "calibration needs"
        raise DataError(f"{source.name} has {len(source):,} rows, and {what} at least {least}; {fix}")
    rows = np.arange(len(source))
    chosen = spread(rows, min(count, len(source) // 2) if validating else count)
    if not validating:
        return SelectedRows(source, chosen), None
    others = spread(np.setdiff1d(rows, chosen), MOST_VALIDATED)
    return SelectedRows(source, chosen), SelectedRows(source, others)


def calibration_items(source: Source, towers: Collection[str]) -> CalibrationItems:
    """The CalibrationItems of all rows of a source; DataError where no row has what one of the towers reads.

    Rows take turns with their captions: the second of every row may be of another kind, such as titles.
    """
    found = CalibrationItems()
    for turn, sample in enumerate(source.samples("skip", found.bad)):
        if sample.image is not None:
            found.images.append(sample.image)
            found.boxes.append(sample.boxes)
        if sample.texts:
            found.texts.append(sample.texts[turn % len(sample.texts)])
    for kind, items, what in (("image", found.images, "images"), ("text", found.texts, "captions")):
        if kind in towers and not items:
            first = f" (the first row: {found.bad[0]})" if found.bad else ""
            raise DataError(
                f"{source.name} has no {what} to calibrate the {kind} tower on{first}; give a source that has them, or "
                "leave that tower out with --towers"
            )
    return found
