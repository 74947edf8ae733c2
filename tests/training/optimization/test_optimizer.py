"""The learning rate's shape, groups of parameters, what AdamW decays, clipping, and state that continues exactly."""

import math

import numpy as np
import paddle
import pytest

from ernie_vil2.config.optimizer import OptimizerConfig
from ernie_vil2.errors import CheckpointError, ConfigError
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.training.optimization import optimizer as optim
from ernie_vil2.training.optimization.optimizer import build_optimizer, clip_gradients, learning_rate, squared_norm
from ernie_vil2.training.optimization.parameter_groups import decayed, parameter_options

RULES = [
    {"match": r"visual\.blocks\.0\..*", "lr": 0.5},
    {"match": r"(visual|text_model)\..*", "lr": 0.1, "weight_decay": 0.3},
]


def give_gradients(model, step, only=lambda name: True):
    """Gradients that depend on the name and the step alone."""
    for index, (name, parameter) in enumerate(model.named_parameters()):
        if only(name) and not parameter.stop_gradient:
            values = np.random.default_rng((index, step)).normal(size=parameter.shape).astype(np.float32)
            (parameter * paddle.to_tensor(values)).sum().backward()


def values(model):
    return {name: parameter.numpy().copy() for name, parameter in model.named_parameters()}


def train(model, optimizer, schedule, steps, only=lambda name: True):
    for step in steps:
        give_gradients(model, step, only)
        optimizer.step()
        optim.clear_gradients(model.parameters())
        schedule.step()


def test_warm_up_is_linear_then_a_cosine_to_the_last_step():
    config = OptimizerConfig(lr=2.0, final_lr=0.5, warmup=4)
    rates = np.array([learning_rate(step, config, 24) for step in range(24)])
    np.testing.assert_allclose(rates[:4], [0.5, 1.0, 1.5, 2.0])
    assert rates[4] == 2.0 and rates[-1] == pytest.approx(0.5)
    assert (np.diff(rates[4:]) < 0).all()
    middle = (rates[4] + rates[-1]) / 2
    np.testing.assert_allclose(rates[4:] - middle, -(rates[4:] - middle)[::-1], atol=1e-12)
    assert learning_rate(0, OptimizerConfig(lr=1.0, warmup=0), 1) == 1.0


def test_linear_and_constant_schedules_start_and_end_where_the_cosine_does():
    def rates(schedule):
        config = OptimizerConfig(lr=2.0, final_lr=0.5, warmup=4, schedule=schedule)
        return [learning_rate(step, config, 24) for step in range(24)]

    linear, cosine, constant = rates("linear"), rates("cosine"), rates("constant")
    assert linear[:5] == cosine[:5] == constant[:5]
    np.testing.assert_allclose(np.diff(linear[4:]), -1.5 / 19)
    assert linear[-1] == pytest.approx(0.5) and set(constant[4:]) == {2.0}


def test_the_schedule_reaches_the_optimizer(tiny_config):
    config = OptimizerConfig(lr=1e-2, warmup=2)
    optimizer, schedule = build_optimizer(new_model(tiny_config), config, 10)
    rates = []
    for _ in range(10):
        rates.append(optimizer.get_lr())
        schedule.step()
    assert rates == pytest.approx([learning_rate(step, config, 10) for step in range(10)])


def test_matrices_decay_and_nothing_else(tiny_config):
    names = {name: decayed(name, parameter) for name, parameter in new_model(tiny_config).named_parameters()}
    assert names["visual.blocks.0.attn.qkv.weight"] and names["text_model.word_emb.weight"]
    kept = [name for name, value in names.items() if not value]
    assert all("norm" in name or ".ln" in name or name.endswith(("bias", "temperature_b")) for name in kept)


def test_layer_decay_falls_from_the_top_of_each_tower(tiny_config):
    tiny_config.image_tower.depth = 3
    names = [name for name, _ in new_model(tiny_config).named_parameters()]
    factors = {name: factor for name, (factor, _) in parameter_options(names, OptimizerConfig(layer_decay=0.5)).items()}
    for index, wanted in enumerate((0.25, 0.5, 1.0)):
        assert factors[f"visual.blocks.{index}.mlp.fc1.bias"] == wanted
    assert factors["text_model.encoder_stack.block.0.ffn.i.weight"] == 0.5
    lowest = ("visual.patch_embed.proj.weight", "visual.class_embedding", "visual.positional_embedding")
    assert {factors[name] for name in (*lowest, "visual.norm_pre.bias")} == {0.125}
    assert {factors[f"text_model.{name}.weight"] for name in ("word_emb", "pos_emb", "ln")} == {0.25}
    top = ("visual.norm_post.weight", "text_model.pooler.weight", "contrastive_loss_mm.temperature_b")
    assert {factors[name] for name in top} == {1.0}


