"""From pairs that are read to figures: every image and text is encoded once, whatever the number of protocols."""

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ....errors import ImageError
from ...embeddings import Embeddings
from ...encoding import IMAGE_WINDOW, Progress, encode_window
from ...left_out import LeftOut
from ...metrics.finite import finite
from ...metrics.graded import graded_metrics
from ...metrics.ranks import TIE, normalise, retrieval_metrics
from ...runs.records import Outcome, Result
from .pairs import Pairs

if TYPE_CHECKING:
    from ....inference.model import Model

TEXT_WINDOW = 4096
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


def outcome(model: "Model", sets: list[Pairs], progress: Progress | None = None) -> Outcome:
    """The Outcome of a list of Pairs, a Result each in this order; embeddings and pairs are those of the first.

    progress: called with (images and texts encoded, all of them). Raises ImageError naming an image that cannot be
    decoded and its place, CheckpointError for embeddings that are not finite.
    """
    meter = Meter(progress, sets)
    image_rows, images, digests = encode_images(model, sets, meter)
    text_rows, texts = encode_texts(model, sets, meter)
    results, first = [], None
    for part in sets:
        image = images[[image_rows[key] for key in part.image_ids]]
        text = texts[[text_rows[line] for line in part.texts]]
        task, metrics, numbers, notes = RULES[part.rule](image, text, part)
        results.append(Result(part.name, task, metrics, numbers, notes=(*part.notes, *notes)))
        first = first or (image, text, part)
    image, text, part = first
    owner = np.full(len(text), -1, np.int64)
    owner[part.pairs[::-1, 0]] = part.pairs[::-1, 1]
    embeddings = Embeddings(image, text, owner, image_ids=part.image_ids)
    return Outcome(results, checksum(sets, digests), embeddings, part.pairs, part.texts, part.images.__getitem__)


class Meter:
    """Tells how much is encoded."""

    def __init__(self, progress: Progress | None, sets: list[Pairs]) -> None:
        self.progress, self.done = progress, 0
        self.total = len({key for part in sets for key in part.image_ids}) + len(
            {line for part in sets for line in part.texts}
        )

    def add(self, count: int) -> None:
        """Tell of `count` more."""
        self.done += count
        if self.progress:
            self.progress(self.done, self.total)


def encode_images(model: "Model", sets: list[Pairs], meter: Meter) -> tuple[dict[str, int], np.ndarray, dict[str, str]]:
    """({id: row}, embeddings [N, D], {id: SHA-256 of the file}) of all images, a window of them in memory at a time."""
    first = {}
    for part in sets:
        for row, key in enumerate(part.image_ids):
            first.setdefault(key, (part, row))
    embeds, digests, keys = [], {}, list(first)
    for start in range(0, len(keys), IMAGE_WINDOW):
        window = keys[start : start + IMAGE_WINDOW]
        contents = [content(*first[key]) for key in window]

        def broken(position: int, reason: str, window: list[str] = window) -> ImageError:
            part, row = first[window[position]]
            return ImageError(f"image {window[position]!r}, {part.place(row)}: {reason}")

        rows = encode_window(model, contents, broken, LeftOut())[1]
        embeds.append(finite(rows, lambda position, window=window: f"image {window[position]!r}"))
        digests.update((key, hashlib.sha256(data).hexdigest()) for key, data in zip(window, contents, strict=True))
        meter.add(len(window))
    return {key: row for row, key in enumerate(keys)}, np.concatenate(embeds), digests


def content(part: Pairs, row: int) -> bytes:
    """The encoded bytes of an image."""
    image = part.images[row]
    if isinstance(image, bytes):
        return image
    try:
        return image.read_bytes()
    except OSError as error:
        raise ImageError(f"{image}: cannot be read ({error.strerror}); copy the image again") from None


def encode_texts(model: "Model", sets: list[Pairs], meter: Meter) -> tuple[dict[str, int], np.ndarray]:
    """({text: row}, embeddings [M, D]) of all different texts."""
    texts = list(dict.fromkeys(line for part in sets for line in part.texts))
    embeds = []
    for start in range(0, len(texts), TEXT_WINDOW):
        window = texts[start : start + TEXT_WINDOW]
        rows = model.encode_text(window)
        embeds.append(finite(rows, lambda position, window=window: f"the text {window[position]!r}"))
        meter.add(len(window))
    return {line: row for row, line in enumerate(texts)}, np.concatenate(embeds)


def checksum(sets: list[Pairs], digests: dict[str, str]) -> str:
    """SHA-256 over names and contents of all files of texts and of all images, wherever they lie."""
    total = hashlib.sha256()
    for name, digest in sorted({item for part in sets for item in part.files.items()} | set(digests.items())):
        total.update(f"{name}\t{digest}\n".encode())
    return total.hexdigest()


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
