"""Similarities against a plain loop; norms of towers against NumPy."""

import math
from types import SimpleNamespace

import numpy as np
import paddle
import pytest

from ernie_vil2.config.run import ObjectiveConfig
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.objectives.contrastive import ContrastiveObjective
from ernie_vil2.systems.ernie_vil2 import ErnieVil2
from ernie_vil2.training import diagnostics
from ernie_vil2.training.diagnostics import Updates, norms, similarities
from ernie_vil2.training.optimization.gradients import Gradients
from ernie_vil2.training.optimization.weights import Weights


class Batch(SimpleNamespace):
    def __len__(self):
        return len(self.image_ids)


@pytest.mark.parametrize("rule", ["by_id", "one"])
def test_similarities_are_those_of_a_plain_loop(rule):
    rng = np.random.default_rng(0)
    embeds = {view: rng.normal(size=(6, 4)) for view in ("image", "caption")}
    embeds = {view: (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype("f4") for view, rows in embeds.items()}
    present = {"caption": np.array([1, 1, 1, 0, 1, 1], bool)}
    batch = Batch(
        image_ids=np.array([1, 1, 2, 3, 4, 5]), text_ids={"caption": np.array([1, 2, 3, 4, 3, 5])}, present=present
    )
    kept = [0, 1, 2, 4, 5]

    def positive(i, j):
        same = batch.image_ids[i] == batch.image_ids[j] or batch.text_ids["caption"][i] == batch.text_ids["caption"][j]
        return i == j or (rule == "by_id" and same)

    score = {(i, j): float(embeds["image"][i] @ embeds["caption"][j]) for i in kept for j in kept}
    wanted = [value for (i, j), value in score.items() if positive(i, j)]
    hardest = [max(score[i, j] for j in kept if not positive(i, j)) for i in kept]
    hardest += [max(score[i, j] for i in kept if not positive(i, j)) for j in kept]
    for values in (embeds, {view: paddle.to_tensor(rows) for view, rows in embeds.items()}):
        found = similarities(values, batch, rule)
        assert found.scalars() == pytest.approx(
            {"positive_similarity": np.mean(wanted), "hardest_negative_similarity": np.mean(hardest)}, rel=1e-5
        )
        assert len(found.negative) + len(found.positive) == 25


def test_of_a_large_batch_the_first_samples_are_compared():
    """Those behind them change nothing."""
    size, most = 3000, diagnostics.MOST_COMPARED
    ids = np.arange(size) // 2
    embeds = {view: np.random.default_rng(0).normal(size=(size, 2)).astype("f4") for view in ("image", "caption")}

    def first(count):
        batch = Batch(image_ids=ids[:count], text_ids={"caption": ids[:count]}, present={"caption": ids[:count] != 7})
        return similarities({view: rows[:count] for view, rows in embeds.items()}, batch)

    found, few, fewer = first(size), first(most), first(most - 1)
    for name in ("positive", "negative", "hardest_negative"):
        np.testing.assert_array_equal(getattr(found, name), getattr(few, name))
    assert len(found.positive) + len(found.negative) == (most - 2) ** 2 > len(fewer.positive) + len(fewer.negative)


def test_without_the_views_or_without_negatives_there_is_nothing_to_tell():
    batch = Batch(image_ids=np.array([1, 1]), text_ids={"caption": np.array([1, 2])}, present={})
    embeds = {view: np.eye(2, dtype=np.float32) for view in ("image", "caption")}
    assert similarities({"caption": embeds["caption"]}, batch) is None
    assert set(similarities(embeds, batch).scalars()) == {"positive_similarity"}


def test_norms_of_gradients_and_updates_per_tower(tiny_config):
    model = new_model(tiny_config)
    model.visual.class_embedding.stop_gradient = True
    towers = ErnieVil2(model, ContrastiveObjective(ObjectiveConfig())).towers()
    weights = Weights(model)
    updates, gradients = Updates(weights, towers), Gradients(weights)

    def gradient_norms():
        return norms({name: gradients.squared_norm(found) for name, found in updates.ranges.items()}, "grad_norm")

    assert updates.after() == {} and set(gradient_norms().values()) == {0.0}
    before = {name: value.numpy().copy() for name, value in model.named_parameters()}
    model.encode_image(paddle.rand([2, 3, 32, 32])).square().sum().backward()
    (model.logit_scale() * 1000).backward()
    grads = [value.grad.numpy().astype("f8") for value in model.visual.parameters() if value.grad is not None]
    gradients.collect()
    found = gradient_norms()
    assert found["grad_norm_image"] == pytest.approx(math.sqrt(sum((g**2).sum() for g in grads)), rel=1e-5)
    assert found["grad_norm_text"] == 0.0
    updates.before()
    for index, parameter in enumerate(model.parameters()):
        if not parameter.stop_gradient:
            parameter.set_value(parameter.numpy() + 0.01 * (index + 1))
    moved = updates.after()
    for tower, prefix in (("image", "visual."), ("text", "text_model.")):
        squares = sum(
            ((value.numpy().astype("f8") - before[name]) ** 2).sum()
            for name, value in model.named_parameters()
            if name.startswith(prefix)
        )
        assert moved[f"update_norm_{tower}"] == pytest.approx(math.sqrt(squares), rel=1e-4)
