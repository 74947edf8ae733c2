"""torch's side of `bench train` does the same work as the trainer's step: the same gradients, the same steps."""

import dataclasses
import itertools
import sys

import numpy as np
import pytest

from ernie_vil2.config.load import load_run
from ernie_vil2.objectives.views import group_of
from ernie_vil2.studies.noise import random_batch
from ernie_vil2.studies.speed.torch_towers import DropPath
from ernie_vil2.studies.speed.training.comparison import compare
from ernie_vil2.studies.speed.training.measurements import PROJECT, TORCH
from ernie_vil2.studies.speed.training.torch_step import TorchStep
from ernie_vil2.training.rig import build

torch = pytest.importorskip("torch")
TOWER = "depth: 2, width: 32, heads: 2, dropout: 0, drop_path: 0"
RUN = [
    "data.train=none",
    "train.precision=fp32",
    "model.pixels={size: 32}",
    "optimizer={lr: 0.01, warmup: 0, schedule: constant, weight_decay: 0.1, clip: 0.05, epsilon: 1.0e-6}",
    "train.ema=0.9",
]
RELEASED = [
    f"model.image_tower={{{TOWER}, image_size: 32, patch_size: 8}}",
    f"model.text_tower={{{TOWER}, vocab_size: 50, positions: 64}}",
]
OTHER = [
    f"model.image_tower={{{TOWER}, image_size: 32, patch_size: 8, activation: gelu, projection: 8, patch_bias: true}}",
    f"model.text_tower={{{TOWER}, vocab_size: 50, positions: 64, activation: gelu, projection: 8, token_types: 2}}",
]


def config_of(towers, *overrides):
    return load_run("configs/ernie_vil2_base_vit_zh.yaml", [*RUN, *towers, *overrides])


def both(config):
    """(rig, torch's step) with the same weights, batches, and the same as torch has them."""
    rig = build(config, 6)
    random = np.random.default_rng(0)
    for value in rig.model.parameters():
        value.set_value(value.numpy() + random.normal(0, 0.1, value.shape).astype(np.float32))
    state = {key: np.array(value.numpy()) for key, value in rig.model.state_dict().items()}
    pairs = [(*pair, group_of(*pair[:2])) for pair in config.objective.weighted_pairs()]
    batches = [random_batch(config.model, rig.system.views, 6, 9, 6 * number) for number in range(3)]
    return rig, TorchStep(config, state, pairs), batches, [{**batch.pixels, **batch.tokens} for batch in batches]


def values_of(step, value):
    """{our name: array} of what `value` gives of torch's parameters, in our layout."""
    found = {f"contrastive_loss_{group}.temperature_b": value(each) for group, each in step.temperatures.items()}
    image, text = step.towers["image"], step.towers["text"]
    plain = {
        "visual.patch_embed.proj.weight": image.patch.weight,
        "visual.class_embedding": image.first,
        "visual.positional_embedding": image.positions,
        "text_model.word_emb.weight": text.words,
        "text_model.pos_emb.weight": text.positions,
        "text_model.type_emb.weight": text.token_types,
        "visual.patch_embed.proj.bias": image.patch.bias,
    }
    found |= {name: value(each) for name, each in plain.items() if each is not None}
    layers = {"visual.norm_pre": image.norm_pre, "visual.norm_post": image.norm_post, "text_model.ln": text.norm}
    layers |= {"text_model.pooler": text.pooler, "visual.proj": image.proj, "text_model.proj": text.proj}
    for number, block in enumerate(image.blocks):
        place = f"visual.blocks.{number}"
        layers |= {f"{place}.norm1": block.norm1, f"{place}.norm2": block.norm2}
        layers |= {f"{place}.mlp.fc1": block.fc1, f"{place}.mlp.fc2": block.fc2}
        layers |= {f"{place}.attn.qkv": block.attention.qkv, f"{place}.attn.proj": block.attention.out}
    for number, block in enumerate(text.blocks):
        place = f"text_model.encoder_stack.block.{number}"
        layers |= {f"{place}.ln1": block.norm1, f"{place}.ln2": block.norm2}
        layers |= {f"{place}.ffn.i": block.fc1, f"{place}.ffn.o": block.fc2, f"{place}.attn.o": block.attention.out}
        for kind in ("weight", "bias"):
            parts = np.split(value(getattr(block.attention.qkv, kind)), 3)
            found |= {f"{place}.attn.{part}.{kind}": each.T for part, each in zip("qkv", parts, strict=True)}
    for name, layer in layers.items():
        found |= {f"{name}.{kind}": value(each).T for kind, each in layer.named_parameters()}
    return found


