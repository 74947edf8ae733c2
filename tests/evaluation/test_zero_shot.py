"""Class embeddings, predictions, accuracies, and the prompts, against slow forms and scikit-learn."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.errors import ConfigError, DataError
from ernie_vil2.evaluation.benchmarks.classification.elevater import SETS
from ernie_vil2.evaluation.prompts import CHINESE, ENSEMBLES, LANGUAGES, language_of, templates
from ernie_vil2.evaluation.zero_shot import accuracies, class_embeddings, eleven_point_ap, roc_auc, top_classes


class Texts:
    """Stands in for a model: a text is a unit vector drawn from its characters."""

    def __init__(self):
        self.seen, self.largest = [], 0

    def encode_text(self, texts):
        self.seen += texts
        self.largest = max(self.largest, len(texts))
        rows = np.stack([np.random.default_rng([ord(char) for char in text]).standard_normal(8) for text in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


CLASSES = [("猫", "猫咪"), "狗", ("a {} b",), "狗"]
FRAMES = ("{}", "一只{}", "{}和{}")


@pytest.mark.parametrize("window", [1, 7, 1000])
def test_a_class_is_the_normalised_mean_of_its_prompts(window):
    model = Texts()
    got = class_embeddings(model, CLASSES, FRAMES, window)
    for row, entry in zip(got, CLASSES, strict=True):
        names = [entry] if isinstance(entry, str) else entry
        mean = model.encode_text([frame.replace("{}", name) for name in names for frame in FRAMES]).mean(axis=0)
        assert np.allclose(row, mean / np.linalg.norm(mean), atol=1e-6)
    assert got.dtype == np.float32 and np.array_equal(got[1], got[3])
    assert model.largest <= max(window, 6)


def test_repeated_prompts_are_encoded_once():
    model = Texts()
    class_embeddings(model, CLASSES, FRAMES)
    assert len(model.seen) == len(set(model.seen))


@pytest.mark.parametrize(
    "classes, frames, words",
    [
        (["a"], ["no name"], "has no {}"),
        (["a"], [], "no prompt template"),
        ([], ["{}"], "no classes"),
        (["a", " "], ["{}"], "class 1"),
        (["a", ()], ["{}"], "class 1"),
    ],
)
def test_classes_and_templates_without_content(classes, frames, words):
    with pytest.raises(DataError, match=re.escape(words)):
        class_embeddings(Texts(), classes, frames)


@given(st.integers(0, 10_000))
def test_accuracies_equal_counting(seed):
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 9))
    scores, labels = rng.integers(0, 4, (25, classes)) / 4, rng.integers(0, classes, 25)
    hits = {1: 0, 5: 0}
    per_class = {}
    for row, label in zip(scores, labels, strict=True):
        order = sorted(range(classes), key=lambda index: (-row[index], index))
        for k in hits:
            hits[k] += label in order[:k]
        per_class.setdefault(int(label), []).append(order[0] == label)
    got = accuracies(top_classes(scores), labels, classes)
    assert got["acc@1"] == pytest.approx(hits[1] * 4)
    assert ("acc@5" in got) == (classes > 5)
    assert got.get("acc@5", hits[5] * 4) == pytest.approx(hits[5] * 4)
    assert got["mean_per_class"] == pytest.approx(100 * np.mean([np.mean(found) for found in per_class.values()]))


@pytest.mark.interop
def test_accuracies_equal_scikit_learn():
    from sklearn import metrics

    rng = np.random.default_rng(0)
    scores, labels = rng.standard_normal((300, 12)), rng.integers(0, 12, 300)
    got = accuracies(top_classes(scores), labels, 12)
    assert got["acc@1"] == pytest.approx(100 * metrics.accuracy_score(labels, scores.argmax(axis=1)))
    assert got["acc@5"] == pytest.approx(100 * metrics.top_k_accuracy_score(labels, scores, k=5))
    assert got["mean_per_class"] == pytest.approx(100 * metrics.balanced_accuracy_score(labels, scores.argmax(axis=1)))


def test_a_collapsed_model_is_at_chance():
    labels = np.repeat(np.arange(10), 7)
    got = accuracies(top_classes(np.zeros((70, 10))), labels, 10)
    assert got == pytest.approx({"acc@1": 10, "acc@5": 50, "mean_per_class": 10})


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=30))
def test_roc_auc_is_the_share_of_pairs_in_order(pairs):
    scores, positive = (np.array(column) for column in zip(*pairs, strict=True))
    if positive.all() or not positive.any():
        with pytest.raises(DataError, match="some of both"):
            roc_auc(scores, positive)
        return
    wins = [(yes > no) + (yes == no) / 2 for yes in scores[positive] for no in scores[~positive]]
    assert roc_auc(scores, positive) == pytest.approx(100 * np.mean(wins))


@pytest.mark.interop
def test_roc_auc_equals_scikit_learn():
    from sklearn import metrics

    rng = np.random.default_rng(2)
    scores, positive = rng.integers(0, 30, 200), rng.random(200) < 0.3
    assert roc_auc(scores, positive) == pytest.approx(100 * metrics.roc_auc_score(positive, scores))


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=25))
def test_eleven_point_ap_equals_the_definition(pairs):
    positives = sum(positive for _, positive in pairs)
    scores, positive = (np.array(column) for column in zip(*pairs, strict=True))
    if not positives:
        with pytest.raises(DataError, match="no positive"):
            eleven_point_ap(scores, positive)
        return
    points, hits = [], 0
    for rank, (_, hit) in enumerate(sorted((-score, hit) for score, hit in pairs), 1):
        hits += hit
        points.append((hits, hits / rank))
    # recall >= level / 10, in whole numbers
    wanted = [
        max((precision for found, precision in points if 10 * found >= level * positives), default=0)
        for level in range(11)
    ]
    assert eleven_point_ap(scores, positive) == pytest.approx(100 * sum(wanted) / 11)


# Prompts


@pytest.mark.parametrize("domain", ENSEMBLES)
def test_every_domain_has_prompts_in_both_languages(domain):
    for language in LANGUAGES:
        ensemble = templates(domain, language)
        assert len(ensemble) >= 5 and len(set(ensemble)) == len(ensemble)
        assert all(template.count("{}") == 1 for template in ensemble)
        assert ensemble[0] == "{}"
        chinese = [bool(CHINESE.search(template)) for template in ensemble[1:] if language == "zh" or template]
        assert all(chinese) if language == "zh" else not any(chinese)


def test_every_set_has_a_domain():
    assert len(SETS) == 20 and {task.domain for task in SETS.values()} <= set(ENSEMBLES)


def test_unknown_domain_and_language():
    with pytest.raises(ConfigError, match="did you mean 'flower'"):
        templates("flowers")
    with pytest.raises(ConfigError, match="zh and en"):
        templates("food", "fr")


def test_language_is_that_of_the_names():
    assert language_of(["cat", "狗"]) == "zh" and language_of(["cat", "chien", "ねこ"]) == "en"
