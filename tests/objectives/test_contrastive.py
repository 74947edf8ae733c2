"""The objective against a brute force in NumPy, and what must leave it unchanged."""

import math
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.config.run import ObjectiveConfig
from ernie_vil2.data.batches.views import Batch
from ernie_vil2.errors import ConfigError
from ernie_vil2.objectives.contrastive import ContrastiveObjective
from ernie_vil2.objectives.views import group_of

VIEWS = ("image", "image'", "caption", "caption'", "tags", "tags'")
SCALES = {"mm": 9.0, "ii": 4.0, "tt": 6.0}
MODEL = SimpleNamespace(logit_scale=lambda group="mm": paddle.to_tensor([SCALES[group]]))


def random_batch(rng, size, images=None, texts=None, absent=0.0):
    embeds = {view: rng.standard_normal((size, 5)).astype(np.float32) for view in VIEWS}
    embeds = {view: rows / np.linalg.norm(rows, axis=1, keepdims=True) for view, rows in embeds.items()}
    text_views = VIEWS[2:]
    batch = Batch(
        pixels={},
        tokens={},
        index=np.arange(size),
        where=[str(i) for i in range(size)],
        image_ids=rng.integers(0, images or 10**9, size),
        text_ids={view: rng.integers(0, texts or 10**9, size) for view in text_views},
        present={view: rng.random(size) >= absent for view in text_views},
    )
    return embeds, batch


def brute_force(embeds, batch, first, second):
    """Symmetric InfoNCE of one pair in plain loops."""
    rows = [
        i for i in range(len(batch)) if all(batch.present[view][i] for view in (first, second) if view in batch.present)
    ]
    if not rows:
        return None

    def positive(i, j):
        a, b = (batch.text_ids.get(view) for view in (first, second))
        return (
            batch.image_ids[i] == batch.image_ids[j]
            or (a is not None and a[i] == a[j])
            or (b is not None and b[i] == b[j])
            or (a is not None and b is not None and a[i] == b[j])
        )

    def one_way(queries, keys, positive):
        total = 0.0
        for i in rows:
            logits = np.array([SCALES[group_of(first, second)] * float(queries[i] @ keys[j]) for j in rows])
            log_softmax = logits - np.log(np.exp(logits).sum())
            wanted = [position for position, j in enumerate(rows) if positive(i, j)]
            total -= log_softmax[wanted].mean()
        return total / len(rows)

    forward = one_way(embeds[first], embeds[second], positive)
    return (forward + one_way(embeds[second], embeds[first], lambda i, j: positive(j, i))) / 2


def loss_of(pairs, embeds, batch, **options):
    objective = ContrastiveObjective(ObjectiveConfig(pairs=pairs, **options))
    parts = objective.loss({view: paddle.to_tensor(rows) for view, rows in embeds.items()}, batch, MODEL)
    return {name: value.item() for name, value in parts.items()}


PAIRS = [
    ["image", "caption", 1.0],
    ["image", "tags", 0.5],
    ["image", "image'", 2.0],
    ["caption", "caption'", 1.0],
    ["caption", "tags", 0.25],
    ["tags", "tags'", 1.0],
]


@given(
    st.integers(1, 9),
    st.integers(0, 2**31),
    st.sampled_from([None, 3]),
    st.sampled_from([None, 3]),
    st.sampled_from([0.0, 0.4]),
)
def test_every_pair_equals_the_brute_force_and_the_total_is_the_weighted_mean(size, seed, images, texts, absent):
    embeds, batch = random_batch(np.random.default_rng(seed), size, images, texts, absent)
    found = loss_of(PAIRS, embeds, batch)
    wanted = {f"{a}-{b}": (brute_force(embeds, batch, a, b), weight) for a, b, weight in PAIRS}
    assert {name for name, value in found.items() if value != value} == {
        name for name, (value, _) in wanted.items() if value is None
    }
    wanted = {name: item for name, item in wanted.items() if item[0] is not None}
    for name, (value, _) in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-4, abs=1e-5)
    total = sum(value * weight for value, weight in wanted.values()) / sum(weight for _, weight in wanted.values())
    assert found["loss"] == pytest.approx(total, rel=1e-4, abs=1e-5)


