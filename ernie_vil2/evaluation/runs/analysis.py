"""What a report of retrieval is drawn from: recall curves, counts of scores, and the queries that fail worst.

Scores are cosines in float64 as in the `standard` protocol, computed in blocks of at most BLOCK scores; what is kept
has the size of the rows or of the grid of thresholds, never of their product.
"""

import base64
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...data.images.decode import decode_for
from ...errors import UserError
from ..metrics.ranks import TIE, checked, normalise, positive_pairs, ranks
from ..metrics.thresholds import SIZE, count_scores
from .analysis_record import COUNTS, DIRECTIONS
from .best_images import best_images
from .records import Outcome, Result

BLOCK = 1 << 22
LARGEST_K = 100
SHOWN_ERRORS = 12
THUMBNAIL = 160
JPEG_QUALITY = 82


@dataclass
class Best:
    """Of every query of a direction, the highest score among its candidates, and the candidate's row."""

    scores: np.ndarray
    rows: np.ndarray

    @classmethod
    def nothing(cls, count: int) -> "Best":
        """Before any candidate was seen."""
        return cls(np.full(count, -np.inf), np.zeros(count, np.int64))

    def take(self, queries: np.ndarray, scores: np.ndarray, rows: np.ndarray) -> None:
        """Remember what is higher than before; queries: their rows. Of equal scores the first stays."""
        higher = scores > self.scores[queries]
        self.scores[queries] = np.where(higher, scores, self.scores[queries])
        self.rows[queries] = np.where(higher, rows, self.rows[queries])


