"""Masks by key and thread: what a row is given depends on no other row, thread or pass."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import paddle
import pytest
from paddle import nn

from ernie_vil2.device import Device
from ernie_vil2.models import masks
from ernie_vil2.models.layers import DropPath, Linear, run_blocks
from ernie_vil2.models.masks import Dropout, keyed, part_of
from ernie_vil2.models.towers.vit import without_patches

KEY = (3, 1, 0, "image")
VIEWS, ROWS = 2, 7
X = paddle.ones([VIEWS * ROWS, 5, 6])  # 30 values of a row: the last word of one is not full
TOKENS = paddle.arange(VIEWS * ROWS * 9, dtype="float32").reshape([VIEWS * ROWS, 9, 1])


def drawn(rows=slice(0, ROWS), key=KEY):
    """Three masks of the rows of a micro-batch: [views, rows, ...] each."""
    places = [view * ROWS + row for view in range(VIEWS) for row in range(ROWS)[rows]]
    x, tokens = (paddle.to_tensor(value.numpy()[places]) for value in (X, TOKENS))
    with part_of(rows, ROWS), keyed(key, VIEWS, rows.stop - rows.start):
        found = Dropout(0.3)(x), DropPath(0.4)(x), without_patches(tokens, 0.5), Dropout(0.5)(x)
    return [value.numpy().reshape(VIEWS, -1, *value.shape[1:]) for value in found]


@pytest.mark.parametrize("cuts", [(3,), (0, 5, 6), (1, 2, 3, 4, 5, 6)])
def test_a_row_has_the_masks_of_its_place_whoever_is_beside_it(cuts):
    whole = drawn()
    for first, last in zip((0, *cuts), (*cuts, ROWS), strict=True):
        for found, wanted in zip(drawn(slice(first, last)), whole, strict=True):
            assert np.array_equal(found, wanted[:, first:last])


def test_rows_views_masks_and_keys_differ():
    first, path, patches, second = drawn()
    assert len({row.tobytes() for row in first.reshape(VIEWS * ROWS, -1)}) == VIEWS * ROWS
    assert not np.array_equal(first == 0, second == 0) and len(np.unique(path)) == 2
    assert len({tuple(row) for row in (patches[:, :, 1:, 0] % 9).reshape(VIEWS * ROWS, -1)}) > VIEWS
    assert not np.array_equal(drawn(key=(3, 2, 0, "image"))[0], first)


def test_threads_do_not_take_bits_from_each_other():
    wanted, start = {key: drawn(key=(key,)) for key in range(2)}, threading.Barrier(2)

    def often(key):
        start.wait()
        return [drawn(key=(key,)) for _ in range(20)]

    with ThreadPoolExecutor(2) as pool:
        for key, found in enumerate(pool.map(often, range(2))):
            assert all(np.array_equal(one, two) for each in found for one, two in zip(each, wanted[key], strict=True))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.999])
def test_the_rate_and_the_scale_are_those_asked_for(rate):
    with keyed(KEY, 1, 50):
        found = masks.dropout(paddle.ones([50, 401]), rate).numpy()
        rows = masks.drop_rows(paddle.ones([50, 40]), rate).numpy()
    kept = np.unique(found[found > 0])
    assert len(kept) == 1 and kept[0] == pytest.approx(1 / (1 - rate), rel=0.01)
    spread = 4 * np.sqrt(rate * (1 - rate) / found.size * masks.IN_A_WORD)
    for lane in range(masks.IN_A_WORD):  # every 16 bits of a word
        assert abs((found[:, lane::4] == 0).mean() - rate) < spread
    assert (rows.std(1) == 0).all() and set(np.unique(rows)) <= {0.0, kept[0]}


def test_the_gradient_passes_where_the_value_did():
    x = paddle.ones([4, 50])
    x.stop_gradient = False
    with keyed(KEY, 1, 4):
        found = masks.dropout(x, 0.3)
    (found * 2).sum().backward()
    assert 0 < (found.numpy() == 0).sum() < 200
    np.testing.assert_array_equal(x.grad.numpy(), 2 * found.numpy())


def test_nothing_is_drawn_in_evaluation_or_at_rate_zero():
    layer = Dropout(0.3)
    layer.eval()
    with keyed(KEY, 1, 14):
        assert np.array_equal(layer(X).numpy(), X.numpy()) and np.array_equal(Dropout(0.0)(X).numpy(), X.numpy())
        assert masks.STATE.bits.position == 0


@pytest.mark.parametrize("kind", ["gpu", "outside"])
def test_elsewhere_paddles_generator_is_drawn_from(monkeypatch, kind):
    monkeypatch.setattr(masks, "current_device", lambda: Device(kind if kind == "gpu" else "cpu"))
    found = []
    for _ in range(2):
        with keyed(KEY, VIEWS, ROWS):
            inside = Dropout(0.3)(X).numpy()
        if kind == "outside":
            paddle.seed(4)
            inside = Dropout(0.3)(X).numpy()
        found.append(inside)
    wanted = nn.Dropout(0.3)
    paddle.seed(masks.random_key(*KEY) if kind == "gpu" else 4)
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], wanted(X).numpy())


def test_a_block_that_runs_again_has_the_same_masks_in_any_thread():
    paddle.seed(0)
    blocks = nn.LayerList([nn.Sequential(Linear(6, 6), Dropout(0.4), DropPath(0.3)) for _ in range(3)])
    for layer in blocks.sublayers():
        if isinstance(layer, Linear):
            nn.initializer.Constant(0.3)(layer.weight)
    found = []
    for recompute in (False, True):
        with keyed(KEY, VIEWS, ROWS):
            out = run_blocks(blocks, X, recompute=recompute)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(out.square().sum().backward).result()
        found.append([value.grad.numpy() for value in blocks.parameters()])
        blocks.clear_gradients(set_to_zero=False)
    assert any(np.abs(value).max() > 0 for value in found[0])
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)
