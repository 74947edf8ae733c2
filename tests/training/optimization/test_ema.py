"""The average of the weights: its arithmetic, and that a model gets exactly its own weights back."""

import numpy as np
import paddle
import pytest

from ernie_vil2.errors import CheckpointError
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.training.optimization.ema import Ema
from ernie_vil2.training.optimization.weights import Weights


def values(model):
    return {name: parameter.numpy().copy() for name, parameter in model.named_parameters()}


def move(model, seed):
    for index, parameter in enumerate(model.parameters()):
        noise = np.random.default_rng((seed, index)).normal(size=parameter.shape)
        parameter.set_value(parameter.numpy() + noise.astype(np.float32))


def test_the_average_is_the_recursion_in_double_precision(tiny_config):
    model = new_model(tiny_config)
    ema = Ema(Weights(model), 0.3)
    wanted = values(model)
    for step in range(8):
        move(model, step)
        ema.update()
        decay = min(0.3, (1 + step) / (10 + step))
        wanted = {
            name: decay * wanted[name].astype(np.float64) + (1 - decay) * new for name, new in values(model).items()
        }
    for name, array in wanted.items():
        np.testing.assert_allclose(ema.state()[name], array, rtol=1e-5, atol=1e-5, err_msg=name)
    assert all(array.dtype == np.float32 for array in ema.state().values())


def test_weights_that_do_not_move_are_their_own_average_bit_for_bit(tiny_config):
    model = new_model(tiny_config)
    ema = Ema(Weights(model), 0.999)
    for _ in range(5):
        ema.update()
    assert all(np.array_equal(ema.state()[name], value) for name, value in values(model).items())


def test_the_block_has_the_average_and_afterwards_the_model_its_own_weights(tiny_config):
    model = new_model(tiny_config)
    ema = Ema(Weights(model), 0.9)
    move(model, 0)
    ema.update()
    raw, names = values(model), {id(parameter) for parameter in model.parameters()}
    with pytest.raises(KeyboardInterrupt):
        with ema.applied():
            inside = values(model)
            raise KeyboardInterrupt
    assert all(np.array_equal(inside[name], ema.state()[name]) for name in raw)
    assert not np.array_equal(inside["visual.class_embedding"], raw["visual.class_embedding"])
    assert all(np.array_equal(value, raw[name]) for name, value in values(model).items())
    assert names == {id(parameter) for parameter in model.parameters()}


def test_going_on_from_a_state_is_exact(tiny_config):
    model = new_model(tiny_config)
    weights = Weights(model)
    straight = Ema(weights, 0.9)
    move(model, 0)
    straight.update()
    resumed = Ema(weights, 0.9)
    resumed.load(straight.state())
    move(model, 1)
    straight.update()
    resumed.update()
    one, two = straight.state(), resumed.state()
    assert set(one) == set(two) and all(np.array_equal(one[name], two[name]) for name in one)


def test_a_state_of_another_model_is_refused(tiny_config):
    ema = Ema(Weights(new_model(tiny_config)), 0.9)
    state = ema.state()
    del state["visual.class_embedding"]
    with pytest.raises(CheckpointError, match="visual.class_embedding"):
        ema.load(state)
    with pytest.raises(CheckpointError, match="ema_updates"):
        ema.load({name: value for name, value in ema.state().items() if name != "ema_updates"})


def test_frozen_parameters_stay_frozen_and_graphs_stay_out(tiny_config):
    model = new_model(tiny_config)
    model.visual.class_embedding.stop_gradient = True
    ema = Ema(Weights(model), 0.9)
    ema.update()
    with ema.applied():
        assert model.visual.class_embedding.stop_gradient
    assert not model.visual.positional_embedding.stop_gradient
    model.encode_image(paddle.rand([1, 3, 32, 32])).sum().backward()
    assert model.visual.positional_embedding.grad is not None
