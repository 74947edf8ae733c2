"""Steps of a small BriVL: the gradient cache, recompute, adapters, rates by layer, frozen parts, averages, O2."""

import numpy as np
import paddle
import pytest

from ernie_vil2.config.optimizer import FreezeRule
from ernie_vil2.errors import ConfigError
from ernie_vil2.objectives.gather import divide
from ernie_vil2.training.distributed import Ranks
from ernie_vil2.training.optimization.parameter_groups import layer_factors
from ernie_vil2.training.rig import build
from tests.gpu.steps import flat, gradient, gradients_of, trained_weights
from tests.training.emulated_o2 import emulation
from tests.training.queue_cases import BATCH, batches, case_config, rig_of

ONE_PAIR = {"objective": {"pairs": [["image", "caption"]], "positives": "one", "temperature": 0.07}}
BOXES = {"image_tower": {}, **ONE_PAIR}
STEADY = {**BOXES, "dropout": 0.0, "micro": 0}


def grown(rig):
    """Take steps until embeddings agree: wrong gradients are invisible on random ones."""
    (batch, *_) = batches(rig)
    for number in range(4):
        rig.step(batch, number, show=False)
    return batch


def error(found, wanted):
    """Norm of the difference of two gradients over that of the one that is wanted."""
    assert set(found) == set(wanted)
    names = [name for name in wanted if not name.endswith(("attn.k.bias", "qkv.bias"))]
    found, wanted = (np.concatenate([of[name].ravel() for name in names]).astype("f8") for of in (found, wanted))
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize("recompute", [False, True])
def test_the_gradient_of_cached_chunks_is_that_of_one_graph(tmp_path, monkeypatch, recompute):
    """With boxes, with dropout in towers and heads, against keys of the queue."""
    rig = rig_of(tmp_path, Ranks(), BOXES)
    batch, queue, keys, share = grown(rig), rig.system.objective.queue, {}, divide(BATCH, 3)
    before, take = queue.state(), queue.take
    monkeypatch.setattr(queue, "take", lambda given: take(keys.setdefault("all", given)))
    rig.model.recompute = recompute
    found = gradients_of(rig, batch, 9)
    rig.model.recompute = False
    parts = [rig.system.encode(batch.rows(rows), rig.config.seed, 9, at) for at, rows in share.chunks()]
    queue.load(before, "here")
    take(keys["all"])
    rig.model.clear_gradients()
    rig.system.loss({view: paddle.concat([of[view] for of in parts]) for view in parts[0]}, batch)["loss"].backward()
    wanted = {name: value.grad.numpy() for name, value in rig.model.named_parameters() if value.grad is not None}
    rig.close()
    assert len(share.chunks()) > 3 and not np.allclose(flat(wanted), 0)
    assert error(found, wanted) < 2e-5


def test_adapters_of_the_text_tower_learn_beside_the_image_tower(tmp_path):
    config = case_config(tmp_path, STEADY)
    config.lora.rank, config.lora.towers = 2, ["text"]
    rig = build(config)
    before = rig.weights.arrays()
    grown(rig)
    moved = {name for name, value in rig.weights.arrays().items() if not np.array_equal(value, before[name])}
    rig.close()
    assert any(name.endswith("lora_b") for name in moved)
    assert not [name for name in moved if name.startswith("text_model.") and "lora" not in name]
    assert "text_head.fc1.weight" in moved, "its head was taken from no model, so it learns"
    assert {"image_head.fc2.weight", "image_head.cell_proj.weight", "visual.head_conv.weight"} <= moved


def test_an_efficientnet_has_nothing_to_adapt(tmp_path):
    config = case_config(tmp_path, STEADY)
    config.lora.rank = 2
    with pytest.raises(ConfigError, match="^lora.towers has image, but a tower of kind efficientnet has no attention"):
        build(config)


def test_rates_fall_from_the_heads_down(tmp_path):
    rig = build(case_config(tmp_path, STEADY))
    factors = layer_factors(list(rig.weights.arrays()), 0.5)
    rig.close()
    for head in ("image_head.", "text_head."):
        assert {factor for name, factor in factors.items() if name.startswith(head)} == {1.0}
    stem, last = (factors[f"visual.{name}.weight"] for name in ("stem_conv", "head_conv"))
    assert stem == 0.5**7 and last == 1.0 and factors["text_model.word_emb.weight"] == 0.25


def test_frozen_towers_rest_and_heads_learn(tmp_path):
    config = case_config(tmp_path, STEADY)
    config.optimizer.freeze = [FreezeRule(match=r"visual\..*"), FreezeRule(match=r"text_model\..*", until=2)]
    config.train.ema = 0.5
    rig = build(config)
    (batch, *_) = batches(rig)
    seen, before = [], rig.weights.arrays()
    for number in range(3):
        rig.step(batch, number, show=False)
        after = rig.weights.arrays()
        seen.append({name for name, value in after.items() if not np.array_equal(value, before[name])})
        before = after
    averages = rig.weights.arrays(rig.ema.averages)
    rig.close()
    assert not any(name.startswith("visual.") for names in seen for name in names)
    assert [any(name.startswith("text_model.enc") for name in names) for names in seen] == [False, False, True]
    assert all("image_head.fc1.weight" in names and "text_head.fc1.weight" in names for names in seen)
    assert not any("pooler" in name for names in seen for name in names)
    assert not np.array_equal(averages["image_head.fc1.weight"], before["image_head.fc1.weight"])
    assert np.array_equal(averages["visual.stem_conv.weight"], before["visual.stem_conv.weight"])


def test_weights_in_bf16_step_in_the_direction_of_fp32(tmp_path):
    """Rounding is emulated; convolutions and batch norms stay in fp32 there."""
    config = case_config(tmp_path, {**STEADY, "lr": 2e-3})
    exact = case_config(tmp_path, STEADY)
    (batch, *_) = batches(rig := build(exact))
    rig.close()
    held = {name: value.numpy() for name, value in rig.model.named_parameters()}  # statistics, which no step moves
    weights = held | trained_weights(config, batch, steps=6)
    wanted = gradient(exact, weights, batch)
    with emulation():
        low = case_config(tmp_path, {**STEADY, "train": {"precision": "bf16", "amp_level": "O2"}})
        found = gradient(low, weights, batch)
    assert set(found) == set(wanted)
    one, two = flat(found), flat(wanted)
    assert one @ two / np.linalg.norm(one) / np.linalg.norm(two) > 0.998
