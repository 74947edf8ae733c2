"""A layer that two towers share: its gradient is that of one plain graph, however the step is divided."""

import threading

import numpy as np
import paddle
import pytest

from ernie_vil2.objectives.gather import divide
from ernie_vil2.systems.system import Tower
from ernie_vil2.training.optimization.freeze import Freezer
from ernie_vil2.training.step import GradientStep, share_parameters
from tests.systems.shared_layer import SharedLayer
from tests.training.rank_cases import BATCH, EVERY_PAIR, align, setting
from tests.training.test_grad_cache import gradients


@pytest.fixture(scope="module")
def system_and_batch(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    model, objective, batch = setting(folder, EVERY_PAIR, same=(1, 4), kind=SharedLayer)
    system = SharedLayer(model, objective)
    align(system, batch, steps=8)
    return system, batch


def plain_graph(system, batch, micro, seed, number):
    """The gradient of one backward pass through every micro-batch at once."""
    parts = [system.encode(batch.rows(rows), seed, number, at) for at, rows in divide(BATCH, micro).chunks()]
    system.loss({view: paddle.concat([part[view] for part in parts]) for view in parts[0]}, batch)["loss"].backward()
    return gradients(system.model)


def step_gradients(system, batch, micro, recompute, side_by_side):
    """(the GradientStep, the gradients that it leaves) of one step."""
    system.model.recompute = recompute
    step = GradientStep(system, seed=5, share=divide(BATCH, micro), side_by_side=side_by_side)
    try:
        step(batch, 21)
    finally:
        system.model.recompute = False
        step.close()
    return step, gradients(system.model)


@pytest.mark.parametrize("side_by_side", [False, True])
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("micro", [3, BATCH])
def test_every_use_counts_once(system_and_batch, micro, recompute, side_by_side):
    system, batch = system_and_batch
    wanted = plain_graph(system, batch, micro, 5, 21)
    found = step_gradients(system, batch, micro, recompute, side_by_side)[1]
    assert set(found) == set(wanted) and "shared.0.0.weight" in wanted
    for name, value in wanted.items():
        scale = max(np.abs(value).max(), 1e-2)
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-5 * scale, err_msg=name)


def test_towers_with_a_common_parameter_take_turns(system_and_batch, monkeypatch):
    system, batch = system_and_batch
    running, most, backward = set(), [], paddle.autograd.backward

    def watched(*arguments):
        running.add(threading.get_ident())
        most.append(len(running))
        backward(*arguments)
        running.discard(threading.get_ident())

    monkeypatch.setattr(paddle.autograd, "backward", watched)
    step = GradientStep(system, side_by_side=True)
    step(batch, 1)
    gradients(system.model)
    assert share_parameters(system.towers()) and step.pool is None and most == [1, 1]


def test_a_tower_rests_only_when_nothing_of_it_learns(system_and_batch):
    system, batch = system_and_batch
    step = GradientStep(system, side_by_side=False)
    for parameter in system.model.visual.parameters():
        parameter.stop_gradient = True
    assert step._resting() == set()
    for parameter in system.model.shared.parameters():
        parameter.stop_gradient = True
    assert step._resting() == {"image"}
    step(batch, 3)
    learning = gradients(system.model)
    for parameter in system.model.parameters():
        parameter.stop_gradient = False
    assert learning and not [name for name in learning if name.startswith(("visual.", "shared."))]


def test_norms_count_a_common_layer_in_both(system_and_batch):
    system, _ = system_and_batch
    image, text = (set(map(id, tower.parameters())) for tower in system.towers().values())
    assert image & text == set(map(id, system.model.shared.parameters()))
    assert Freezer(system.model, []).apply(0) is False


def test_while_a_layer_of_no_tower_learns_no_tower_rests(system_and_batch, monkeypatch):
    system, batch = system_and_batch
    model = system.model
    towers = {"image": ("image", "image'"), "text": ("caption", "caption'", "tags", "tags'")}
    layers = {"image": (model.visual,), "text": (model.text_model,)}
    forgetful = {name: Tower(views, layers[name]) for name, views in towers.items()}
    monkeypatch.setattr(system, "towers", lambda: forgetful)
    for parameter in model.text_model.parameters():
        parameter.stop_gradient = True
    GradientStep(system, side_by_side=False)(batch, 3)
    of_all = gradients(model)
    for parameter in model.parameters():
        parameter.stop_gradient = False
    GradientStep(system, side_by_side=False)(batch, 3)
    wanted = gradients(model)
    assert "shared.0.0.weight" in of_all
    monkeypatch.setattr(GradientStep, "_each_tower", watched(GradientStep._each_tower, together := []))
    step = GradientStep(system, side_by_side=True)
    step(batch, 3)
    step.close()
    gradients(model)
    assert together == [False, False], "a layer of no tower may be in two of them"
    np.testing.assert_allclose(of_all["shared.0.0.weight"], wanted["shared.0.0.weight"], rtol=1e-4, atol=1e-6)


def watched(original, seen):
    """`_each_tower`, noting whether towers may run together."""

    def each(self, work, together=True):
        seen.append(together)
        return original(self, work, together)

    return each
