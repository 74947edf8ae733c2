"""What stops a run, what does not, and the file that is left."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from ernie_vil2.errors import UserError
from ernie_vil2.training.guard import Guard

BATCH = SimpleNamespace(where=["a.tsv:3", "图.tsv:9"], index=np.array([2, 8]), image_ids=np.array([-5, 7], np.int64))


@pytest.mark.parametrize("loss, norm", [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan), (1.0, math.inf)])
def test_what_is_not_finite_stops_at_once_and_leaves_a_file(tmp_path, loss, norm):
    guard = Guard(tmp_path / "run")
    for step in range(122):
        guard.check(step, 2.0 + step, 1.0, BATCH)
    with pytest.raises(UserError) as error:
        guard.check(122, loss, norm, BATCH)
    path = tmp_path / "run" / "stopped-step-0000123.json"
    assert all(word in str(error.value) for word in (str(path), "optimizer.lr", "--resume auto", "rows"))
    assert "\n" not in str(error.value)
    left = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert left["step"] == 123 and left["last_losses"] == [2.0 + step for step in range(22, 122)]
    assert left["samples"][1] == {"where": "图.tsv:9", "index": 8, "image_id": 7}
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_leap_over_the_median_stops_and_one_below_does_not(tmp_path):
    guard = Guard(tmp_path, factor=3.0)
    for step in range(20):
        guard.check(step, 1.0 if step % 5 else 2.9, 1.0, BATCH)
    with pytest.raises(UserError, match="leapt to 3.1 .*train.spike is 3"):
        guard.check(20, 3.1, 1.0, BATCH)
    Guard(tmp_path, factor=0.0).check(20, 1e30, 1e30, BATCH)
    below = Guard(tmp_path, factor=2.0)
    for step in range(20):
        below.check(step, -0.5, 1.0, BATCH)
    with pytest.raises(UserError, match="leapt to 0.1"):
        below.check(20, 0.1, 1.0, BATCH)


def test_the_first_losses_are_no_leap(tmp_path):
    guard = Guard(tmp_path, factor=1.5)
    for step, loss in enumerate((1.0, 9.0, 30.0, 2.0)):
        guard.check(step, loss, 1.0, BATCH)


def test_steps_that_a_scaler_skips_are_counted_in_a_row(tmp_path):
    guard = Guard(tmp_path)
    for step in range(49):
        guard.check(step, 1.0, math.inf, BATCH, skippable=True)
    guard.check(49, 1.0, 1.0, BATCH, skippable=True)
    for step in range(49):
        guard.check(50 + step, 1.0, math.nan, BATCH, skippable=True)
    with pytest.raises(UserError, match="50 steps in a row"):
        guard.check(99, 1.0, math.inf, BATCH, skippable=True)
    with pytest.raises(UserError, match="loss is nan"):
        Guard(tmp_path).check(0, math.nan, 1.0, BATCH, skippable=True)


def test_each_rank_writes_a_file_of_its_own(tmp_path):
    for rank in (0, 3):
        with pytest.raises(UserError):
            Guard(tmp_path, rank=rank).check(6, math.nan, 1.0, BATCH)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "stopped-step-0000007-rank3.json",
        "stopped-step-0000007.json",
    ]
