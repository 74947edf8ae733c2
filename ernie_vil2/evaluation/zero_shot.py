"""Zero-shot classification: a class is the mean of what its prompts say, an image belongs to the nearest class."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..data.tokenizer import is_blank
from ..errors import DataError
from .metrics.finite import finite
from .metrics.similarity import average_ranks

if TYPE_CHECKING:
    from ..inference.model import Model

TEXT_WINDOW = 4096
"""Prompts encoded together; it bounds the memory of an ensemble of a thousand classes."""
TOP = 5


def class_embeddings(
    model: "Model", classes: Iterable[str | Sequence[str]], templates: Iterable[str], window: int = TEXT_WINDOW
) -> np.ndarray:
    """Embeddings float32 [C, D], L2-normalised: the mean of the normalised embeddings of a class's prompts.

    model: has `encode_text`. classes: a name, or a tuple of synonyms, per class. templates: texts with `{}` where the
    name goes; every synonym goes into every template. Raises DataError for a class or an ensemble without content,
    CheckpointError for embeddings that are not finite.
    """
    templates = list(templates)
    wrong = [template for template in templates if "{}" not in template]
    if not templates or wrong:
        raise DataError(
            f"the prompt template {wrong[0]!r} has no {{}} for the name of the class; add it"
            if wrong
            else "there is no prompt template; give at least '{}'"
        )
    names = [(entry,) if entry is None or isinstance(entry, str) else tuple(entry) for entry in classes]
    empty = [row for row, synonyms in enumerate(names) if not synonyms or any(map(nameless, synonyms))]
    if empty or not names:
        raise DataError(
            f"class {empty[0]} (counted from 0) has an empty name; name it"
            if empty
            else "there are no classes; give their names"
        )
    prompts = [[template.replace("{}", name) for name in synonyms for template in templates] for synonyms in names]
    means, start = [], 0
    while start < len(prompts):
        stop, count = start + 1, len(prompts[start])
        while stop < len(prompts) and count + len(prompts[stop]) <= window:
            count += len(prompts[stop])
            stop += 1
        texts = list(dict.fromkeys(text for own in prompts[start:stop] for text in own))
        row = {text: position for position, text in enumerate(texts)}
        embeds = finite(model.encode_text(texts), lambda place, texts=texts: f"the prompt {texts[place]!r}")
        embeds = embeds.astype(np.float64)
        means.extend(embeds[[row[text] for text in own]].mean(axis=0) for own in prompts[start:stop])
        start = stop
    means = np.stack(means)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return (means / np.maximum(lengths, 1e-12)).astype(np.float32)


def nameless(name: object) -> bool:
    """Whether a class is called nothing that can be read."""
    return not isinstance(name, str) or is_blank(name)


def top_classes(scores: np.ndarray, count: int = TOP) -> np.ndarray:
    """int64 [N, min(count, C)]: the classes of the highest scores [N, C], best first; of equal ones the first class."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


def accuracies(top: np.ndarray, labels: ArrayLike, classes: int) -> dict[str, float]:
    """{acc@1, acc@5, mean_per_class} in percent, from `top_classes` [N, K], labels int [N] and the number of classes.

    mean_per_class: the mean of the share of hits at 1 within each class that has images. acc@5 is left out where it
    says nothing: with five classes or fewer. Raises DataError when there are no images.
    """
    labels = np.asarray(labels)
    if not len(labels):
        raise DataError("there are no images to classify; check the folder")
    hits = top == labels[:, None]
    images, found = np.bincount(labels), np.bincount(labels, weights=hits[:, 0])
    per_class = found[images > 0] / images[images > 0]
    result = {"acc@1": float(hits[:, 0].mean() * 100)}
    if classes > TOP:
        result["acc@5"] = float(hits[:, :TOP].any(axis=1).mean() * 100)
    result["mean_per_class"] = float(per_class.mean() * 100)
    return result


def roc_auc(scores: ArrayLike, positive: ArrayLike) -> float:
    """Area under the ROC curve x 100: the share of (positive, negative) pairs in the right order, ties by half.

    scores float [N], positive bool [N]. Raises DataError when one of the two kinds is missing.
    """
    positive = np.asarray(positive, bool)
    yes, no = int(positive.sum()), int((~positive).sum())
    if not yes or not no:
        raise DataError(f"{yes} positive and {no} negative images; an ROC curve needs some of both")
    ranks = average_ranks(np.asarray(scores, np.float64))
    return float((ranks[positive].sum() - yes * (yes + 1) / 2) / (yes * no) * 100)


def eleven_point_ap(scores: ArrayLike, positive: ArrayLike) -> float:
    """Average precision x 100 as PASCAL VOC 2007 defines it: the mean, over recall 0, 0.1 ... 1, of the best precision
    at that recall or a higher one.

    scores float [N], positive bool [N]; equal scores rank the negatives first. Raises DataError without a positive.
    """
    scores, positive = np.asarray(scores, np.float64), np.asarray(positive, bool)
    if not positive.any():
        raise DataError("a class has no positive image; its average precision does not exist")
    hits = positive[np.lexsort((positive, -scores))]
    found = np.cumsum(hits)
    precision, tenths = found / np.arange(1, len(hits) + 1), found * 10
    reached = (np.where(tenths >= level * found[-1], precision, 0.0).max() for level in range(11))
    return float(sum(reached) / 11 * 100)
