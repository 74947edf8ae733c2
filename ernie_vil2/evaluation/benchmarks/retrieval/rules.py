"""How pairs are measured: every rule gives figures from the embeddings of images and texts."""

from itertools import pairwise

import numpy as np

from ...metrics.graded import graded_metrics
from ...metrics.ranks import TIE, normalise, retrieval_metrics
from .pairs import Pairs

Figures = tuple[str, dict[str, float], dict[str, int], tuple[str, ...]]
"""(task, metrics, counts, notes) of a rule"""
FOLDS = 5
RELEVANT = 2
COUNTS = {
    "num_images": "images",
    "num_texts": "texts",
    "num_image_queries": "image queries",
    "num_text_queries": "text queries",
}


def split(values: dict[str, float]) -> tuple[dict[str, float], dict[str, int]]:
    """(metrics, counts) of what `retrieval_metrics` gives."""
    return (
        {key: value for key, value in values.items() if key not in COUNTS},
        {name: values[key] for key, name in COUNTS.items()},
    )


def standard(image: np.ndarray, text: np.ndarray, part: Pairs) -> Figures:
    """Both directions; every caption of an image is right."""
    return "retrieval", *split(retrieval_metrics(image, text, part.pairs)), ()


def row_by_row(image: np.ndarray, text: np.ndarray, part: Pairs) -> Figures:
    """Both directions under the protocol of the release's script: pair i against all other pairs."""
    values = retrieval_metrics(image[part.pairs[:, 1]], text[part.pairs[:, 0]], protocol="official")
    metrics, numbers = split(values)
    note = "the release's protocol: text i belongs to image i alone, and equal scores count for the model"
    return "retrieval", metrics, numbers, (note,)


def folds(image: np.ndarray, text: np.ndarray, part: Pairs) -> Figures:
    """Mean over FOLDS runs of consecutive images, each with its own captions as the only candidates."""
    edges, runs = fold_edges(len(image)), []
    for start, stop in pairwise(edges.tolist()):
        inside = part.pairs[(part.pairs[:, 1] >= start) & (part.pairs[:, 1] < stop)]
        rows, texts = np.unique(inside[:, 0], return_inverse=True)
        runs.append(
            retrieval_metrics(
                image[start:stop], text[rows], np.stack([texts.reshape(-1), inside[:, 1] - start], axis=1)
            )
        )
    metrics = split({key: float(np.mean([run[key] for run in runs])) for key in runs[0]})[0]
    sizes = sorted(set(np.diff(edges).tolist()))
    what = "image" if sizes == [1] else "images"
    return (
        "retrieval",
        metrics,
        {"images": len(image), "texts": len(text), "folds": FOLDS},
        (f"mean over {FOLDS} folds of {' or '.join(f'{size:,}' for size in sizes)} {what}",),
    )


def fold_edges(count: int) -> np.ndarray:
    """int64 [FOLDS + 1]: where the folds of `count` images begin and end; their sizes differ by 1 at most."""
    return np.arange(FOLDS + 1) * count // FOLDS


def filled_folds(part: Pairs) -> int:
    """How many of the FOLDS of Pairs have an image with a text."""
    inner = fold_edges(len(part.image_ids))[1:-1]
    return len(np.unique(np.searchsorted(inner, part.pairs[:, 1], side="right")))


def text_to_image(image: np.ndarray, text: np.ndarray, part: Pairs) -> Figures:
    """One direction, since a query may have several images and an image several queries."""
    metrics, numbers = split(retrieval_metrics(image, text, part.pairs))
    metrics = {key: value for key, value in metrics.items() if key.startswith("t2i_")}
    return "retrieval", {**metrics, "mean_recall": metrics["t2i_mean"]}, numbers, ()


def graded(image: np.ndarray, text: np.ndarray, part: Pairs) -> Figures:
    """Text to image against all images, and the order of the labelled ones of each query."""
    metrics, numbers = text_to_image(image, text, part)[1:3]
    query, document, label = part.grades.T
    scores = np.einsum("ij,ij->i", normalise(text[query]), normalise(image[document]))
    scores = np.round(scores / TIE) * TIE  # what is closer is equal, as for the recalls
    more, counts, notes = graded_metrics(scores, label, query, RELEVANT)
    return "graded-retrieval", {**metrics, **more}, {**numbers, **counts}, notes


RULES = {
    "standard": standard,
    "row_by_row": row_by_row,
    "folds": folds,
    "text_to_image": text_to_image,
    "graded": graded,
}
