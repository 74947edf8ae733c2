"""The learning rate's shape, groups of parameters, what AdamW decays, clipping, and state that continues exactly."""

import math

import numpy as np
import paddle
import pytest

from ernie_vil2.config.optimizer import OptimizerConfig
from ernie_vil2.errors import CheckpointError, ConfigError
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.training.optimization.gradients import Gradients
from ernie_vil2.training.optimization.optimizer import SLOTS, AdamW, clip_factor, learning_rate, weight_keys
from ernie_vil2.training.optimization.parameter_groups import decayed, parameter_options
from ernie_vil2.training.optimization.weights import Weights, low_precision_names
from tests.training.updates import Updates

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


def train(model, updates, steps, only=lambda name: True):
    for step in steps:
        give_gradients(model, step, only)
        updates.step()


def plain_adamw(model, config):
    """Paddle's own optimizer with the same groups."""
    options, named = parameter_options([name for name, _ in model.named_parameters()], config), {}
    for name, parameter in model.named_parameters():
        named.setdefault(options[name], []).append(parameter)
    keep = {parameter.name for name, parameter in model.named_parameters() if decayed(name, parameter)}
    return paddle.optimizer.AdamW(
        config.lr,
        config.beta1,
        config.beta2,
        config.epsilon,
        [{"params": group, "learning_rate": key[0], "weight_decay": key[1]} for key, group in named.items()],
        config.weight_decay,
        apply_decay_param_fun=lambda name: name in keep,
    )


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


def test_steps_are_those_of_paddles_own_optimizer_to_the_last_bits(tiny_config):
    config = OptimizerConfig(lr=1e-2, warmup=0, schedule="constant", layer_decay=0.5, groups=RULES, weight_decay=0.2)
    model, other = new_model(tiny_config), new_model(tiny_config)
    updates, plain = Updates(model, config, 9), plain_adamw(other, config)
    for step in range(4):

        def some(name, step=step):  # gradients come and go
            return step != 2 or ".mlp." not in name

        give_gradients(model, step, some)
        give_gradients(other, step, some)
        updates.step()
        plain.step()
        for parameter in other.parameters():
            parameter.grad = None
        for (name, found), wanted in zip(model.named_parameters(), other.parameters(), strict=True):
            np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=3e-7, atol=1e-9, err_msg=f"{step} {name}")


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
        weight_keys(new_model(tiny_config), OptimizerConfig(groups=[{"match": match, "lr": 0.1}]))


def test_a_rule_behind_one_that_takes_everything_is_an_error(tiny_config):
    rules = [{"match": ".*", "lr": 0.1}, {"match": r"visual\..*", "lr": 0.2}]
    with pytest.raises(ConfigError, match="earlier entry"):
        weight_keys(new_model(tiny_config), OptimizerConfig(groups=rules))


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
    updates = Updates(model, config, 5)
    before = values(model)
    train(model, updates, range(1))
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
    updates = Updates(model, OptimizerConfig(lr=0.1, warmup=0, weight_decay=10.0), 5, dict(model.named_parameters()))
    before = values(model)
    train(model, updates, range(2))
    for name, value in values(model).items():
        assert np.array_equal(value, before[name]) == name.startswith("visual."), name
    state = updates.optimizer.state()
    assert "visual.class_embedding.idle" in state and "visual.class_embedding.moment1" not in state


def test_the_norm_is_that_of_all_gradients_and_clipping_scales_them_all(tiny_config):
    model = new_model(tiny_config)
    give_gradients(model, 0)
    before = {name: parameter.grad.numpy().copy() for name, parameter in model.named_parameters()}
    gradients = Gradients(Weights(model))
    gradients.collect()
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(np.array_equal(value.numpy(), before[name]) for name, value in gradients.named().items())
    exact = math.sqrt(sum((value.astype(np.float64) ** 2).sum() for value in before.values()))
    norm = math.sqrt(gradients.squared_norm().item())
    assert norm == pytest.approx(exact, rel=1e-6)
    gradients.scale(clip_factor(norm, 0.5))
    for name, value in gradients.named().items():
        np.testing.assert_allclose(value.numpy(), before[name] * 0.5 / norm, rtol=1e-4, atol=1e-9)
    assert math.sqrt(gradients.squared_norm().item()) == pytest.approx(0.5, rel=1e-4)


