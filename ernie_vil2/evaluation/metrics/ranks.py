"""Image-text retrieval metrics under two protocols, computed block by block: no matrix of all scores is ever held.

`standard`: scores are cosines in float64. Every caption of an image is a positive; a query is a hit at K if any of
its positives is among the first K. Where `text_keys` tell which texts are equal, all of these are positives of each
other's images, since nobody can tell them apart. Other positives never push one back, and a negative with an equal
score ranks *before* the positive. So a model that has collapsed to one vector finds nothing (R@K is 0, not above
chance) as long as there are K negatives. Scores closer than `TIE` are equal: that is rounding, not an opinion of the
model.

`official`: what the release's script prints. Text row i belongs to image row i and to nothing else, the rank of the
positive is the number of strictly greater scores (ties are free, also those of a collapsed model: read `standard`
beside it), scores are float32 dot products of the rows as they are given, T2I and I2T read the same scores, which are
multiplied in ten blocks of text rows. Any row count is allowed.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from ...errors import DataError, nearest
from .right_pairs import RightPairs, SharedTexts, share_texts

PROTOCOLS = ("official", "standard")
TIE = 1e-12
KS = (1, 5, 10)
OFFICIAL_BLOCKS = 10
BLOCK_BYTES = 512 << 20
DENSE = 16
"""Positives a text from which on multiplying a whole block is cheaper than picking them"""


def retrieval_metrics(
    image_embeds: ArrayLike,
    text_embeds: ArrayLike,
    text_image: ArrayLike | None = None,
    protocol: str = "standard",
    chunk: int = 1024,
    text_keys: ArrayLike | None = None,
) -> dict[str, float]:
    """Recall, MRR and median rank of text-to-image (t2i) and image-to-text (i2t) retrieval.

    image_embeds [N, D], text_embeds [M, D]: float arrays, normalised or not (`official` takes the rows as they are).
    text_image: for `standard`, int [M], the image row of each text (-1: a text that only distracts), or int [P, 2],
    pairs (text row, image row) where a text has several images. Not used by `official`, which needs N == M.
    chunk: text rows multiplied at a time by `standard`; the result does not depend on it. text_keys: for `standard`,
    int [M], the same for texts that are equal and so right for the same images; by default no two are.

    Returns a dict: t2i_r1, t2i_r5, t2i_r10, t2i_mean (their mean), i2t_..., mean_r1, mean_r5, mean_r10 (of both
    directions), mean_recall (of all six), in percent; t2i_mrr, i2t_mrr in [0, 1]; t2i_median_rank, i2t_median_rank
    (1 is best); num_images, num_texts (rows) and num_image_queries, num_text_queries (rows that have a positive).
    Raises DataError: shapes that do not fit, no rows, rows that are not finite (skipped items must be dropped first).
    """
    image_embeds, text_embeds = np.asarray(image_embeds), np.asarray(text_embeds)
    t2i_ranks, i2t_ranks = ranks(image_embeds, text_embeds, text_image, protocol, chunk, text_keys)
    t2i, i2t = summary(t2i_ranks), summary(i2t_ranks)
    result = {}
    for name, values in (("t2i", t2i), ("i2t", i2t)):
        result.update({f"{name}_{key}": values[key] * 100 for key in ("r1", "r5", "r10", "mean")})
    for key in ("r1", "r5", "r10"):
        result[f"mean_{key}"] = (t2i[key] + i2t[key]) / 2 * 100
    result["mean_recall"] = (t2i["mean"] + i2t["mean"]) / 2 * 100
    for name, values in (("t2i", t2i), ("i2t", i2t)):
        result.update({f"{name}_{key}": values[key] for key in ("mrr", "median_rank")})
    result.update(
        num_images=len(image_embeds),
        num_texts=len(text_embeds),
        num_image_queries=len(i2t_ranks),
        num_text_queries=len(t2i_ranks),
    )
    return result


def ranks(
    image_embeds: ArrayLike,
    text_embeds: ArrayLike,
    text_image: ArrayLike | None = None,
    protocol: str = "standard",
    chunk: int = 1024,
    text_keys: ArrayLike | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Rank of the best positive of every query: two int64 arrays, texts -> images and images -> texts.

    0 is best. Arguments and errors as `retrieval_metrics`; queries without a positive are left out, in order.
    """
    if protocol not in PROTOCOLS:
        close = nearest(protocol, PROTOCOLS)
        raise DataError(
            f"unknown protocol {protocol!r}; "
            + (f"did you mean {close!r}?" if close else f"take one of {', '.join(PROTOCOLS)}")
        )
    images, texts = checked("image_embeds", image_embeds), checked("text_embeds", text_embeds)
    if images.shape[1] != texts.shape[1]:
        raise DataError(
            f"image_embeds are {images.shape[1]} wide but text_embeds {texts.shape[1]}; both must come from one model"
        )
    if protocol == "official":
        return official_ranks(images, texts)
    right = RightPairs(positive_pairs(text_image, len(images), len(texts)))
    if text_keys is not None:
        right = share_texts(right, text_keys, len(texts))
    return standard_ranks(images, texts, right, max(1, int(chunk)))


def summary(rank: np.ndarray) -> dict[str, float]:
    """Fractions r1, r5, r10, mean, mrr and 1-based median_rank of int ranks [Q], with the release's arithmetic."""
    count = float(len(rank))
    r1, r5, r10 = (float((rank < k).sum() / count) for k in KS)
    return {
        "r1": r1,
        "r5": r5,
        "r10": r10,
        "mean": (r1 + r5 + r10) / 3.0,
        "mrr": float((1.0 / (1.0 + rank)).sum() / count),
        "median_rank": float(np.median(rank) + 1),
    }


