"""Weights in bf16, stored as O2 stores them: their fp32 masters are what is averaged, merged, saved and restored."""

from dataclasses import replace

import numpy as np
import paddle
import pytest
from paddle import nn

from ernie_vil2.config.optimizer import OptimizerConfig
from ernie_vil2.config.run import LoraConfig
from ernie_vil2.models.dual_encoder import Temperature, new_model
from ernie_vil2.models.layers import Linear
from ernie_vil2.models.lora import LoraLinear, adapted_layers
from ernie_vil2.training.optimization.ema import Ema
from ernie_vil2.training.optimization.gradients import Gradients
from ernie_vil2.training.optimization.optimizer import SLOTS, AdamW, weight_keys
from ernie_vil2.training.optimization.weights import Weights, low_precision_names
from ernie_vil2.training.rig import build
from tests.gpu.steps import bf16, run_config


class Mixed(nn.Layer):
    """One layer of every kind that O2 tells apart."""

    def __init__(self):
        super().__init__()
        self.plain, self.layer_norm = Linear(5, 3), nn.LayerNorm(3)
        self.batch_norm, self.temperature = nn.BatchNorm2D(3), Temperature(biased=True)
        self.adapted = LoraLinear(Linear(3, 3), 2, 2.0, (1,))


PLAIN = {"plain.weight", "plain.bias", "layer_norm.weight", "layer_norm.bias"}


def held(model):
    """{name: fp32 array} of what the parameters hold, whatever their type."""
    return {name: value.astype("float32").numpy() for name, value in model.named_parameters()}


def same(found, wanted):
    return set(found) == set(wanted) and all(np.array_equal(found[name], wanted[name]) for name in wanted)


def shift(weights, size, seed=0):
    """Multiply every weight by 1 + noise of this size, in the masters."""
    noise = np.random.default_rng(seed).normal(size=weights.values.shape)
    weights.values.set_value(weights.values.numpy() * (1 + size * noise).astype(np.float32))
    weights.round()


def test_parameters_are_bf16_views_of_what_is_rounded_from_the_masters():
    model = Mixed()
    start = held(model)
    weights = Weights(model, low=low_precision_names(model))
    types = {name: value.dtype for name, value in model.named_parameters()}
    assert {name for name, kind in types.items() if kind == paddle.bfloat16} == PLAIN
    assert {kind for name, kind in types.items() if name not in PLAIN} == {paddle.float32}
    assert same(weights.arrays(), {name: start[name] for name in weights.arrays()})
    assert all(np.array_equal(value, bf16(start[name])) for name, value in held(model).items() if name in PLAIN)
    before = held(model)
    weights.values.scale_(3.0)
    now = held(model)
    assert all(
        np.array_equal(now[name], before[name] if name in PLAIN else 3 * start[name]) for name in weights.arrays()
    )
    weights.round()
    assert all(np.array_equal(value, bf16(3 * start[name])) for name, value in held(model).items() if name in PLAIN)


def test_gradients_of_bf16_add_up_exactly_in_fp32():
    model = Mixed()
    weights = Weights(model, low=low_precision_names(model))
    gradients = Gradients(weights)
    model.temperature.temperature_b.grad = paddle.full([1], 7.0)
    for value in (1.0, 2.0**-9, 2.0**-9, -(2.0**-20)):  # after the first, bf16 would stay at 1
        model.plain.weight.grad = paddle.full([5, 3], value, "bfloat16")
        gradients.collect(low_only=True)
        assert model.plain.weight.grad is None
    assert model.temperature.temperature_b.grad.item() == 7.0 and set(gradients.named()) == {"plain.weight"}
    gradients.collect()
    found = {name: value.numpy() for name, value in gradients.named().items()}
    assert set(found) == {"plain.weight", "temperature.temperature_b"} and found["temperature.temperature_b"] == 7.0
    assert (found["plain.weight"] == np.float32(1 + 2.0**-8 - 2.0**-20)).all()


def test_the_average_has_updates_that_bf16_does_not_show(tiny_config):
    model = new_model(tiny_config)
    for parameter in model.parameters():
        parameter.set_value(bf16(parameter.numpy()))
    weights = Weights(model, low=low_precision_names(model))
    ema, start = Ema(weights, 0.5), held(model)
    wanted, low = weights.values.numpy().astype(np.float64), [span.name for span in weights.spans if span.low]
    for step in range(6):
        weights.values.scale_(1 + 2.0**-13)
        weights.round()
        ema.update()
        decay = min(0.5, (1 + step) / (10 + step))
        wanted = decay * wanted + (1 - decay) * weights.values.numpy()
    assert all(np.array_equal(held(model)[name], start[name]) for name in low)
    np.testing.assert_allclose(ema.averages.numpy(), wanted, rtol=1e-6)
    moved = ema.state()["visual.class_embedding"] / start["visual.class_embedding"] - 1
    assert (moved > 4 * 2.0**-13).all()


