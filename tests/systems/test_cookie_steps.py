"""Steps of a small COOKIE: every use of the shared layers counts once, with a queue, adapters, frozen parts, O2."""

from dataclasses import replace

import numpy as np
import pytest

from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.config.optimizer import FreezeRule
from ernie_vil2.config.run import LoraConfig
from ernie_vil2.inference.model import load
from ernie_vil2.keys import random_key
from ernie_vil2.systems.cookie import Cookie
from ernie_vil2.training.optimization.freeze import freeze_adapted
from ernie_vil2.training.optimization.parameter_groups import layer_factors
from ernie_vil2.training.rig import build
from ernie_vil2.training.step import share_parameters
from tests.gpu.steps import flat, gradient, scene_batch, trained_weights
from tests.systems.cookie_tiny import QUEUE, cookie_config
from tests.systems.test_shared_layer import plain_graph, step_gradients
from tests.training.emulated_o2 import emulation
from tests.training.queue_cases import batches
from tests.training.rank_cases import BATCH, EVERY_PAIR, align, setting
from tests.training.runs import different
from tests.training.test_grad_cache import gradients

OWN = ("shared.", "image_proj.", "text_proj.")
SHARED = "shared.1.fc1.weight"
STEADY = {"dropout": 0.0, "micro_batch": 0}


@pytest.fixture(scope="module")
def system_and_batch(tmp_path_factory):
    """A COOKIE with dropout in towers and shared layers, on every pair of views, whose embeddings agree."""
    model, objective, batch = setting(tmp_path_factory.mktemp("cookie"), EVERY_PAIR, same=(1, 4), kind=Cookie)
    system = Cookie(model, objective)
    align(system, batch, steps=8)
    return system, batch


def check_equal(found, wanted):
    """Gradients by name are equal but for rounding, and the shared layers have some."""
    assert set(found) == set(wanted) and np.abs(wanted[SHARED]).max() > 1e-4
    for name, value in wanted.items():
        scale = max(np.abs(value).max(), 1e-2)
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-5 * scale, err_msg=name)


@pytest.fixture(scope="module")
def plain(system_and_batch):
    """{size of micro-batches: the gradient of one plain graph}."""
    return {micro: plain_graph(*system_and_batch, micro, 5, 21) for micro in (3, BATCH)}


@pytest.mark.parametrize(
    "micro, recompute, side_by_side",
    [(3, False, False), (3, False, True), (3, True, True), (BATCH, False, True), (BATCH, True, False)],
)
def test_every_use_counts_once(system_and_batch, plain, micro, recompute, side_by_side):
    system, batch = system_and_batch
    step, found = step_gradients(system, batch, micro, recompute, side_by_side)
    assert share_parameters(system.towers()) and step.pool is None
    check_equal(found, plain[micro])


def test_masks_of_the_shared_layers_are_part_of_the_gradient(system_and_batch, plain):
    """Else the equality above says nothing of dropout there."""
    (system, batch), one = system_and_batch, plain[BATCH]
    rates = [layer.dropout.p for layer in system.model.shared]
    for layer in system.model.shared:
        layer.dropout.p = 0.0
    other = plain_graph(system, batch, BATCH, 5, 21)
    for layer, rate in zip(system.model.shared, rates, strict=True):
        layer.dropout.p = rate
    assert rates == [0.1, 0.1] and np.abs(one[SHARED] - other[SHARED]).max() > 1e-2 * np.abs(one[SHARED]).max()


def test_images_and_texts_together_give_what_either_gives_alone(system_and_batch):
    system, batch = system_and_batch
    whole, parts = plain_graph(system, batch, BATCH, 5, 2), []
    for tower in system.towers().values():
        embeds = system.encode(batch, 5, 2)
        used = {view: value if view in tower.views else value.detach() for view, value in embeds.items()}
        system.loss(used, batch)["loss"].backward()
        parts.append(gradients(system.model))
    images, texts = parts
    assert not any(name.startswith(("text_model.", "text_proj.")) for name in images)
    assert not any(name.startswith(("visual.", "image_proj.")) for name in texts)
    for name in (name for name in whole if name.startswith("shared.")):
        summed, scale = images[name] + texts[name], max(np.abs(whole[name]).max(), 1e-2)
        np.testing.assert_allclose(summed, whole[name], rtol=0, atol=1e-5 * scale, err_msg=name)
    assert min(np.abs(part[SHARED]).max() for part in parts) > 1e-4, "either use counts"