def test_order_of_the_batch_and_of_a_pair_do_not_matter():
    rng = np.random.default_rng(1)
    embeds, batch = random_batch(rng, 7, images=4, texts=4, absent=0.3)
    base = loss_of(PAIRS, embeds, batch)
    turned = [[b, a, weight] for a, b, weight in PAIRS]
    assert loss_of(turned, embeds, batch)["loss"] == pytest.approx(base["loss"], rel=1e-5)
    order = rng.permutation(7)
    shuffled = Batch(
        pixels={},
        tokens={},
        index=batch.index,
        where=batch.where,
        image_ids=batch.image_ids[order],
        text_ids={view: ids[order] for view, ids in batch.text_ids.items()},
        present={view: mask[order] for view, mask in batch.present.items()},
    )
    assert loss_of(PAIRS, {view: rows[order] for view, rows in embeds.items()}, shuffled)["loss"] == pytest.approx(
        base["loss"], rel=1e-5
    )


def test_equal_embeddings_cost_the_logarithm_of_the_batch():
    embeds, batch = random_batch(np.random.default_rng(2), 8)
    embeds = {view: np.ones_like(rows) / math.sqrt(5) for view, rows in embeds.items()}
    assert loss_of([["image", "caption"]], embeds, batch)["loss"] == pytest.approx(math.log(8), rel=1e-5)


def test_a_repeated_image_is_no_negative_of_itself():
    embeds, batch = random_batch(np.random.default_rng(3), 4)
    batch.image_ids = np.array([1, 1, 2, 3])
    for view in ("image", "caption"):
        embeds[view] = np.eye(5, dtype=np.float32)[[0, 0, 1, 2]]
    by_id = loss_of([["image", "caption"]], embeds, batch)["loss"]
    alone = loss_of([["image", "caption"]], embeds, batch, positives="one")["loss"]
    best = 2 * math.log(2 + 2 * math.exp(-9.0)) / 4 + 2 * math.log(1 + 3 * math.exp(-9.0)) / 4
    assert by_id == pytest.approx(best, rel=1e-3)
    assert alone == pytest.approx(by_id, rel=1e-3)
    embeds["caption"] = embeds["caption"][[0, 3, 2, 1]]
    assert loss_of([["image", "caption"]], embeds, batch)["loss"] > by_id + 1


def test_each_group_has_its_own_temperature_and_gradient():
    embeds, batch = random_batch(np.random.default_rng(4), 6)
    scales = {group: paddle.to_tensor([value], stop_gradient=False) for group, value in SCALES.items()}
    objective = ContrastiveObjective(ObjectiveConfig(pairs=[["image", "caption"], ["image", "image'"]]))
    model = SimpleNamespace(logit_scale=lambda group="mm": scales[group])
    objective.loss({view: paddle.to_tensor(rows) for view, rows in embeds.items()}, batch, model)["loss"].backward()
    assert objective.groups == ("mm", "ii")
    assert scales["mm"].grad is not None and scales["ii"].grad is not None and scales["tt"].grad is None


@pytest.mark.parametrize(
    "pairs, hint",
    [
        ([], "empty"),
        ([["image", "capton"]], "'caption'"),
        ([["image", "image"]], "image'"),
        ([["image", "caption", 0]], "above 0"),
        ([["image", "caption"], ["caption", "image"]], "twice"),
        ([["image"]], "[view, view, weight]"),
    ],
)
def test_wrong_pairs_are_named(pairs, hint):
    with pytest.raises(ConfigError) as error:
        ObjectiveConfig(pairs=pairs)
    assert hint in str(error.value)
