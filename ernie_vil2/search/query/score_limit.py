"""The lowest score of a search: a number, or the name of a threshold that was calibrated and is kept with the index."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ConfigError, nearest
from ...messages import quoted

CALIBRATE = "ernie-vil2 eval calibrate"
PAIRS = {
    ("image", "image"): "image-image",
    ("image", "text"): "text-image",
    ("text", "image"): "text-image",
    ("text", "text"): "text-text",
}
"""{(kind of a query, side of the index): what is compared, as a threshold names it}"""


def lowest_score(
    threshold: float | str | None, known: Mapping[str, Mapping[str, Any]], kinds: set[str], side: str
) -> float | None:
    """The lowest score that counts. known: thresholds of the manifest; kinds: of the items of the query; side: what is
    searched, image or text.

    Raises ConfigError for a number that is no cosine, a name that the index does not have, and a threshold of other
    pairs than the query compares: two pictures score higher than a picture and its caption.
    """
    if threshold is None:
        return None
    if not isinstance(threshold, str):
        return checked(threshold)
    if threshold not in known:
        close = nearest(threshold, known)
        names = ", ".join(map(quoted, sorted(known))) or "none"
        hint = f"did you mean {close!r}" if close else f"it has {names}"
        told = f"the index has no threshold {quoted(threshold, 60)} ({hint})"
        raise ConfigError(f"{told}; give a number, or make one with {CALIBRATE}")
    record = known[threshold]
    pairs = record.get("of")
    asked = PAIRS.get((*kinds, side)) if len(kinds) == 1 else None
    if pairs and "vector" not in kinds and asked != pairs:
        compares = f"pairs {asked}" if asked else "several kinds at once"
        raise ConfigError(
            f"the threshold {quoted(threshold, 60)} was calibrated on pairs {pairs}, and this query compares "
            f"{compares}; give a number, or make one with {CALIBRATE}"
        )
    return checked(record.get("threshold"))


def checked(value: Any) -> float:
    """A number that a cosine can be."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not -1 <= value <= 1:
        raise ConfigError(f"threshold is {quoted(value, 40)}, but a cosine is from -1 to 1; correct it")
    return float(value)