def analyse(outcome: Outcome, block: int = BLOCK) -> dict[str, Any]:
    """The analysis of an Outcome with embeddings, as a JSON-able dictionary that `analysis_record` describes.

    block: how many scores are held at a time; the result does not depend on it. Raises DataError as
    `metrics.retrieval_metrics` does.
    """
    embeddings = outcome.embeddings
    images, texts = checked("image_embeds", embeddings.image), checked("text_embeds", embeddings.text)
    pairs = positive_pairs(embeddings.text_image if outcome.pairs is None else outcome.pairs, len(images), len(texts))
    found = dict(zip(DIRECTIONS, ranks(images, texts, pairs, chunk=max(1, block // len(images))), strict=True))
    positives, negatives, wrong, right = scan(images, texts, pairs, block)
    queries = {"t2i": np.unique(pairs[:, 0]), "i2t": np.unique(pairs[:, 1])}
    asked = best_images(images, texts, pairs, found["t2i"])
    errors = {name: hardest(queries[name], found[name], wrong[name], right[name]) for name in DIRECTIONS}
    counts = dict(
        zip(COUNTS, (len(images), len(texts), len(pairs), len(images) * len(texts) - len(pairs)), strict=True)
    )
    return {
        "benchmark": benchmark_of(outcome.results, counts),
        "counts": counts,
        "recall": {"t2i": recall_curve(found["t2i"], len(images)), "i2t": recall_curve(found["i2t"], len(texts))},
        "positives": positives.tolist(),
        "negatives": negatives.tolist(),
        "wrong": {name: int((found[name] > 0).sum()) for name in DIRECTIONS},
        "queries": {name: len(queries[name]) for name in DIRECTIONS},
        "errors": errors,
        "asked": asked,
        **shown(errors, asked, pairs, outcome),
    }


def benchmark_of(results: Sequence[Result], counts: dict[str, int]) -> str | None:
    """Name of the row that was measured on these embeddings and pairs, or None where that is not sure."""
    rows = [
        result
        for result in results
        if result.task in ("retrieval", "graded-retrieval") and "folds" not in result.counts
    ]
    same = [result for result in rows if all(result.counts.get(key) == counts[key] for key in ("images", "texts"))]
    return same[0].benchmark if same else rows[0].benchmark if len(rows) == 1 else None


def recall_curve(rank: np.ndarray, candidates: int) -> list[float]:
    """Recall at 1, 2, ... up to LARGEST_K or the number of candidates, in percent."""
    return [100 * float((rank < k).sum()) / len(rank) for k in range(1, min(LARGEST_K, candidates) + 1)]


def scan(
    images: np.ndarray, texts: np.ndarray, pairs: np.ndarray, block: int
) -> tuple[np.ndarray, np.ndarray, dict[str, Best], dict[str, Best]]:
    """Counts of right and of wrong scores on the grid, and per direction the Best wrong and the Best right.

    A block has about as many rows as columns, so that normalising its rows anew costs next to nothing.
    """
    everything, values = np.zeros(SIZE, np.int64), np.empty(len(pairs))
    wrong = {"t2i": Best.nothing(len(texts)), "i2t": Best.nothing(len(images))}
    side = max(1, math.isqrt(block))
    for top in range(0, len(texts), side):
        part = normalise(texts[top : top + side])
        own = np.arange(*np.searchsorted(pairs[:, 0], (top, top + side)))
        for left in range(0, len(images), side):
            scores = part @ normalise(images[left : left + side]).T
            everything += count_scores(scores)
            inside = own[(pairs[own, 1] >= left) & (pairs[own, 1] < left + side)]
            place = pairs[inside, 0] - top, pairs[inside, 1] - left
            values[inside] = scores[place]
            scores[place] = -np.inf
            rows, columns = scores.argmax(axis=1), scores.argmax(axis=0)
            text_rows, image_rows = np.arange(len(rows)), np.arange(len(columns))
            wrong["t2i"].take(top + text_rows, scores[text_rows, rows], left + rows)
            wrong["i2t"].take(left + image_rows, scores[columns, image_rows], top + columns)
    positives = count_scores(values)
    right = {
        "t2i": best_of_pairs(pairs[:, 0], pairs[:, 1], values, len(texts)),
        "i2t": best_of_pairs(pairs[:, 1], pairs[:, 0], values, len(images)),
    }
    return positives, everything - positives, wrong, right


def best_of_pairs(queries: np.ndarray, candidates: np.ndarray, values: np.ndarray, count: int) -> Best:
    """The Best of `count` queries from the scores of pairs."""
    best = Best.nothing(count)
    order = np.lexsort((candidates, -values, queries))
    asked, first = np.unique(queries[order], return_index=True)
    best.take(asked, values[order][first], candidates[order][first])
    return best


def hardest(queries: np.ndarray, rank: np.ndarray, wrong: Best, right: Best) -> list[dict[str, Any]]:
    """The queries that a wrong candidate wins by most, worst first; an equal score counts against the model."""
    margin = wrong.scores[queries] - right.scores[queries]
    order = np.argsort(-margin, kind="stable")[:SHOWN_ERRORS]
    return [
        {
            "query": int(queries[place]),
            "wrong": int(wrong.rows[queries[place]]),
            "right": int(right.rows[queries[place]]),
            "rank": int(rank[place]) + 1,
            "wrong_score": float(wrong.scores[queries[place]]),
            "right_score": float(right.scores[queries[place]]),
        }
        for place in order
        if margin[place] >= -TIE
    ]


def shown(
    errors: dict[str, list[dict[str, Any]]], asked: list[dict[str, Any]], pairs: np.ndarray, outcome: Outcome
) -> dict[str, dict[str, Any]]:
    """Texts and small pictures of what errors and queries name: {texts: {row: text}, captions: {image row: row of one
    of its texts}, thumbnails: {image row: JPEG in base64}}."""
    candidates = ("wrong", "right")
    image_rows = {one[key] for one in errors["t2i"] for key in candidates} | {one["query"] for one in errors["i2t"]}
    text_rows = {one[key] for one in errors["i2t"] for key in candidates} | {one["query"] for one in errors["t2i"]}
    image_rows |= {image for one in asked for image in one["images"]}
    text_rows |= {one["query"] for one in asked}
    owned = pairs[np.isin(pairs[:, 1], list(image_rows))][::-1]
    captions = {str(image): int(text) for text, image in owned}
    text_rows |= set(captions.values())
    texts = {str(row): outcome.texts[row] for row in sorted(text_rows) if row < len(outcome.texts)}
    pictures = {str(row): thumbnail(outcome.image, row) for row in sorted(image_rows)}
    return {"texts": texts, "captions": captions, "thumbnails": {row: data for row, data in pictures.items() if data}}


def thumbnail(image: Callable[[int], Any] | None, row: int) -> str | None:
    """A JPEG of at most THUMBNAIL pixels a side in base64; None for an image that cannot be had."""
    import cv2

    if image is None:
        return None
    try:
        pixels, _ = decode_for(image(row), THUMBNAIL)
    except (UserError, OSError):
        return None
    scale = THUMBNAIL / max(pixels.shape[:2])
    if scale < 1:
        sides = tuple(max(1, round(side * scale)) for side in pixels.shape[1::-1])
        pixels = cv2.resize(pixels, sides, interpolation=cv2.INTER_AREA)
    settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    return base64.b64encode(cv2.imencode(".jpg", pixels[:, :, ::-1], settings)[1]).decode()
