"""Likeness that knows colours alone, or words alone: what a model has to do better than. NumPy only."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ...data.tokenizer import CLEAN, words


def colour_histogram(images: np.ndarray, bins: int) -> np.ndarray:
    """Square roots of the shares of colours: uint8 [N, S, S, 3] -> float32 [N, bins^3]."""
    levels = images.astype(np.int32) * bins // 256
    codes = (levels[..., 0] * bins + levels[..., 1]) * bins + levels[..., 2]
    counts = np.stack([np.bincount(code.ravel(), minlength=bins**3) for code in codes])
    return np.sqrt(counts / counts.sum(1, keepdims=True)).astype(np.float32)


def word_set(text: str) -> frozenset[str]:
    """The words of a text, lower-cased, each Chinese character being one; punctuation is none."""
    found = (word for token in text.translate(CLEAN).split() for word in words(token))
    return frozenset(word for word in found if word.isalnum())


def word_cosines(first: Sequence[str], second: Sequence[str]) -> np.ndarray:
    """float64 [N]: cosine of the words of every pair of texts, whatever their order and number.

    A word weighs log(2N / texts that have it), its inverse document frequency among these 2N texts, so one that all
    have weighs nothing; a text without words that weigh is like none.
    """
    sets = [[word_set(text) for text in side] for side in (first, second)]
    having = Counter(word for side in sets for found in side for word in found)
    texts = len(first) + len(second)
    square = {word: math.log(texts / number) ** 2 for word, number in having.items()}
    length = [[math.sqrt(math.fsum(square[word] for word in found)) for found in side] for side in sets]
    shared = (math.fsum(square[word] for word in one & other) for one, other in zip(*sets, strict=True))
    scales = (one * other for one, other in zip(*length, strict=True))
    return np.array([both / scale if scale else 0.0 for both, scale in zip(shared, scales, strict=True)], np.float64)