def steps_of(config, batch, count=3):
    """({name: array} of a rig after some steps, its losses and its first values); the rig is closed."""
    rig = build(config)
    start = rig.weights.arrays()
    losses = [rig.step(batch, number, show=False)["loss"] for number in range(count)]
    rig.close()
    return rig, losses, start


def test_without_shared_layers_it_is_the_dual_encoder_bit_for_bit(tmp_path, random_image):
    config = cookie_config(tmp_path)
    config.model = replace(config.model, settings={"layers": 0})
    plain = replace(config, model=replace(config.model, system="ernie_vil2", settings={}))
    batch, images = scene_batch(config), [random_image(40, 50)]
    found, wanted = (steps_of(each, batch) for each in (config, plain))
    assert different(found[2], wanted[2]) == [] and found[1] == wanted[1] and len(set(found[1])) == 3
    two = [rig.exported() for rig, *_ in (found, wanted)]
    assert different(*two) == [] and different(two[0], found[2]) != []
    for name, (rig, *_) in (("one", found), ("two", wanted)):
        save_model(tmp_path / name, rig.exported(), rig.config.model, rig.config.data.vocab)
    models = [load(tmp_path / name) for name in ("one", "two")]
    for verb, given in (("encode_image", images), ("encode_text", ["一只猫", "红的圆"])):
        first, second = (getattr(model, verb)(given) for model in models)
        assert np.array_equal(first, second) and np.abs(first).max() > 0


def test_keys_come_from_shared_layers_that_follow_the_model(tmp_path):
    config = cookie_config(tmp_path, queue={**QUEUE, "size": 100}, micro_batch=0)
    rig = build(config)
    path, copies = [], []
    for number, batch in enumerate(batches(rig)):
        path.append(rig.weights.arrays())
        rig.step(batch, number, show=False)
        copies.append(rig.momentum.state())
    last = rig.momentum.system.encode(batch, random_key(config.seed, "keys"), number)
    queue, own = rig.system.objective.queue.state(), rig.momentum.system.model
    rig.close()
    follower = path[0]
    for weights, copied in zip(path, copies, strict=True):
        follower = {name: 0.8 * value + 0.2 * weights[name] for name, value in follower.items()}
        for name in (name for name in follower if name.startswith(OWN)):
            np.testing.assert_allclose(copied[name], follower[name], atol=1e-6, err_msg=name)
    assert not np.array_equal(copies[-1][SHARED], path[-1][SHARED])
    assert set(last) == {"image", "image'", "caption", "caption'"}
    for view, value in last.items():
        np.testing.assert_allclose(queue[f"embeds.{view}"][28:42], value.numpy(), atol=1e-6, err_msg=view)
    own.shared[1].fc1.weight.set_value(-own.shared[1].fc1.weight)
    for view, value in rig.momentum.system.encode(batch, random_key(config.seed, "keys"), number).items():
        assert np.abs(value.numpy() - last[view].numpy()).max() > 1e-3, view


def test_a_run_with_a_queue_goes_on_bit_for_bit(tmp_path):
    config = cookie_config(tmp_path, queue=QUEUE, ema=0.9)
    rig = build(config)
    given, numbers = batches(rig), range(3)
    kept = None
    for number in numbers:
        if number == 2:
            model = {name: value.numpy().copy() for name, value in rig.model.state_dict().items()}
            kept = {"model": model, **rig.shard_state(), **rig.state()}
        rig.step(given[number], number, show=False)
    rig.close()
    other = build(config)
    other.load(kept, {"step": 2, "loss_scale": None}, "there")
    other.step(given[2], 2, show=False)
    other.close()
    groups = [{**each.shard_state(), **each.state()} for each in (rig, other)]
    assert set(groups[0]) == {"optimizer", "momentum", "queue", "parameters", "average"}
    for name, wanted in groups[0].items():
        assert different(groups[1][name], wanted) == [], name
        assert different(kept[name], wanted) != [], name


def test_frozen_towers_rest_and_shared_layers_learn(tmp_path):
    config = cookie_config(tmp_path, **STEADY)
    config.optimizer.freeze = [FreezeRule(match=r"visual\..*"), FreezeRule(match=r"text_model\..*")]
    config.train.ema = 0.5
    rig, _, start = steps_of(config, scene_batch(config))
    after, averages = rig.weights.arrays(), rig.weights.arrays(rig.ema.averages)
    moved = {name for name, value in after.items() if not np.array_equal(value, start[name])}
    own = {name for name in start if name.startswith(OWN)}
    assert own <= moved and not [name for name in moved if name.startswith(("visual.", "text_model."))]
    for name in own:
        assert np.abs(averages[name] - after[name]).max() > 0, name
    assert np.array_equal(averages["visual.norm_post.weight"], start["visual.norm_post.weight"])


