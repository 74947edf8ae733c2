"""A baseline that knows colours and words only: ridge regression from colour histogram to bag of words.

What it reaches is what a retrieval data set gives away without shapes, places or word order.
"""

import itertools

import numpy as np

from ...data.sources.base import Source
from ...data.tokenizer import Tokenizer
from ...evaluation.metrics.plain_likeness import colour_histogram
from ...evaluation.metrics.ranks import retrieval_metrics
from ...keys import stable_hash

BINS = (4, 6)
Fitted = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""(mean histogram, weights [bins^3, V], mean bag, idf)"""
PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)


def bag_of_words(tokens: np.ndarray, vocab_size: int) -> np.ndarray:
    """Which words occur: token ids int64 [M, L] padded with 0 -> float32 [M, V]."""
    bag = np.zeros((len(tokens), vocab_size), np.float32)
    np.put_along_axis(bag, tokens, 1.0, axis=1)
    bag[:, 0] = 0
    return bag


class Split:
    """Images uint8 [N, S, S, 3] and captions of a source, which image each belongs to, and which are equal."""

    def __init__(self, source: Source, tokenizer: Tokenizer, size: int | None = None) -> None:
        samples = [source[index] for index in range(min(size or len(source), len(source)))]
        self.images = np.stack([sample.image for sample in samples])
        texts = [text for sample in samples for text in sample.texts]
        self.owner = np.repeat(np.arange(len(samples)), [len(sample.texts) for sample in samples])
        self.keys = np.array([stable_hash(text) for text in texts], np.int64)
        self.words = bag_of_words(tokenizer.encode(texts), tokenizer.vocab_size)


def fit(split: Split, bins: int, penalty: float) -> Fitted:
    """Ridge regression onto an image's mean bag."""
    histogram = colour_histogram(split.images, bins)
    bags = np.zeros((len(histogram), split.words.shape[1]), np.float32)
    np.add.at(bags, split.owner, split.words)
    bags /= np.bincount(split.owner)[:, None]
    centre, mean = histogram.mean(0), bags.mean(0)
    inner = (histogram - centre).T @ (histogram - centre) + penalty * np.eye(histogram.shape[1], dtype=np.float32)
    weights = np.linalg.solve(inner, (histogram - centre).T @ (bags - mean))
    return centre, weights, mean, np.log(1 / np.clip(split.words.mean(0), 1e-4, 1))


def score(model: Fitted, split: Split, bins: int) -> dict[str, float]:
    """Standard retrieval metrics of the fitted model on a split."""
    centre, weights, mean, idf = model
    predicted = (colour_histogram(split.images, bins) - centre) @ weights * idf
    wanted = (split.words - mean) * idf
    return retrieval_metrics(predicted, wanted, split.owner, protocol="standard", text_keys=split.keys)


def colour_baseline(train: Split, valid: Split, test: Split) -> dict[str, float]:
    """Metrics on `test` of the baseline whose bins and penalty are best on `valid`; the arguments are Splits."""
    trials = {}
    for bins, penalty in itertools.product(BINS, PENALTIES):
        model = fit(train, bins, penalty)
        trials[bins, penalty] = (score(model, valid, bins)["t2i_r1"], model)
    best = max(trials, key=lambda key: trials[key][0])
    return {**score(trials[best][1], test, best[0]), "bins": best[0], "penalty": best[1]}