@pytest.mark.parametrize("towers", [RELEASED, OTHER], ids=["released", "other"])
def test_gradients_and_steps_are_the_trainers(towers):
    rig, step, batches, inputs = both(config_of(towers))
    loss = rig.gradient_step(batches[0], 0)["loss"].item()
    rig.gradients.collect()
    ours = {name: value.numpy() for name, value in rig.gradients.named().items()}
    assert step.gradients(inputs[0]).item() == pytest.approx(loss, abs=1e-6)
    theirs = values_of(step, lambda value: value.grad.numpy())
    assert set(theirs) == set(ours) == {name for name, _ in rig.model.named_parameters()}
    for name in ours:
        assert np.abs(ours[name] - theirs[name]).max() < 1e-5, name
    assert max(np.abs(value).max() for value in ours.values()) > 0.01
    rig.gradients.clear()
    for number in range(6):
        values = rig.step(batches[number % 3], number, show=False)
        assert values["grad_norm"] > 0.05 and step(inputs[number % 3])[0] == pytest.approx(values["loss"], abs=1e-4)
    weights = values_of(step, lambda value: value.detach().numpy())
    moved = {name: np.array(value.numpy()) for name, value in rig.model.state_dict().items()}
    assert max(np.abs(weights[name] - moved[name]).max() for name in moved) < 2e-3  # a fifth of a step
    rig.close()


def test_masks_are_drawn_in_training_alone():
    dropped = [text.replace("dropout: 0, drop_path: 0", "dropout: 0.2, drop_path: 0.3") for text in RELEASED]
    rig, step, _, inputs = both(config_of(dropped))
    rig.close()
    first, second = (step.embeds(inputs[0]) for _ in range(2))
    assert all((first[view] != second[view]).any(dim=1).all() for view in first)
    step.towers.eval()
    first, second = (step.embeds(inputs[0]) for _ in range(2))
    assert all((first[view] == second[view]).all() for view in first)


def test_a_dropped_branch_is_dropped_whole_and_the_rest_scaled_up():
    torch.manual_seed(0)
    found = DropPath(0.25).train()(torch.ones(4000, 2, 3)).flatten(1)
    assert (found == found[:, :1]).all() and found.unique().tolist() == pytest.approx([0, 4 / 3])
    assert found.mean().item() == pytest.approx(1.0, abs=0.05)


def test_the_comparison_measures_both(tmp_path):
    found = compare(config_of(RELEASED), 4, 2, 2, torch=sys.executable, peak_speed=1e12)
    assert not found.sides[TORCH].refused and found.sides[TORCH].how in ("AdamW fused", "AdamW foreach")
    assert found.ratio(PROJECT, TORCH).median > 0 and [len(turn) for turn in found.sides[TORCH].turns] == [2, 2]
    for step in itertools.chain(*found.sides[TORCH].turns):
        assert step["step"] == pytest.approx(sum(step[part] for part in found.parts(TORCH)))


def test_a_refusal_of_torch_is_its_reason():
    config = config_of(RELEASED)
    refused = dataclasses.replace(config, train=dataclasses.replace(config.train, recompute=True))
    found = compare(refused, 4, 1, 1, torch=sys.executable, peak_speed=1e12)
    assert "it has no train.recompute" in found.sides[TORCH].refused and found.rate(PROJECT).median > 0
