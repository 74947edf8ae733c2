"""InfoNCE against a queue: the plain form in extended precision, over tiles, on the branches of a card, in bytes."""

import itertools
from types import SimpleNamespace

import numpy as np
import paddle
import pytest

from ernie_vil2.config.run import ObjectiveConfig, QueueNegatives
from ernie_vil2.data.batches.views import Batch
from ernie_vil2.device import Device, current_device
from ernie_vil2.objectives import negative_queue, positives, tiles
from ernie_vil2.objectives.comparison import Comparison
from ernie_vil2.objectives.contrastive import ContrastiveObjective
from ernie_vil2.objectives.positives import Labels
from ernie_vil2.objectives.queue_nce import Queried, queue_nce
from ernie_vil2.studies.traffic import Traffic

WIDE = np.longdouble
ROWS, WIDTH = 23, 24
NOISE = {"loose": 3.0, "tight": 1.0, "saturated": 0.1}
"""How far a query lies from its key"""
LOSSES = {"loose": (1, 100), "tight": (1e-4, 1), "saturated": (0, 1e-7)}
"""Bounds of the mean loss against 300 columns at SCALE"""
SCALE = 50.0
SIZES = [1, 5, 23, 37, 300]
"""Columns; below, equal to and above the batch, none a multiple of a tile"""
MASKS = {
    "nothing": {},
    "images": {"images": 9},
    "texts": {"texts": 9},
    "rule-one": {"images": 3, "texts": 3, "rule": "one"},
    "both-texts": {"texts": 9, "views": ("caption", "tags")},
    "images-alone": {"images": 9, "texts": 3, "views": ("image", "image'")},
    "absent": {"texts": 9, "absent": 0.4, "views": ("tags", "caption")},
}


def plain(x, key, columns, scale, left_out, used):
    """{"loss", "x", "scale"} of -log softmax of every row's own key among the columns that are not left out, summed."""
    loss, dx, slope, scale = WIDE(0), np.zeros(x.shape, WIDE), WIDE(0), WIDE(np.float32(scale))
    for row in np.flatnonzero(used):
        others = columns[~left_out[row]].astype(WIDE)
        if not len(others):
            continue
        query, own = x[row].astype(WIDE), key[row].astype(WIDE)
        gaps = scale * ((others - own) @ query)
        powers = np.exp(gaps - gaps.max())
        summand = np.logaddexp(WIDE(0), gaps.max() + np.log(powers.sum()))
        shares = np.exp(gaps - summand)
        loss += summand
        dx[row] = scale * (shares @ (others - own))
        slope += shares @ gaps / scale
    return {"loss": loss, "x": dx, "scale": slope}


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def features(how, size, seed=0):
    """(queries, keys [ROWS, WIDTH], columns [size, WIDTH]) of length 1."""
    draws = np.random.default_rng([seed, size])
    key, other, columns = (unit(draws.standard_normal((count, WIDTH))) for count in (ROWS, ROWS, size))
    return unit(key + NOISE[how] * other), key, columns


def labels(count, places, seed, images=10**9, texts=10**9, absent=0.0):
    """Labels whose ids are out of so many."""
    draws = np.random.default_rng(seed)
    ids = {view: draws.integers(0, texts, count) for view in ("caption", "tags")}
    present = {view: draws.random(count) >= absent for view in ids} if absent else {}
    return Labels(draws.integers(0, images, count), ids, present, places)


def has(of, view, at):
    return bool(of.present[view][at]) if view in of.present else True


def masks(rows, columns, views, rule):
    """(bool [b, K] of columns that are no negatives, bool [b] of rows that count), one by one."""
    left_out = np.zeros((len(rows), len(columns)), bool)
    for i, j in itertools.product(range(len(rows)), range(len(columns))):
        texts = [
            {of.text_ids[view][at] for view in views if "image" not in view} for of, at in ((rows, i), (columns, j))
        ]
        alike = rows.image_ids[i] == columns.image_ids[j]
        same_view = any(rows.text_ids[view][i] == columns.text_ids[view][j] for view in views if "image" not in view)
        crossed = len(texts[0]) == 2 and rows.text_ids[views[0]][i] == columns.text_ids[views[1]][j]
        left_out[i, j] = (rule == "by_id" and (alike or same_view or crossed)) or not has(columns, views[1], j)
    return left_out, np.array([all(has(rows, view, i) for view in views) for i in range(len(rows))])