def percent(value: float) -> str:
    """A percentage as the release prints it: NumPy's rounding to two decimals, which is not Python's."""
    return f"{np.round(np.float64(value), 2):.2f}"


def normalise(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1 in float64; a zero row stays zero, so its scores tie with everything."""
    rows = rows.astype(np.float64)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    rows /= np.where(largest > 0, largest, 1.0)
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    rows /= np.where(length > 0, length, 1.0)
    return rows


def checked(name: str, rows: ArrayLike) -> np.ndarray:
    """A finite float array [R, D] with at least one row, or DataError."""
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.dtype.kind not in "fiu":
        raise DataError(f"{name} must be numbers of shape [rows, width], not {rows.dtype} of shape {list(rows.shape)}")
    if not rows.shape[0] or not rows.shape[1]:
        raise DataError(f"{name} is empty (shape {list(rows.shape)}); there is nothing to evaluate")
    broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(broken):
        raise DataError(
            f"{name} has {len(broken)} of {len(rows)} rows that are not finite, "
            f"the first is row {broken[0]}: the model that made them gives numbers that are not finite; "
            "encode again with another model (rows of items that were skipped must be left out)"
        )
    return rows


def positive_pairs(text_image: ArrayLike | None, num_images: int, num_texts: int) -> np.ndarray:
    """Pairs (text row, image row) int64 [P, 2], unique, sorted by text; DataError when a row does not exist."""
    if text_image is None:
        raise DataError("the standard protocol needs text_image, the image row of each text")
    pairs = np.asarray(text_image)
    if pairs.dtype.kind not in "iu":
        raise DataError(f"text_image must hold integer image rows, not {pairs.dtype}")
    if pairs.ndim == 1:
        if len(pairs) != num_texts:
            raise DataError(
                f"text_image has {len(pairs)} entries for {num_texts} texts; give the image row of each text"
            )
        pairs = np.stack([np.arange(num_texts), pairs], axis=1)
        pairs = pairs[pairs[:, 1] != -1]
    elif pairs.ndim != 2 or pairs.shape[1] != 2:
        raise DataError(f"text_image must have shape [texts] or [pairs, 2], not {list(pairs.shape)}")
    pairs = pairs.astype(np.int64)
    if not len(pairs):
        raise DataError("no text belongs to an image; there is nothing to evaluate")
    for column, limit, what in ((0, num_texts, "text"), (1, num_images, "image")):
        wrong = np.flatnonzero((pairs[:, column] < 0) | (pairs[:, column] >= limit))
        if len(wrong):
            raise DataError(
                f"text_image names {what} row {pairs[wrong[0], column]}, "
                f"but there are {limit} {what} rows, counted from 0"
            )
    return np.unique(pairs, axis=0)


def standard_ranks(
    images: np.ndarray, texts: np.ndarray, right: RightPairs | SharedTexts, chunk: int
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks of both directions from two passes over blocks of text rows: the best positives, then what beats them."""
    images = normalise(images)
    best_text, best_image = np.full(len(texts), -np.inf), np.full(len(images), -np.inf)
    blocks = [(start, min(start + chunk, len(texts))) for start in range(0, len(texts), chunk)]
    for start, stop in blocks:
        rows, columns = right.of(start, stop)
        part = normalise(texts[start:stop])
        if len(rows) > DENSE * len(part):
            scores = (part @ images.T)[rows - start, columns]
        else:
            scores = np.einsum("ij,ij->i", part[rows - start], images[columns])
        np.maximum.at(best_text, rows, scores)
        np.maximum.at(best_image, columns, scores)
    asks_text, asks_image = np.isfinite(best_text), np.isfinite(best_image)
    best_text -= TIE
    best_image -= TIE
    text_rank, image_rank = np.zeros(len(texts), np.int64), np.zeros(len(images), np.int64)
    for start, stop in blocks:
        rows, columns = right.of(start, stop)
        scores = normalise(texts[start:stop]) @ images.T
        scores[rows - start, columns] = -np.inf
        text_rank[start:stop] = np.count_nonzero(scores >= best_text[start:stop, None], axis=1)
        image_rank += np.count_nonzero(scores >= best_image, axis=0)
    return text_rank[asks_text], image_rank[asks_image]


def official_ranks(images: np.ndarray, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks of both directions; blocks, types and operand order give the rounding that the release has."""
    count = len(texts)
    if len(images) != count:
        raise DataError(
            f"the official protocol pairs row i with row i, but there are {len(images)} image rows and "
            f"{count} text rows; repeat the image of each text or take the standard protocol"
        )
    images, texts = images.astype(np.float32, copy=False).T, texts.astype(np.float32, copy=False)
    most = max(1, BLOCK_BYTES // (4 * count))
    bounds = [count * part // OFFICIAL_BLOCKS for part in range(OFFICIAL_BLOCKS + 1)]
    blocks = [
        (start, min(start + most, stop)) for first, stop in pairwise(bounds) for start in range(first, stop, most)
    ]
    positive = np.empty(count, np.float32)
    text_rank, image_rank = np.empty(count, np.int64), np.zeros(count, np.int64)
    for start, stop in blocks:
        scores = np.matmul(texts[start:stop], images)
        positive[start:stop] = scores[np.arange(stop - start), np.arange(start, stop)]
        text_rank[start:stop] = np.count_nonzero(scores > positive[start:stop, None], axis=1)
    for start, stop in blocks:
        image_rank += np.count_nonzero(np.matmul(texts[start:stop], images) > positive, axis=0)
    return text_rank, image_rank
