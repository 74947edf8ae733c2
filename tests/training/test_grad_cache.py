"""The gradient of cached chunks against one graph over the same micro-batches, dropout and all."""

import numpy as np
import paddle
import pytest

from ernie_vil2.objectives.gather import divide
from ernie_vil2.objectives.views import encode
from ernie_vil2.systems.ernie_vil2 import ErnieVil2
from ernie_vil2.training.step import GradientStep
from tests.training.rank_cases import BATCH, EVERY_PAIR, align, setting


def gradients(model):
    found = {name: value.grad.numpy().copy() for name, value in model.named_parameters() if value.grad is not None}
    model.clear_gradients(set_to_zero=False)
    return found


def uncached(model, objective, batch, micro, seed, number):
    """Every micro-batch encoded with its graph, one loss over all of them, one backward pass."""
    parts = [encode(model, batch.rows(rows), seed, number, at) for at, rows in divide(BATCH, micro).chunks()]
    embeds = {view: paddle.concat([part[view] for part in parts]) for view in parts[0]}
    loss = objective.loss(embeds, batch, model)["loss"]
    loss.backward()
    return loss.item(), gradients(model)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    model, objective, batch = setting(tmp_path_factory.mktemp("cache"), EVERY_PAIR, same=(1, 4, 5))
    align(ErnieVil2(model, objective), batch)
    model.clear_gradients(set_to_zero=False)
    return model, objective, batch


@pytest.mark.parametrize("micro", [1, 4, 5, 13, 14])
@pytest.mark.parametrize("side_by_side", [False, True])
def test_it_is_the_gradient_of_one_graph(trained, micro, side_by_side):
    model, objective, batch = trained
    step = GradientStep(ErnieVil2(model, objective), seed=5, share=divide(BATCH, micro), side_by_side=side_by_side)
    loss = step(batch, 9)["loss"].item()
    found = gradients(model)
    step.close()
    wanted_loss, wanted = uncached(model, objective, batch, micro, 5, 9)
    assert loss == pytest.approx(wanted_loss, rel=1e-6) and set(found) == set(wanted)
    rounding = 1e-9 * max(np.linalg.norm(value) for value in wanted.values())
    for name in wanted:
        if not name.endswith("attn.k.bias"):
            size = np.linalg.norm(wanted[name])
            assert np.linalg.norm(found[name] - wanted[name]) <= 2e-5 * size + rounding, name


def test_other_chunks_have_other_masks(trained):
    model, objective, batch = trained
    losses = {
        GradientStep(ErnieVil2(model, objective), share=divide(BATCH, micro))(batch, 1)["loss"].item()
        for micro in (3, 7)
    }
    model.clear_gradients(set_to_zero=False)
    assert len(losses) == 2


def test_a_frozen_tower_gets_no_gradient_and_changes_no_other(trained):
    model, objective, batch = trained
    step = GradientStep(ErnieVil2(model, objective), share=divide(BATCH, 5), side_by_side=False)
    step(batch, 2)
    whole = gradients(model)
    for parameter in model.visual.parameters():
        parameter.stop_gradient = True
    step(batch, 2)
    locked = gradients(model)
    for parameter in model.visual.parameters():
        parameter.stop_gradient = False
    assert not [name for name in locked if name.startswith("visual.")]
    assert set(whole) - set(locked) == {name for name in whole if name.startswith("visual.")}
    assert all(np.array_equal(locked[name], whole[name]) for name in locked)


def test_rows_of_a_batch_carry_their_own_width(trained):
    _, _, batch = trained
    lengths = (batch.tokens["caption"] != 0).sum(1)
    short = int(lengths.argmin())
    assert batch.rows(slice(short, short + 1)).tokens["caption"].shape == (1, lengths.min())
    assert batch.rows(slice(0, BATCH)).tokens["caption"].shape[1] == lengths.max()
    assert len(batch.rows(slice(3, 9))) == 6 and batch.rows(slice(3, 9)).where == batch.where[3:9]


@pytest.mark.parametrize("micro", [5, 14])
def test_recompute_with_the_towers_in_threads_gives_the_same_bits(tmp_path, micro):
    model, objective, batch = setting(tmp_path, EVERY_PAIR)
    for tower in (model.config.image_tower, model.config.text_tower):  # nothing random: towers would run side by side
        tower.dropout = tower.drop_path = 0.0
    for layer in model.sublayers():
        for field in ("p", "dropout", "rate"):
            if isinstance(getattr(layer, field, None), float):
                setattr(layer, field, 0.0)
    found = []
    for model.recompute in (False, True):
        step = GradientStep(ErnieVil2(model, objective), share=divide(BATCH, micro), side_by_side=True)
        step(batch, 1)
        step.close()
        found.append(gradients(model))
    for name in found[0]:
        np.testing.assert_allclose(found[1][name], found[0][name], rtol=1e-4, atol=1e-6, err_msg=name)