def problem(size, images=10**9, texts=10**9, absent=0.0, views=("image", "caption"), rule="by_id"):
    """(Comparison, columns left out, rows that count)."""
    rows = labels(ROWS, np.arange(ROWS), 1, images, texts, absent)
    columns = labels(size, np.full(size, negative_queue.NOBODY), 2, images, texts, absent)
    return Comparison(rows, columns, *views, rule, views[1:]), *masks(rows, columns, views, rule)


def found_by(comparison, x, key, columns, scale):
    """{"loss", "x", "scale"} of the library."""
    query, factor = (paddle.to_tensor(value, "float32", stop_gradient=False) for value in (x, [scale]))
    loss = queue_nce([(Queried(comparison, paddle.to_tensor(key), paddle.to_tensor(columns)), query, factor)])[0]
    loss.backward()
    return {"loss": loss.numpy(), "x": query.grad.numpy(), "scale": factor.grad.numpy()[0]}


def errors(found, wanted):
    """{name: norm of the difference over that of what is wanted}."""
    return {
        name: float(np.linalg.norm((found[name] - value).astype("f8")) / np.linalg.norm(np.asarray(value, "f8")))
        for name, value in wanted.items()
    }


def check(found, wanted):
    wrong = errors(found, wanted)
    assert wrong["loss"] < 1e-6 and wrong["x"] < 1e-6 and wrong["scale"] < 1e-5, wrong


@pytest.mark.parametrize("entries", [tiles.CPU_TILE, 64])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", NOISE)
def test_value_and_gradients_are_those_of_extended_precision(monkeypatch, how, size, entries):
    monkeypatch.setattr(tiles, "CPU_TILE", entries)
    given = features(how, size)
    comparison, *left = problem(size)
    assert len(comparison.column_parts) > (entries == 64 and size > 8)
    wanted = plain(*given, SCALE, *left)
    check(found_by(comparison, *given, SCALE), wanted)
    low, high = LOSSES[how]
    assert size < 300 or low < wanted["loss"] / ROWS < high


@pytest.mark.parametrize("entries", [tiles.CPU_TILE, 64])
@pytest.mark.parametrize("size", [5, 37])
@pytest.mark.parametrize("mask", MASKS)
def test_columns_that_are_no_negatives_and_rows_that_lack_a_view(monkeypatch, mask, size, entries):
    monkeypatch.setattr(tiles, "CPU_TILE", entries)
    comparison, left_out, used = problem(size, **MASKS[mask])
    assert left_out.any() == (mask not in ("nothing", "rule-one")) and used.all() == (mask != "absent")
    given = features("loose", size)
    found = found_by(comparison, *given, 10.0)
    check(found, plain(*given, 10.0, left_out, used))
    assert not found["x"][~used].any()


@pytest.mark.parametrize("reason", ["images", "columns", "rows"])
def test_without_a_negative_the_loss_is_nothing_exactly(reason):
    size = 9
    rows, columns = (labels(count, np.arange(count), 3) for count in (ROWS, size))
    if reason == "images":
        rows.image_ids[:], columns.image_ids[:] = 5, 5
    for of in [columns] * (reason == "columns") + [rows] * (reason == "rows"):
        of.present["caption"] = np.zeros(len(of), bool)
    comparison = Comparison(rows, columns, "image", "caption", "by_id", ("caption",))
    found = found_by(comparison, *features("loose", size), SCALE)
    assert found["loss"] == 0 and found["scale"] == 0 and not found["x"].any()


def test_keys_and_columns_have_no_gradient_and_what_does_not_learn_is_left_out():
    x, key, columns = map(paddle.to_tensor, features("loose", 7))
    comparison, factor = problem(7)[0], paddle.to_tensor([5.0], stop_gradient=False)
    key.stop_gradient = columns.stop_gradient = False
    queue_nce([(Queried(comparison, key, columns), x, factor)])[0].backward()
    assert factor.grad is not None and x.grad is None and key.grad is None and columns.grad is None


