"""A step of the rig around its gradient: what a system's loss may give, and where ranks wait for each other."""

import numpy as np
import pytest

from ernie_vil2.errors import DataError
from ernie_vil2.studies.noise import random_batch
from ernie_vil2.training.distributed import Ranks
from tests.training.step_reads import rig_of


@pytest.fixture
def rig(tmp_path):
    rig = rig_of(tmp_path, Ranks())
    yield rig
    rig.close()


def batch_of(rig):
    return random_batch(rig.config.model, rig.system.views, rig.share.rows, 8)


def weights(rig):
    return {name: value.copy() for name, value in rig.weights.arrays().items()}


def test_a_loss_without_parts_is_a_loss(rig, monkeypatch):
    loss, before = rig.system.loss, weights(rig)
    monkeypatch.setattr(rig.system, "loss", lambda *arguments: {"loss": loss(*arguments)["loss"]})
    values = rig.step(batch_of(rig), 0)
    assert np.isfinite(values["loss"]) and rig.done == 1 and rig.parts == ()
    assert any((value != before[name]).any() for name, value in weights(rig).items())


def test_a_system_that_finds_nothing_to_compare_is_one_sentence(rig, monkeypatch):
    before = weights(rig)
    monkeypatch.setattr(rig.system, "loss", lambda *_: {})
    with pytest.raises(DataError, match="step 1: no sample of the batch has both views of any pair; .* image, caption"):
        rig.step(batch_of(rig), 0)
    assert rig.done == 0 and all((value == before[name]).all() for name, value in weights(rig).items())


def test_ranks_meet_after_all_that_one_of_them_may_do_alone(rig, monkeypatch):
    """On gloo a collective gives up after 30 seconds: rank 0 writes lines and pictures, and loaders differ."""
    order, gradient_step = [], rig.gradient_step
    monkeypatch.setattr(rig.ranks, "meet", lambda: order.append("meet"))
    monkeypatch.setattr(
        rig, "gradient_step", lambda *arguments: (order.append("first collective"), gradient_step(*arguments))[1]
    )
    monkeypatch.setattr(rig.sync, "reduce", lambda: order.append("sum"))
    for number in range(2):
        rig.step(batch_of(rig), number, False, lambda: (order.append("next batch"), ())[1])
    assert order == ["meet", "first collective", "next batch", "meet", "sum"] * 2