@pytest.fixture
def rig(tmp_path):
    """A rig under O2 with low-rank updates and an average, all of it moved by less than bf16 tells apart, and more."""
    config = run_config(tmp_path, {"width": 32, "depth": 1}, precision="bf16", amp_level="O2", ema=0.5)
    rig = build(replace(config, lora=LoraConfig(rank=2, towers=("text",))))
    for seed, size in enumerate((1e-2, 1e-4)):
        shift(rig.weights, size, seed)
        with paddle.no_grad():
            for layer in adapted_layers(rig.model).values():
                layer.lora_b.set_value(np.full(layer.lora_b.shape, 1e-3 * (1 + seed), np.float32))
        rig.ema.update()
    yield rig
    rig.close()


def merged(arrays, model):
    """The exported model of {name: array}, in NumPy."""
    found = {name: value for name, value in arrays.items() if ".lora_" not in name}
    for name, layer in adapted_layers(model).items():
        first, second = (arrays[f"{name}.lora_{part}"].astype(np.float64) for part in "ab")
        found[f"{name}.weight"] = (arrays[f"{name}.weight"] + layer.scale * (first @ second)).astype(np.float32)
    return found


def test_what_is_measured_and_saved_comes_from_the_masters(rig):
    masters, average = rig.weights.arrays(), rig.weights.arrays(rig.ema.averages)
    low = {span.name for span in rig.weights.spans if span.low}
    copies = {name: bf16(value) if name in low else value for name, value in masters.items()}
    assert same(held(rig.model), copies) and len(low) > 20
    with pytest.raises(KeyboardInterrupt):
        with rig.averaged():
            assert same(held(rig.model), average)
            assert {value.dtype for value in rig.model.parameters()} == {paddle.float32}
            raise KeyboardInterrupt
    assert same(held(rig.model), copies) and same(rig.weights.arrays(), masters)
    assert same(rig.exported(), merged(average, rig.model))
    assert same(rig.state()["parameters"], masters)
    assert same({name: rig.state()["average"][name] for name in average}, average)
    rig.ema = None
    with pytest.raises(ValueError):
        with rig.averaged():
            assert same(held(rig.model), masters)
            raise ValueError
    assert same(rig.exported(), merged(masters, rig.model))
    assert same(held(rig.model), copies)
    shift(rig.weights, 1e-2)
    now = rig.weights.arrays()
    assert same(held(rig.model), {name: bf16(value) if name in low else value for name, value in now.items()})


def state_of_release_0_1(weights):
    """The optimizer's state as release 0.1 wrote it of these weights."""
    rng, state = np.random.default_rng(0), {}
    for span in weights.spans[: weights.learners]:
        for slot in SLOTS:
            shape = [1] if "pow" in slot else span.parameter.shape
            state[f"{span.name}.{slot}"] = rng.uniform(size=shape).astype(np.float32)
        if span.low:
            state[f"{span.name}.master"] = span.view(weights.values).numpy().copy()
    return state


def test_a_checkpoint_of_release_0_1_gives_its_masters_back(tmp_path):
    config = run_config(tmp_path, {"width": 32, "depth": 1}, precision="bf16", amp_level="O2", ema=0.5)
    there, here = build(config), build(config)
    shift(there.weights, 1e-2)
    there.ema.update()
    written = held(there.model)  # as rounded as the model was
    groups = {
        "model": written,
        "parameters": written,
        "average": there.ema.state(),
        "optimizer": state_of_release_0_1(there.weights),
    }
    here.load(groups, {"step": 3, "loss_scale": None}, "there")
    assert same(here.weights.arrays(), there.weights.arrays()) and not same(here.weights.arrays(), written)
    assert same(held(here.model), held(there.model)) and same(here.ema.state(), there.ema.state())
    for rig in (there, here):
        rig.close()


def test_every_rank_gets_the_masters_of_release_0_1(tiny_config):
    """Under sharding too, where the moments of a parameter are its owner's alone."""
    config = OptimizerConfig()

    def built(rank):
        model = new_model(tiny_config)
        owner = {name: number % 2 for number, name in enumerate(dict(model.named_parameters()))}
        weights = Weights(model, weight_keys(model, config, owner), low_precision_names(model))
        return weights, AdamW(weights, config, rank)

    there, _ = built(0)
    shift(there, 1e-2)
    state = state_of_release_0_1(there)
    for rank in (0, 1):
        weights, optimizer = built(rank)
        optimizer.load(state)
        assert same(
            {name: weights.arrays()[name] for name in low_precision_names(weights.model)},
            {key.removesuffix(".master"): value for key, value in state.items() if key.endswith(".master")},
        )
        assert len(optimizer.state()) < len(state)
