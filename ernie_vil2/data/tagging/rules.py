"""Which detections of an image become its tags or its boxes, and in which order."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ...errors import ConfigError, DataError
from .detections import Found

ORDERS = ("score", "area", "left")


@dataclass(frozen=True)
class Rules:
    """Which detections are kept: score of at least `threshold`, each tag once with its best score, the `most` best.

    order: of those that are kept, by falling score, by falling box area, or from left to right.
    """

    threshold: float = 0.3
    most: int = 10
    order: str = "score"
    once: bool = True

    def __post_init__(self):
        if self.order not in ORDERS:
            raise ConfigError(f"--order {self.order}: detections are ordered by {', '.join(ORDERS)}")
        if self.most < 1 or not math.isfinite(self.threshold):
            raise ConfigError("--most must be at least 1 and --threshold a number")

    def tags(self, found: Iterable[Found]) -> list[str]:
        """The tags of one image."""
        return [item.tag for item in self.kept(found)]

    def kept(self, found: Iterable[Found]) -> list[Found]:
        """The detections of one image that are kept; equal scores and places keep the order of the detector."""
        best = sorted((item for item in found if item.score >= self.threshold), key=lambda item: -item.score)
        if self.once:
            first = {}
            for item in best:
                first.setdefault(item.tag, item)
            best = list(first.values())
        best = best[: self.most]
        if self.order != "score":
            if any(math.isnan(item.left) for item in best):
                raise DataError(f"--order {self.order} needs boxes, and some detections have none; order by score")
            best.sort(key=(lambda item: -item.area) if self.order == "area" else (lambda item: item.left))
        return best