def test_a_frozen_image_tower_still_teaches_the_shared_layers(tmp_path):
    """Images alone: all of the gradient comes through a tower that does not learn."""
    config = cookie_config(tmp_path, **STEADY)
    config.objective = replace(config.objective, pairs=[["image", "image'"]])
    config.optimizer.freeze = [FreezeRule(match=r"visual\..*")]
    rig, _, start = steps_of(config, scene_batch(config), 1)
    moved = {name for name, value in rig.weights.arrays().items() if not np.array_equal(value, start[name])}
    assert {SHARED, "image_proj.weight"} <= moved
    assert not [name for name in moved if name.startswith(("visual.", "text_"))]


@pytest.mark.parametrize("towers, learns", [(["text"], True), (["image", "text"], False)])
def test_adapters_leave_shared_layers_that_were_trained_to_the_tower_without_any(tmp_path, towers, learns):
    """And where both are adapted the layers on top of them rest too, as those of BriVL do."""
    system = Cookie.create(cookie_config(tmp_path))
    freeze_adapted(system, LoraConfig(rank=2, towers=towers))
    named = dict(system.model.named_parameters())
    assert not any(not value.stop_gradient for name, value in named.items() if name.startswith("text_"))
    assert {named[name].stop_gradient for name in (SHARED, "image_proj.weight")} == {not learns}


@pytest.mark.parametrize("towers", [["text"], ["image", "text"]])
def test_adapters_do_not_keep_shared_layers_at_random(tmp_path, towers):
    config = cookie_config(tmp_path, **STEADY)
    config.lora.rank, config.lora.towers = 2, towers
    rig, _, start = steps_of(config, scene_batch(config))
    moved = {name for name, value in rig.weights.arrays().items() if not np.array_equal(value, start[name])}
    assert any(name.startswith("text_model.") and name.endswith("lora_b") for name in moved)
    assert not [name for name in moved if name.startswith("text_model.") and "lora" not in name]
    assert {SHARED, "image_proj.weight", "text_proj.weight"} <= moved
    assert not [name for name in start if "lora" in name and name.startswith(OWN)]


def test_rates_fall_from_the_shared_layers_down(tmp_path):
    rig = build(cookie_config(tmp_path, **STEADY))
    factors = layer_factors(list(rig.weights.arrays()), 0.5)
    rig.close()
    assert {factor for name, factor in factors.items() if name.startswith(OWN)} == {1.0}
    assert factors["visual.patch_embed.proj.weight"] == factors["text_model.word_emb.weight"] == 0.5


def test_weights_in_bf16_step_in_the_direction_of_fp32(tmp_path):
    """Rounding is emulated, with the gradient cache."""
    settings = {**STEADY, "micro_batch": 7}
    exact, config = (cookie_config(tmp_path, lr=rate, **settings) for rate in (1e-3, 2e-3))
    batch = scene_batch(exact)
    weights = trained_weights(config, batch, steps=6)
    rig = build(exact)
    weights = {name: value.numpy() for name, value in rig.model.named_parameters()} | weights
    rig.close()
    wanted = gradient(exact, weights, batch)
    with emulation():
        found = gradient(cookie_config(tmp_path, precision="bf16", amp_level="O2", **settings), weights, batch)
    assert set(found) == set(wanted)
    for names in (set(wanted), {name for name in wanted if name.startswith("shared.")}):
        one, two = (flat({name: of[name] for name in names}) for of in (found, wanted))
        assert one @ two / np.linalg.norm(one) / np.linalg.norm(two) > 0.998


def test_a_bias_of_the_sigmoid_loss_learns_beside_shared_layers(tmp_path):
    config = cookie_config(tmp_path, **STEADY)
    config.objective = replace(config.objective, loss="sigmoid")
    rig, losses, start = steps_of(config, scene_batch(config), 2)
    after = rig.weights.arrays()
    assert np.isfinite(losses).all() and len([name for name in after if name.endswith("bias_b")]) == 3
    for name in (SHARED, "contrastive_loss_mm.bias_b", "contrastive_loss_ii.bias_b", "contrastive_loss_tt.bias_b"):
        assert not np.array_equal(after[name], start[name]), name
