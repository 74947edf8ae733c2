"""Parts of a batch in threads of their own: the gradient is that of the whole batch, whatever is drawn or frozen."""

import threading
import time

import numpy as np
import pytest

from ernie_vil2.config.tower_fields import EfficientNetConfig
from ernie_vil2.models.towers.efficientnet import EfficientNet
from ernie_vil2.objectives.gather import divide
from ernie_vil2.systems.cookie import Cookie
from ernie_vil2.systems.ernie_vil2 import ErnieVil2
from ernie_vil2.training import lanes
from ernie_vil2.training import step as step_module
from ernie_vil2.training.distributed import Ranks
from ernie_vil2.training.lanes import lane_count, may_divide
from ernie_vil2.training.step import GradientStep
from tests.systems.shared_layer import SharedLayer
from tests.training.queue_cases import CASES, batches, rig_of
from tests.training.rank_cases import BATCH, EVERY_PAIR, align, setting
from tests.training.test_batch_norm import TOWER
from tests.training.test_grad_cache import gradients

NUMBER = 9


def shorten(batch):
    """Let the first rows have short texts: a part of them alone would be padded less."""
    for ids in batch.tokens.values():
        ids[: BATCH // 2, 5:] = 0


@pytest.fixture(scope="module", params=[ErnieVil2, Cookie])
def trained(request, tmp_path_factory):
    """(system, batch) of a model that is trained a little; it draws masks of every kind that it can."""
    folder = tmp_path_factory.mktemp("lanes")
    model, objective, batch = setting(folder, EVERY_PAIR, same=(1, 4), untagged=(2, 7, 8), kind=request.param)
    shorten(batch)
    system = request.param(model, objective)
    align(system, batch, steps=8)
    if request.param is ErnieVil2:
        model.visual.patch_dropout = 0.4
    gradients(model)
    return system, batch


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """(system, batch) of a model with random weights."""
    model, objective, batch = setting(tmp_path_factory.mktemp("plain"), EVERY_PAIR)
    return ErnieVil2(model, objective), batch


def taken(system, batch, micro, count, number=NUMBER):
    """(loss, gradients, embeddings) of a step in `count` lanes."""
    step = GradientStep(system, seed=5, share=divide(len(batch), micro), side_by_side=True, lanes=count)
    loss = step(batch, number)["loss"].item()
    assert (step.lanes is not None) == (count > 1)
    step.close()
    return loss, gradients(system.model), {view: value.numpy() for view, value in step.embeds.items()}


def assert_equal(found, wanted):
    """The gradient differs by 1e-6 of its norm; that of a parameter by rounding, which a sum in another order has."""
    assert set(found) == set(wanted)
    whole = np.sqrt(sum(np.square(value).sum() for value in wanted.values()))
    assert np.sqrt(sum(np.square(found[name] - wanted[name]).sum() for name in wanted)) <= 1e-6 * whole
    for name, value in wanted.items():
        assert np.linalg.norm(found[name] - value) <= 2e-5 * np.linalg.norm(value) + 1e-7 * whole, name


@pytest.mark.parametrize("micro, count", [(BATCH, 2), (BATCH, 3), (5, 2), (4, 3), (13, 4)])
def test_lanes_have_the_gradient_of_the_whole(trained, micro, count):
    """Chunks of 5 rows are 2 and 3; of the last ones, of 2 rows and of 1, a lane has none."""
    system, batch = trained
    loss, wanted, embeds = taken(system, batch, micro, 1)
    again, found, same = taken(system, batch, micro, count)
    assert again == pytest.approx(loss, rel=1e-6)
    assert_equal(found, wanted)
    for view, value in embeds.items():
        np.testing.assert_allclose(same[view], value, atol=1e-6, err_msg=view)
    other = taken(system, batch, micro, count, NUMBER + 1)[2]
    assert not np.allclose(other["image"], embeds["image"], atol=1e-3), "another step has other masks"


def test_lanes_give_the_same_bits_again(trained):
    system, batch = trained
    step = GradientStep(system, seed=5, share=divide(BATCH, 5), side_by_side=True, lanes=2)
    found = []
    for _ in range(3):
        step(batch, NUMBER)
        found.append(gradients(system.model))
    step.close()
    for again in found[1:]:
        assert not [name for name, value in again.items() if not np.array_equal(value, found[0][name])]


def test_what_is_frozen_between_steps_gets_no_gradient_and_learns_again(plain):
    """A whole tower, and one block of the other."""
    system, batch = plain
    resting = ("text_model.", "visual.blocks.0.")
    step = GradientStep(system, side_by_side=True, lanes=2)
    found = []
    for frozen in (False, True, False):
        for name, parameter in system.model.named_parameters():
            parameter.stop_gradient = frozen and name.startswith(resting)
        step(batch, 1)
        found.append(gradients(system.model))
    step.close()
    whole, locked, freed = found
    assert set(whole) - set(locked) == {name for name in whole if name.startswith(resting)}
    assert_equal(locked, {name: value for name, value in whole.items() if name in locked})
    assert_equal(freed, whole)


def test_replicas_have_the_memory_of_the_weights_and_lanes_run_at_once(plain, monkeypatch):
    system, batch = plain
    step, together = GradientStep(system, side_by_side=True, lanes=2), threading.Barrier(2)
    plain_encode = ErnieVil2.encode

    def encode(self, *given):
        together.wait(20)
        return plain_encode(self, *given)

    monkeypatch.setattr(ErnieVil2, "encode", encode)
    step(batch, 1)
    gradients(system.model)
    own, other = (dict(found.model.named_parameters()) for found in step.lanes.systems)
    assert all(own[name].data_ptr() == other[name].data_ptr() and own[name] is not other[name] for name in own)
    assert all(value.grad is None for value in other.values()), "gradients are added up and let go"
    step.close()


def test_an_error_in_a_lane_is_raised(plain, monkeypatch):
    system, batch = plain

    def failing(*_):
        raise ValueError("this lane fails")

    monkeypatch.setattr(ErnieVil2, "encode", failing)
    step = GradientStep(system, side_by_side=True, lanes=2)
    with pytest.raises(ValueError, match="this lane fails"):
        step(batch, 1)
    step.close()


@pytest.mark.parametrize("count", [1, 2])
def test_no_thread_computes_on_when_an_error_is_raised(plain, monkeypatch, count):
    """Towers side by side, or lanes; what is left would be added to the gradient of the next step."""
    system, batch = plain
    plain_embed, done = step_module.embed, []

    def embed(system, batch, share, key, views, graph, part):
        if "image" in views and part.number == 0:
            raise MemoryError("the first thread fails")
        time.sleep(0.5)
        done.append(plain_embed(system, batch, share, key, views, graph, part))

    monkeypatch.setattr(step_module, "embed", embed)
    step = GradientStep(system, side_by_side=True, lanes=count)
    with pytest.raises(MemoryError):
        step(batch, 1)
    assert done
    step.close()


@pytest.mark.parametrize("case", ["cache", "sharding-2-lora", "cookie-cache", "boxes-cache"])
def test_rigs_with_a_queue_adapters_and_boxes_are_the_same(tmp_path, case):
    """The keys of the momentum copy too; two lanes of micro-batches of 3 rows."""
    found = []
    for count in (1, 2):
        rig = rig_of(tmp_path, Ranks(), CASES[case])
        step = rig.gradient_step
        step.divisible, step.wanted_lanes = may_divide(rig.system), count
        step(batches(rig)[0], 0)
        assert (step.lanes is not None) == (count == 2)
        found.append((gradients(rig.model), rig.system.objective.queue.keys))
        rig.close()
    assert_equal(found[1][0], found[0][0])
    for view, keys in found[0][1].items():
        np.testing.assert_allclose(found[1][1][view].numpy(), keys.numpy(), atol=1e-6)


def test_a_rig_that_is_gone_on_with_has_the_bits_of_a_straight_one(tmp_path):
    case = {**CASES["cache"], "train": {"ema": 0.9}}

    def laned(steps, groups=None):
        rig = rig_of(tmp_path, Ranks(), case)
        rig.gradient_step.divisible, rig.gradient_step.wanted_lanes = may_divide(rig.system), 2
        if groups is not None:
            rig.load(groups, {"step": 2, "loss_scale": None}, "the checkpoint")
        every = batches(rig)
        for number in steps:
            rig.step(every[number], number, show=False)
        assert rig.gradient_step.lanes is not None
        rig.close()
        groups = {**rig.state(), **rig.shard_state(), "model": rig.exported()}
        return {name: {key: np.array(value) for key, value in arrays.items()} for name, arrays in groups.items()}

    straight, resumed = laned(range(3)), laned([2], laned(range(2)))
    assert set(straight) == set(resumed)
    for name, arrays in straight.items():
        assert not [key for key, value in arrays.items() if not np.array_equal(resumed[name][key], value)], name


def test_recompute_and_parameters_of_no_tower_keep_to_one_lane(trained, monkeypatch):
    system, batch = trained
    for change in ("recompute", "unnamed"):
        step = GradientStep(system, side_by_side=True, lanes=2)
        with monkeypatch.context() as patch:
            if change == "recompute":
                patch.setattr(system.model, "_recompute", True)
            else:
                patch.setattr(step, "unnamed", system.model.visual.parameters())
            step(batch, 1)
        gradients(system.model)
        assert step.lanes is None
        step.close()


class Derived(ErnieVil2):
    """A system that says nothing of its rows."""

    kind = "derived_lanes"


def test_only_systems_that_say_so_are_divided(plain, trained):
    system, _ = plain
    assert may_divide(system) and may_divide(trained[0])
    assert not may_divide(Derived(system.model, system.objective))
    assert not SharedLayer.rows_independent


@pytest.mark.parametrize("mode", ["frozen", "train"])
def test_batch_norms_that_learn_see_the_whole_batch(plain, monkeypatch, mode):
    system, _ = plain
    fields = {**TOWER, "batch_norm": mode}
    monkeypatch.setattr(system.model, "extra", EfficientNet(EfficientNetConfig(**fields)), raising=False)
    assert may_divide(system) == (mode == "frozen")


def test_the_threads_and_the_size_of_the_model_say_how_many(plain, monkeypatch):
    system, _ = plain
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert lane_count(system, 64) == 1, "a small model is not worth it"
    matrices = [value for name, value in system.model.named_parameters() if value.ndim > 1 and "_emb." not in name]
    monkeypatch.setattr(lanes, "WORTHWHILE", 2 * sum(int(value.size) for value in matrices))
    assert [lane_count(system, rows) for rows in (1, 3, 4, 7, 64)] == [1, 1, 2, 3, lanes.MOST]
    monkeypatch.setattr(lanes, "WORTHWHILE", 1)
    assert lane_count(system, 5) == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert lane_count(system, 64) == 3


def test_gradients_of_low_precision_are_collected_by_one_thread(plain):
    assert not GradientStep(plain[0], after=lambda: None).divisible