def test_the_first_rule_counts_and_multiplies_with_the_layer(tiny_config):
    names = [name for name, _ in new_model(tiny_config).named_parameters()]
    config = OptimizerConfig(layer_decay=0.5, groups=RULES, weight_decay=0.01)
    options = parameter_options(names, config)
    assert options["visual.blocks.0.attn.qkv.weight"] == (0.25, 0.01)
    assert options["visual.blocks.1.attn.qkv.weight"] == (0.1, 0.3)
    assert options["contrastive_loss_mm.temperature_b"] == (1.0, 0.01)


@pytest.mark.parametrize("match", [r"visual", r"vision\..*", r"blocks\.0\..*"])
def test_a_rule_that_fits_nothing_is_an_error(tiny_config, match):
    with pytest.raises(ConfigError, match="no parameter fits .* whole name"):
        build_optimizer(new_model(tiny_config), OptimizerConfig(groups=[{"match": match, "lr": 0.1}]), 10)


def test_a_rule_behind_one_that_takes_everything_is_an_error(tiny_config):
    rules = [{"match": ".*", "lr": 0.1}, {"match": r"visual\..*", "lr": 0.2}]
    with pytest.raises(ConfigError, match="earlier entry"):
        build_optimizer(new_model(tiny_config), OptimizerConfig(groups=rules), 10)


@pytest.mark.parametrize(
    "rule",
    [{"match": "a("}, {"match": "a", "rate": 1}, {"lr": 1}, {"match": "a", "lr": 0}, {"match": "a", "lr": "x"}, "a"],
)
def test_a_wrong_rule_is_an_error_before_there_is_a_model(rule):
    with pytest.raises(ConfigError, match="groups"):
        OptimizerConfig(groups=[rule])


def test_factors_and_decay_of_groups_act_as_separate_optimizers_would(tiny_config):
    config = OptimizerConfig(lr=1e-2, warmup=0, schedule="constant", layer_decay=0.5, groups=RULES, weight_decay=0.2)
    model = new_model(tiny_config)
    optimizer, schedule = build_optimizer(model, config, 5)
    before = values(model)
    train(model, optimizer, schedule, range(1))
    options = parameter_options(list(before), config)
    for index, (name, parameter) in enumerate(model.named_parameters()):
        gradient = np.random.default_rng((index, 0)).normal(size=parameter.shape)
        factor, decay = options[name]
        rate = 1e-2 * factor
        shrunk = before[name] * (1 - rate * decay * decayed(name, parameter))
        np.testing.assert_allclose(
            parameter.numpy(), shrunk - rate * np.sign(gradient), rtol=1e-4, atol=2e-6, err_msg=name
        )


def test_frozen_parameters_are_neither_moved_nor_decayed_and_hold_no_state(tiny_config):
    model = new_model(tiny_config)
    for name, parameter in model.named_parameters():
        parameter.stop_gradient = name.startswith("visual.")
    optimizer, schedule = build_optimizer(model, OptimizerConfig(lr=0.1, warmup=0, weight_decay=10.0), 5)
    before = values(model)
    train(model, optimizer, schedule, range(2))
    for name, value in values(model).items():
        assert np.array_equal(value, before[name]) == name.startswith("visual."), name
    state = optim.optimizer_state(optimizer, model)
    assert "visual.class_embedding.idle" in state and "visual.class_embedding.moment1" not in state


def test_clipping_takes_a_norm_of_more_than_it_sees(tiny_config):
    model = new_model(tiny_config)
    give_gradients(model, 0)
    parameters = model.parameters()
    halves = parameters[::2], parameters[1::2]
    norm = math.sqrt(sum(squared_norm(half) for half in halves))
    exact = math.sqrt(sum((value.grad.numpy().astype(np.float64) ** 2).sum() for value in parameters))
    assert norm == pytest.approx(exact, rel=1e-6)
    before = [value.grad.numpy().copy() for value in parameters]
    for half in halves:
        assert clip_gradients(half, 0.5, norm) == norm
    for value, old in zip(parameters, before, strict=True):
        np.testing.assert_allclose(value.grad.numpy(), old * 0.5 / norm, rtol=1e-4, atol=1e-9)
    assert math.sqrt(squared_norm(parameters)) == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_gradient_that_is_not_finite_shows_in_the_norm_and_is_left_alone(bad):
    weight = paddle.create_parameter([3], "float32")
    (weight * paddle.to_tensor([1.0, bad, 2.0])).sum().backward()
    assert not math.isfinite(clip_gradients([weight], 1.0))
    assert weight.grad.numpy()[2] == 2.0
    assert clip_gradients([], 1.0) == 0.0


