"""A loss of a user's own gives on parts of a batch, and in both directions, what it gives on the whole."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import paddle
import pytest

from ernie_vil2.config.losses import LOSSES
from ernie_vil2.config.run import ObjectiveConfig
from ernie_vil2.errors import ConfigError
from ernie_vil2.objectives.contrastive import ContrastiveObjective
from ernie_vil2.objectives.gather import divide
from ernie_vil2.objectives.positives import Labels
from ernie_vil2.objectives.registry import PairLoss, both_ways, register_loss
from ernie_vil2.schema import document

PAIR = "image", "caption"


@dataclass
class Hinge(PairLoss):
    margin: float = document(0.2, "margin", positive=True)

    def __call__(self, rows, columns, positive, negative, scale):
        cosines = paddle.matmul(rows, columns, transpose_y=True)
        least = paddle.where(positive, cosines, paddle.full_like(cosines, 2.0)).min(1, keepdim=True)
        return (paddle.nn.functional.relu(self.margin + cosines - least) * negative.astype("float32")).sum(1)


def rows_of(seed, count=6, width=5):
    found = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def labels(present):
    ids = np.array([1, 2, 2, 4, 5, 6])
    texts = {"caption": np.arange(6)}
    return Labels(ids, texts, {"caption": np.array(present)}, np.arange(6))


def expected(images, texts, present, margin):
    """Both directions by hand: rows 1 and 2 are of one image."""
    ids, total = [1, 2, 2, 4, 5, 6], 0.0
    there = [index for index in range(6) if present[index]]
    for rows, columns in ((images, texts), (texts, images)):
        scores = rows @ columns.T
        for i in there:
            own = min(scores[i, j] for j in there if ids[j] == ids[i])
            total += sum(max(0.0, margin + scores[i, j] - own) for j in there if ids[j] != ids[i])
    return total / 2


@pytest.mark.parametrize("present", [[True] * 6, [True, True, False, True, False, True]])
def test_the_parts_of_ranks_add_up_to_the_loss_by_hand(present):
    images, texts, whole = rows_of(0), rows_of(1), labels(present)
    every = {"image": paddle.to_tensor(images), "caption": paddle.to_tensor(texts)}
    total = 0.0
    for rank in range(2):
        share = divide(6, 2, rank, 2)
        own = slice(share.start, share.start + share.rows)
        parts = {view: each[own] for view, each in every.items()}
        total += float(both_ways(Hinge(0.3), PAIR, "by_id", (whole.part(own), whole), parts, every, paddle.ones([1])))
    assert total == pytest.approx(expected(images, texts, present, 0.3), rel=1e-5)


def test_the_objective_takes_it_with_its_settings(monkeypatch):
    monkeypatch.setitem(LOSSES, "hinge", Hinge)
    images, texts = rows_of(0), rows_of(1)
    objective = ContrastiveObjective(ObjectiveConfig(loss="hinge", settings={"margin": 0.3}))
    monkeypatch.setattr(
        "ernie_vil2.objectives.contrastive.device_labels", lambda batch, share: (labels([True] * 6),) * 2
    )
    embeds = {"image": paddle.to_tensor(images), "caption": paddle.to_tensor(texts)}
    embeds["image"].stop_gradient = False
    model = SimpleNamespace(logit_scale=lambda group: paddle.ones([1]))
    batch = SimpleNamespace(__len__=lambda self: 6)
    found = objective.loss(embeds, batch, model, divide(6))["loss"]
    assert float(found) == pytest.approx(expected(images, texts, [True] * 6, 0.3) / 6, rel=1e-5)
    found.backward()
    assert float(paddle.abs(embeds["image"].grad).sum()) > 0


def test_the_gradient_is_that_of_a_plain_graph_through_rows_and_columns():
    labelled, found = (labels([True] * 6),) * 2, []
    for plain in (False, True):
        leaves = [paddle.to_tensor(rows_of(seed), stop_gradient=False) for seed in (0, 1)]
        if plain:
            same = paddle.to_tensor(labelled[0].image_ids[:, None] == labelled[0].image_ids[None])
            both = [Hinge(0.3)(*pair, same, ~same, None).sum() for pair in (leaves, leaves[::-1])]
            loss = (both[0] + both[1]) / 2
        else:
            views = dict(zip(PAIR, leaves, strict=True))
            loss = both_ways(Hinge(0.3), PAIR, "by_id", labelled, views, views, paddle.ones([1]))
        loss.backward()
        found.append(np.stack([leaf.grad.numpy() for leaf in leaves]))
    assert np.linalg.norm(found[0] - found[1]) < 1e-5 * np.linalg.norm(found[1])


def test_wrong_settings_names_and_classes_are_refused(monkeypatch):
    monkeypatch.setitem(LOSSES, "hinge", Hinge)
    with pytest.raises(ConfigError, match="^objective.loss hinge: objective.settings.margin is -1.0 but must be"):
        ObjectiveConfig(loss="hinge", settings={"margin": -1.0})
    with pytest.raises(ConfigError, match="infonce has none"):
        ObjectiveConfig(settings={"margin": 1.0})
    with pytest.raises(ConfigError, match="there is a loss infonce already"):
        register_loss("infonce", Hinge)
    with pytest.raises(ConfigError, match="must be a dataclass derived from PairLoss"):
        register_loss("other", dict)
    with pytest.raises(ConfigError, match="other lacks __call__"):
        register_loss("other", dataclass(type("Empty", (PairLoss,), {})))


@pytest.mark.parametrize(("of", "said"), [(paddle.mean, r"a tensor of shape \[\]"), (float, "a float")])
def test_a_loss_of_the_wrong_shape_is_named(of, said):
    class Mean(Hinge):
        def __call__(self, *given):
            return of(super().__call__(*given).mean())

    embeds = {view: paddle.to_tensor(rows_of(seed)) for seed, view in enumerate(PAIR)}
    with pytest.raises(ConfigError, match=f"the loss Mean gave {said} for 6 rows; it must give one number"):
        both_ways(Mean(), PAIR, "by_id", (labels([True] * 6),) * 2, embeds, embeds, paddle.ones([1]))


def test_samples_without_a_view_leave_the_gradient_of_a_logarithm_finite():
    class CrossEntropy(Hinge):
        def __call__(self, rows, columns, positive, negative, scale):
            weights = paddle.exp(paddle.matmul(rows, columns, transpose_y=True))
            own, other = ((weights * flags.astype("float32")).sum(1) for flags in (positive, negative))
            return paddle.log(own + other) - paddle.log(own)

    held = (labels([True, True, False, True, False, True]),) * 2
    embeds = {view: paddle.to_tensor(rows_of(seed), stop_gradient=False) for seed, view in enumerate(PAIR)}
    both_ways(CrossEntropy(), PAIR, "by_id", held, embeds, embeds, paddle.ones([1])).backward()
    gradients = np.stack([value.grad.numpy() for value in embeds.values()])
    assert np.isfinite(gradients).all() and not gradients[:, [2, 4]].any() and gradients[:, [0, 1, 3, 5]].all()
