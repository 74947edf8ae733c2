"""The gradient step in two halves, with the towers side by side, against one backward pass through everything."""

import numpy as np
import paddle
import pytest

from ernie_vil2.config.augmentation import AugmentationConfig
from ernie_vil2.config.run import ObjectiveConfig
from ernie_vil2.data.batches.views import ViewMaker
from ernie_vil2.data.sources.scenes.source import SceneSource
from ernie_vil2.data.sources.scenes.vocabulary import build_vocab
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.device import Device
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.objectives.contrastive import ContrastiveObjective
from ernie_vil2.objectives.views import encode
from ernie_vil2.systems.ernie_vil2 import ErnieVil2
from ernie_vil2.threads import set_kernel_threads, thread_count
from ernie_vil2.training import step as training_step
from ernie_vil2.training.step import GradientStep

PAIRS = [["image", "caption"], ["image", "tags", 0.5], ["image", "image'"], ["caption", "caption'"], ["tags", "tags'"]]


@pytest.fixture
def setting(tiny_config, tmp_path):
    """(model, objective, batch) with every pair, temperatures of all groups and a text tower that fits the scenes."""
    build_vocab(tmp_path / "vocab.txt", scenes=300)
    tokenizer = Tokenizer(tmp_path / "vocab.txt", 32)
    tiny_config.text_tower.vocab_size = tokenizer.vocab_size
    objective = ContrastiveObjective(ObjectiveConfig(pairs=PAIRS))
    model = new_model(tiny_config, objective.groups)
    maker = ViewMaker(objective.views, tokenizer, tiny_config.pixels, AugmentationConfig())
    source = SceneSource(size=12, image_size=32)
    return model, objective, maker.collate([maker.make(source[index], 0, index) for index in range(12)])


@pytest.fixture
def one_kernel_thread(monkeypatch):
    """A matrix product on more threads may add up in another order."""
    before = thread_count()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    set_kernel_threads(1)
    yield
    set_kernel_threads(before)


def gradients(model):
    found = {name: value.grad.numpy().copy() for name, value in model.named_parameters() if value.grad is not None}
    model.clear_gradients()
    return found


def test_the_cut_changes_no_gradient(setting):
    model, objective, batch = setting
    objective.loss(encode(model, batch), batch, model)["loss"].backward()
    whole = gradients(model)
    step = GradientStep(ErnieVil2(model, objective), side_by_side=False)
    step(batch, 0)
    cut = gradients(model)
    assert set(cut) == set(whole) == {name for name, _ in model.named_parameters()}
    for name in whole:
        np.testing.assert_allclose(cut[name], whole[name], rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_towers_side_by_side_give_the_same_bits(setting, dropout, one_kernel_thread):
    model, objective, batch = setting
    for layer in model.sublayers():
        for field in ("dropout", "p"):
            if isinstance(getattr(layer, field, None), float):
                setattr(layer, field, dropout)
    model.config.text_tower.dropout = model.config.image_tower.dropout = dropout
    one, two = (GradientStep(ErnieVil2(model, objective), seed=4, side_by_side=choice) for choice in (False, True))
    one(batch, 7)
    wanted = gradients(model)
    for _ in range(10):
        two(batch, 7)
        found = gradients(model)
        assert not [name for name in wanted if not np.array_equal(found[name], wanted[name])]
    two(batch, 8)
    assert np.array_equal(gradients(model)["visual.norm_post.weight"], wanted["visual.norm_post.weight"]) == (
        dropout == 0
    )
    two.close()


def test_a_step_on_a_tower_with_unused_temperature_leaves_it_alone(setting):
    model, _, batch = setting
    objective = ContrastiveObjective(ObjectiveConfig(pairs=[["caption", "caption'"]]))
    GradientStep(ErnieVil2(model, objective), side_by_side=True)(batch, 0)
    assert model.temperature("mm").temperature_b.grad is None and model.visual.class_embedding.grad is None
    assert paddle.abs(model.temperature("tt").temperature_b.grad).item() > 0


@pytest.mark.parametrize("kind, threads, together", [("cpu", 2, True), ("cpu", 1, False), ("gpu", 2, False)])
def test_towers_are_side_by_side_on_a_cpu_with_threads_for_both(setting, monkeypatch, kind, threads, together):
    monkeypatch.setattr(training_step, "current_device", lambda: Device(kind))
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    model, objective, _ = setting
    step = GradientStep(ErnieVil2(model, objective))
    assert (step.pool is not None) == together
    step.close()
