"""Low-rank updates: unchanged at the start, alone in learning, and merged into the release's keys."""

import numpy as np
import paddle
import pytest

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.config.run import LoraConfig
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.models.lora import add_lora, lora_parameters, merged_state

IDS = np.array([[1, 5, 6, 2, 0], [1, 7, 2, 0, 0]])


def embeddings(model):
    pixels = paddle.to_tensor(np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32))
    with paddle.no_grad():
        return [value.numpy() for value in model(pixels, paddle.to_tensor(IDS))]


def learn(model, seed=0):
    """Values for A and B as if they had been trained."""
    for index, value in enumerate(lora_parameters(model).values()):
        value.set_value(np.random.default_rng((seed, index)).normal(0, 0.1, value.shape).astype(np.float32))


@pytest.mark.parametrize("training", [False, True])
def test_the_function_is_unchanged_at_the_start(tiny_config, training):
    model = new_model(tiny_config)
    model.train() if training else model.eval()
    before = embeddings(model)
    add_lora(model, LoraConfig(rank=4))
    assert all(np.array_equal(one, two) for one, two in zip(before, embeddings(model), strict=True))


@pytest.mark.parametrize("towers", [("image",), ("text",), ("text", "image")])
def test_only_the_updates_of_the_named_towers_learn_and_every_one_of_them(tiny_config, towers):
    model = new_model(tiny_config)
    keys = set(model.state_dict())
    add_lora(model, LoraConfig(rank=2, towers=towers))
    learn(model)
    prefixes = tuple({"image": "visual.", "text": "text_model."}[tower] for tower in towers)
    wanted = set(lora_parameters(model))
    assert set(model.state_dict()) == keys | wanted
    assert len(wanted) == 2 * 2 * sum({"image": 2, "text": 4}[tower] for tower in towers)
    model.train()
    image, text = model(paddle.rand([2, 3, 32, 32]), paddle.to_tensor(IDS))
    ((image * text).sum() * model.logit_scale()).backward()
    got = {name for name, value in model.named_parameters() if value.grad is not None and value.grad.abs().sum() > 0}
    assert {name for name in got if name.startswith(prefixes)} == wanted
    others = {name for name, _ in model.named_parameters() if not name.startswith(prefixes)}
    assert others - got <= {name for name in others if name.endswith((".k.bias", "pos_emb.weight"))}


def test_the_gradients_are_those_of_the_merged_weight(tiny_config):
    """dW of the merged model gives dA = s dW B^T and dB = s A^T dW."""
    model = new_model(tiny_config)
    add_lora(model, LoraConfig(rank=3, alpha=6.0, towers=("image",)))
    learn(model)
    plain = new_model(tiny_config, seed=9)
    plain.set_state_dict(merged_state(model))
    pixels = paddle.rand([2, 3, 32, 32])
    for network in (model, plain):
        network.train()
        network.encode_image(pixels).square().sum().backward()
    layer, weight = model.visual.blocks[0].attn.qkv, plain.visual.blocks[0].attn.qkv.weight.grad.numpy()
    a, b = layer.lora_a.numpy(), layer.lora_b.numpy()
    np.testing.assert_allclose(layer.lora_a.grad.numpy(), 2.0 * weight @ b.T, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(layer.lora_b.grad.numpy(), 2.0 * a.T @ weight, rtol=1e-3, atol=1e-5)


def test_merged_it_is_the_release_and_gives_the_same_embeddings(tiny_config, tiny_vocab, tmp_path):
    model = new_model(tiny_config)
    add_lora(model, LoraConfig(rank=4, alpha=8.0))
    learn(model)
    model.eval()
    state = merged_state(model)
    assert {key: value.shape for key, value in state.items()} == manifest(tiny_config)
    assert all(value.dtype == np.float32 for value in state.values())
    save_model(tmp_path / "model", state, tiny_config, tiny_vocab)
    loaded = ernie_vil2.load(tmp_path / "model").network
    loaded.eval()
    for one, two in zip(embeddings(model), embeddings(loaded), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)
    assert not np.allclose(embeddings(model)[0], embeddings(new_model(tiny_config))[0], atol=1e-3)


def test_a_model_without_updates_is_its_own_merged_state(tiny_config):
    model = new_model(tiny_config)
    add_lora(model, LoraConfig(rank=0))
    state = merged_state(model)
    assert not lora_parameters(model)
    assert all(np.array_equal(state[key], value.numpy()) for key, value in model.state_dict().items())


def test_starting_values_depend_on_the_seed_and_the_name_alone(tiny_config):
    def start(seed, noise):
        model = new_model(tiny_config)
        paddle.seed(noise)
        add_lora(model, LoraConfig(rank=2), seed)
        return [value.numpy() for value in lora_parameters(model).values()]

    first, again, other = start(0, 1), start(0, 2), start(1, 1)
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0]) and not np.array_equal(first[0], first[2])