def test_k_steps_then_k_more_from_the_state_equal_2k_bit_for_bit(tiny_config):
    config = OptimizerConfig(lr=1e-2, warmup=2, layer_decay=0.7, groups=RULES)

    def first(name):  # some are updated in the first half only, some in the second half only
        return "pooler" not in name

    def second(name):
        return ".mlp." not in name

    straight = new_model(tiny_config)
    optimizer, schedule = build_optimizer(straight, config, 6)
    train(straight, optimizer, schedule, range(3), first)
    weights, state = values(straight), optim.optimizer_state(optimizer, straight)
    assert all(value.dtype == np.float32 for value in state.values())
    train(straight, optimizer, schedule, range(3, 6), second)

    resumed = new_model(tiny_config, seed=1)
    resumed.set_state_dict(weights)
    optimizer, schedule = build_optimizer(resumed, config, 6)
    optim.load_optimizer_state(optimizer, resumed, state)
    schedule.step(3)
    train(resumed, optimizer, schedule, range(3, 6), second)
    wanted = values(straight)
    assert not [name for name, value in values(resumed).items() if not np.array_equal(value, wanted[name])]


def test_ranks_that_own_parts_take_only_theirs_and_together_hold_all(tiny_config):
    config = OptimizerConfig(lr=1e-2, warmup=0, groups=RULES)
    model = new_model(tiny_config)
    whole, schedule = build_optimizer(model, config, 4)
    train(model, whole, schedule, range(2))
    state, names = optim.optimizer_state(whole, model), [name for name, _ in model.named_parameters()]
    merged = {}
    for share in (set(names[::3]), set(names) - set(names[::3])):
        rank = new_model(tiny_config)
        part, _ = build_optimizer(rank, config, 4, only=share)
        optim.load_optimizer_state(part, rank, {key: state[key] for key in state if key.rpartition(".")[0] in share})
        held = optim.optimizer_state(part, rank)
        assert {key.rpartition(".")[0] for key in held} == share
        merged.update(held)
    assert set(merged) == set(state) and all(np.array_equal(merged[key], state[key]) for key in state)


def test_a_state_that_lacks_something_is_refused(tiny_config):
    model = new_model(tiny_config)
    optimizer, schedule = build_optimizer(model, OptimizerConfig(warmup=0), 4)
    train(model, optimizer, schedule, range(1))
    state = optim.optimizer_state(optimizer, model)
    lacking = {key: value for key, value in state.items() if key != "visual.class_embedding.moment2"}
    fresh = new_model(tiny_config)
    other, _ = build_optimizer(fresh, OptimizerConfig(warmup=0), 4)
    with pytest.raises(CheckpointError, match="lacks visual.class_embedding.moment2"):
        optim.load_optimizer_state(other, fresh, lacking)
    with pytest.raises(CheckpointError, match="moment1 is"):
        optim.load_optimizer_state(other, fresh, {**state, "visual.class_embedding.moment1": np.zeros(3, np.float32)})


def test_the_state_of_low_precision_weights_holds_their_masters(tiny_config):
    """Paddle has no such kernel on a CPU, so the state is made up: it comes back as it was put in."""
    model = new_model(tiny_config)
    model.to(dtype="float16")
    optimizer, _ = build_optimizer(model, OptimizerConfig(groups=RULES), 4)
    rng = np.random.default_rng(0)
    arrays = {
        f"{name}.{slot}": rng.normal(size=[1] if "pow" in slot else value.shape).astype(np.float32)
        for name, value in model.named_parameters()
        for slot in (*optim.SLOTS, "master")
    }
    optim.load_optimizer_state(optimizer, model, arrays)
    found = optim.optimizer_state(optimizer, model)
    assert set(found) == set(arrays) and all(np.array_equal(found[key], arrays[key]) for key in arrays)