def test_gradients_add_up_until_they_are_forgotten(tiny_config):
    model = new_model(tiny_config)
    gradients, some = Gradients(Weights(model)), "visual.blocks.0.mlp.fc1.weight"
    for step in range(3):
        give_gradients(model, 5, (lambda name: name != some) if step else (lambda name: True))
        gradients.collect()
    found = {name: value.numpy().copy() for name, value in gradients.named().items()}
    gradients.clear()
    assert not gradients.named() and not gradients.held
    give_gradients(model, 5, lambda name: name == some)
    gradients.collect()
    assert set(gradients.named()) == {some}, "what had a gradient before has none"
    assert gradients.squared_norm().item() == pytest.approx(float((found[some] ** 2).sum()), rel=1e-5)
    give_gradients(model, 5)
    for name, parameter in model.named_parameters():
        times = 1 if name == some else 3
        np.testing.assert_allclose(found[name], times * parameter.grad.numpy(), rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("norm, limit, factor", [(2.0, 1.0, 0.5), (0.5, 1.0, 1.0), (9.0, 0.0, 1.0), (math.inf, 1, 1.0)])
def test_a_norm_within_the_limit_or_none_changes_nothing(norm, limit, factor):
    assert clip_factor(norm, limit) == pytest.approx(factor, rel=1e-5)
    assert clip_factor(math.nan, 1.0) == 1.0


def test_k_steps_then_k_more_from_the_state_equal_2k_bit_for_bit(tiny_config):
    config = OptimizerConfig(lr=1e-2, warmup=2, layer_decay=0.7, groups=RULES)

    def first(name):  # some are updated in the first half only, some in the second half only
        return "pooler" not in name

    def second(name):
        return ".mlp." not in name

    straight = new_model(tiny_config)
    updates = Updates(straight, config, 6)
    train(straight, updates, range(3), first)
    weights, state = values(straight), updates.optimizer.state()
    assert all(value.dtype == np.float32 for value in state.values())
    train(straight, updates, range(3, 6), second)

    resumed = new_model(tiny_config, seed=1)
    resumed.set_state_dict(weights)
    updates = Updates(resumed, config, 6)
    updates.optimizer.load(state)
    updates.done = 3
    train(resumed, updates, range(3, 6), second)
    wanted = values(straight)
    assert not [name for name, value in values(resumed).items() if not np.array_equal(value, wanted[name])]


def test_ranks_that_own_parts_take_only_theirs_and_together_hold_all(tiny_config):
    config = OptimizerConfig(lr=1e-2, warmup=0, groups=RULES)
    model = new_model(tiny_config)
    updates = Updates(model, config, 4)
    train(model, updates, range(2))
    state, names = updates.optimizer.state(), [name for name, _ in model.named_parameters()]
    owner, merged = {name: int(index % 3 == 0) for index, name in enumerate(names)}, {}
    for rank in range(2):
        part = Updates(new_model(tiny_config), config, 4, owner=owner, rank=rank).optimizer
        part.load({key: state[key] for key in state if owner[key.rpartition(".")[0]] == rank})
        held = part.state()
        assert {key.rpartition(".")[0] for key in held} == {name for name in names if owner[name] == rank}
        merged.update(held)
    assert set(merged) == set(state) and all(np.array_equal(merged[key], state[key]) for key in state)


def test_a_state_that_lacks_something_is_refused(tiny_config):
    model = new_model(tiny_config)
    updates = Updates(model, OptimizerConfig(warmup=0), 4)
    train(model, updates, range(1))
    state = updates.optimizer.state()
    lacking = {key: value for key, value in state.items() if key != "visual.class_embedding.moment2"}
    other = Updates(new_model(tiny_config), OptimizerConfig(warmup=0), 4).optimizer
    with pytest.raises(CheckpointError, match="lacks visual.class_embedding.moment2"):
        other.load(lacking)
    with pytest.raises(CheckpointError, match="moment1 is"):
        other.load({**state, "visual.class_embedding.moment1": np.zeros(3, np.float32)})


def test_masters_of_a_state_of_release_0_1_become_the_weights(tiny_config):
    model = new_model(tiny_config)
    config = OptimizerConfig(groups=RULES)
    weights = Weights(model, weight_keys(model, config), low_precision_names(model))
    optimizer = AdamW(weights, config)
    rng = np.random.default_rng(0)
    arrays = {
        f"{name}.{slot}": rng.normal(size=[1] if "pow" in slot else value.shape).astype(np.float32)
        for name, value in model.named_parameters()
        for slot in (*SLOTS, "master")
    }
    optimizer.load(arrays)
    found = optimizer.state()
    assert all(np.array_equal(found[key], arrays[key]) for key in arrays if not key.endswith("master"))
    for name, value in weights.arrays().items():
        assert np.array_equal(value, arrays[f"{name}.master"]), name
    for name, parameter in model.named_parameters():
        near = 2.0**-8 if parameter.dtype == paddle.bfloat16 else 0.0
        np.testing.assert_allclose(parameter.astype("float32").numpy(), arrays[f"{name}.master"], rtol=near)
