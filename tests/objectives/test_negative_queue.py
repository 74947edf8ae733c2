"""The queue against one key at a time, and against what the public release's own training leaves in its queues."""

import importlib.util
import json

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.errors import CheckpointError
from ernie_vil2.objectives.gather import divide
from ernie_vil2.objectives.negative_queue import NOBODY, NegativeQueue, moves
from ernie_vil2.objectives.positives import Labels

WIDTH = 3


@given(st.integers(1, 40), st.integers(0, 40), st.integers(1, 12))
def test_keys_go_round_and_the_last_ones_stay(count, place, size):
    place %= size
    wanted, found = np.full(size, -1), np.full(size, -1)
    for key in range(count):
        wanted[(place + key) % size] = key
    for new, old in moves(count, place, size):
        found[old] = np.arange(count)[new]
    assert np.array_equal(found, wanted)


def fed(queue, batches, seed=0, untagged=()):
    """Enqueue batches of so many samples each; {name: every row that went in}."""
    rng, rows = np.random.default_rng(seed), {"image": [], "tags": [], "image_ids": [], "text_ids": [], "present": []}
    for number, count in enumerate(batches):
        keys = {view: rng.normal(size=(count, WIDTH)).astype("float32") for view in ("image", "tags")}
        images, texts = rng.integers(0, 99, count), rng.integers(0, 99, count)
        flags = np.array([number not in untagged] * count)
        place = np.arange(count)
        labels = Labels(images, {"tags": texts}, {} if flags.all() else {"tags": flags}, place)
        queue.take({view: paddle.to_tensor(values) for view, values in keys.items()})
        queue.gather(labels, divide(count))
        queue.enqueue()
        for name, values in (*keys.items(), ("image_ids", images), ("text_ids", texts), ("present", flags)):
            rows[name].extend(values)
    return {name: np.array(values) for name, values in rows.items()}


@pytest.mark.parametrize("size, batches", [(7, [3, 3, 3, 3]), (2, [3, 5]), (50, [4, 4]), (6, [6, 6]), (1, [2, 1, 2])])
def test_it_holds_the_latest_keys_and_their_labels(size, batches):
    queue = NegativeQueue(size, seed=5)
    start = NegativeQueue(size, seed=5)
    start.take({view: paddle.zeros([1, WIDTH]) for view in ("image", "tags")})
    rows = fed(queue, batches, untagged=(1,))
    total = sum(batches)
    assert queue.place == total % size
    for slot in range(size):
        latest = [key for key in range(total) if key % size == slot]
        for view in ("image", "tags"):
            values = queue.embeds[view].numpy()[slot]
            if latest:
                assert np.array_equal(values, rows[view][latest[-1]])
            else:
                assert np.array_equal(values, start.embeds[view].numpy()[slot])
                assert np.linalg.norm(values) == pytest.approx(1, abs=1e-6)
        labels = queue.labels
        found = labels.image_ids[slot], labels.text_ids["tags"][slot], labels.present["tags"][slot]
        names = ("image_ids", "text_ids", "present")
        assert found == (tuple(rows[name][latest[-1]] for name in names) if latest else (NOBODY, NOBODY, True))


def test_it_goes_on_from_its_state_bit_for_bit():
    whole, first, second = NegativeQueue(7, seed=5), NegativeQueue(7, seed=5), NegativeQueue(7, seed=6)
    for queue in (whole, first):
        fed(queue, [3, 3])
    second.load(first.state(), "here")
    for queue in (whole, second):
        fed(queue, [4, 2], seed=1)
    one, two = whole.state(), second.state()
    assert set(one) == set(two) and all(np.array_equal(one[name], two[name]) for name in one)
    assert whole.place == second.place


def test_a_queue_of_another_size_is_refused_in_a_sentence():
    queue = NegativeQueue(7)
    fed(queue, [3])
    for arrays in (queue.state(), {}):
        with pytest.raises(CheckpointError, match="step-1 holds no queue of 8 keys; go on from another checkpoint"):
            NegativeQueue(8).load(arrays, "step-1")


@pytest.mark.parametrize("run", ["eval_bn", "train_bn"])
def test_keys_of_the_release_end_where_the_release_puts_them(shared_parity, run):
    folder = shared_parity.parent / "brivl"
    spec = importlib.util.spec_from_file_location("recipe", folder / "recipe.py")
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    told = json.loads((folder / "tiny" / "train.json").read_text(encoding="utf-8"))
    start = recipe.queues(folder / "tiny" / "manifest.json")
    kept = np.load(folder / "tiny" / "train.npz")
    names, size, batch = {"image": "img_queue", "caption": "text_queue"}, told["queue_size"], told["batch"]
    queue = NegativeQueue(size)
    for view, name in names.items():
        queue.embeds[view] = paddle.to_tensor(start[name].T.copy())
    for step in range(len(told["steps"])):
        before = queue.place
        new = (before + np.arange(batch)) % size
        queue.take({view: paddle.to_tensor(kept[f"{run}.{name}"][step].T[new]) for view, name in names.items()})
        place = np.arange(batch)
        queue.gather(Labels(place, {"caption": place}, {}, place), divide(batch))
        queue.enqueue()
        for view, name in names.items():
            assert queue.place == told["runs"][run][f"{name}_ptr"][step]
            assert np.array_equal(queue.embeds[view].numpy(), kept[f"{run}.{name}"][step].T)