def peak(size):
    """MiB that both passes over ROWS x 20 queries and `size` columns take above what they are given."""
    count, device = 20 * ROWS, current_device()
    draws = np.random.default_rng(0)
    x, key = (paddle.to_tensor(unit(draws.standard_normal((count, 4))), stop_gradient=bool(side)) for side in (0, 1))
    columns, scale = paddle.to_tensor(unit(draws.standard_normal((size, 4)))), paddle.to_tensor([9.0])
    rows, there = labels(count, np.arange(count), 1), labels(size, np.full(size, -1), 2)
    device.synchronise()
    before = device.tensors().now
    device.forget_most()
    comparison = Comparison(rows, there, "image", "caption", "by_id", ("caption",))
    queue_nce([(Queried(comparison, key, columns), x, scale)])[0].backward()
    return device.tensors().most - before


def test_memory_is_that_of_a_tile_and_not_of_all_logits(monkeypatch):
    monkeypatch.setattr(tiles, "CPU_TILE", 1 << 14)
    few, many = peak(1 << 11), peak(1 << 14)
    logits = 20 * ROWS * (1 << 14) * 4 / 2**20
    assert logits > 25 and many < few + 0.03 * logits
    monkeypatch.setattr(tiles, "CPU_TILE", 1 << 18)
    assert peak(1 << 14) > 4 * many, "and larger tiles are seen"


VIEWS = ("image", "image'", "caption", "caption'", "tags")
PAIRS = [["image", "caption"], ["image", "tags", 0.5], ["image", "image'", 2.0], ["caption", "caption'"]]


def batches(absent):
    """Three batches, and the embeddings of their queries and keys."""
    draws = np.random.default_rng(4)
    for step in range(3):
        batch = Batch(
            pixels={},
            tokens={},
            index=np.arange(ROWS),
            where=[str(row) for row in range(ROWS)],
            image_ids=draws.integers(0, 40, ROWS),
            text_ids={view: draws.integers(0, 40, ROWS) for view in VIEWS[2:]},
            present={"tags": draws.random(ROWS) >= (absent if step else 0.0)},
        )
        yield batch, *({view: unit(draws.standard_normal((ROWS, WIDTH))) for view in VIEWS} for _ in range(2))


def steps(size, absent):
    """({name: array} of three steps of an objective with a queue, blocking reads in them)."""
    objective = ContrastiveObjective(ObjectiveConfig(pairs=PAIRS, negatives=QueueNegatives(size=size)))
    scales = {group: paddle.to_tensor([9.0], stop_gradient=False) for group in objective.groups}
    found, reads = {}, 0
    for step, (batch, queries, keys) in enumerate(batches(absent)):
        embeds = {view: paddle.to_tensor(rows, stop_gradient=False) for view, rows in queries.items()}
        keys = {view: paddle.to_tensor(rows) for view, rows in keys.items()}
        with Traffic() as seen:
            objective.queue.take(keys)
            parts = objective.loss(embeds, batch, SimpleNamespace(logit_scale=scales.get))
            parts["loss"].backward()
            objective.queue.enqueue()
        reads += sum(seen.reads.values())
        found |= {f"{step}/{name}": value.numpy() for name, value in parts.items()}
        found |= {f"{step}/{view}": value.grad.numpy() for view, value in embeds.items()}
    found |= {f"scale/{group}": value.grad.numpy() for group, value in scales.items()}
    return found | {f"queue/{name}": value for name, value in objective.queue.state().items()}, reads


@pytest.mark.parametrize("absent", [0.0, 0.3])
@pytest.mark.parametrize("size", [9, 31, 60])
def test_a_card_has_the_steps_and_the_queue_of_a_cpu_and_the_host_does_not_wait(monkeypatch, size, absent):
    wanted, _ = steps(size, absent)
    monkeypatch.setattr(tiles, "CARD_TILE", 200)
    for module in (tiles, positives, negative_queue):
        for name in ("current_device", "device_of"):
            monkeypatch.setattr(module, name, lambda *tensor: Device("gpu"), raising=False)
    assert tiles.wide() == paddle.float32
    found, reads = steps(size, absent)
    assert set(found) == set(wanted) and not reads
    for name, value in wanted.items():
        if name.startswith("queue/"):
            assert found[name].dtype == value.dtype and np.array_equal(found[name], value), name
        else:
            assert np.linalg.norm(found[name] - value) <= 1e-5 * np.linalg.norm(value), name
