"""Whether the samples of a batch can be told apart at all: of equal ones every guess is as good as knowing."""

from collections.abc import Iterator

import numpy as np

from ...data.batches.views import Batch
from ...data.check.check import examine
from ...data.sources.base import RowError, Source
from ...objectives.gather import divide
from ...objectives.positives import Labels, labels_of, positives
from ...objectives.views import TEXT_VIEWS

MOST_ALIKE = 0.3
"""Share of the other samples that may be the same to a sample: two kinds in equal parts are 0.5, three 0.33."""
IMAGE_IDS = ("image id", "give every image an id of its own, or leave `id` out")
PICTURE = ("picture", "look at the image files, and remove copies")
POSITIVES = ("id or text", "mix in other samples, or set objective.positives: one")


def pictures(source: Source, batch: Batch) -> np.ndarray:
    """int [B]: equal for images of equal content; a row that can no longer be read is like no other."""
    found = [examine(source, int(index), None) for index in batch.index]
    return np.array([-1 - row if isinstance(it, RowError) else it[1] >> 1 for row, it in enumerate(found)], np.int64)


def alike(same: np.ndarray) -> float:
    """Of bool [n, n], the share that is true beside the diagonal."""
    count = len(same)
    return float((same.sum() - np.trace(same)) / (count * (count - 1)))


def nothing_to_learn(batch: Batch, contents: np.ndarray, pairs: list, rule: str) -> str | None:
    """Why a weighted pair of views has nothing to tell apart, and what to do, as a clause; None where it has."""
    labels, _ = labels_of(batch, divide(len(batch)))
    shared = {(first, second): labels.both(first, second) for first, second, _ in pairs}
    if not any(both.sum() > 1 for both in shared.values()):
        names = ", ".join(f"{first}-{second}" for first, second in shared)
        return f"no two samples have both views of {names}; give the source what is missing, or other objective.pairs"
    for (first, second), both in shared.items():
        if both.sum() < 2:
            continue
        same = positives(labels, labels, first, second, rule)
        for name, advice, equal in (*causes(labels, contents, first, second, rule), (*POSITIVES, same)):
            share = alike(equal[both][:, both])
            if share > MOST_ALIKE:
                return (
                    f"to a sample {100 * share:.0f} % of the others have the same {name}, so {first}-{second} has "
                    f"nothing to tell apart; {advice}"
                )
    return None


def causes(
    labels: Labels, contents: np.ndarray, first: str, second: str, rule: str
) -> Iterator[tuple[str, str, np.ndarray]]:
    """(what may be equal, what to do then, where it is, bool [B, B]) of a pair."""
    if rule == "by_id":
        yield *IMAGE_IDS, labels.image_ids[:, None] == labels.image_ids
    for view in dict.fromkeys((first, second)):
        if view in TEXT_VIEWS:
            advice = f"give other texts, or leave {first}-{second} out of objective.pairs"
            yield view, advice, labels.text_ids[view][:, None] == labels.text_ids[view]
        else:
            yield *PICTURE, contents[:, None] == contents
