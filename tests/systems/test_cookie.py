"""COOKIE as a system: one set of shared layers, what it computes, either half by itself, what it refuses."""

import math
from dataclasses import replace

import numpy as np
import paddle
import pytest
import yaml

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.cli import train
from ernie_vil2.config.load import load_run
from ernie_vil2.config.model import ModelConfig
from ernie_vil2.config.run import ObjectiveConfig
from ernie_vil2.errors import ConfigError
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.objectives.contrastive import ContrastiveObjective
from ernie_vil2.systems.cookie import Cookie
from ernie_vil2.training.step import unnamed_parameters
from ernie_vil2.training.trainer import Trainer
from tests.systems.cookie_tiny import CNN, DATA, PAIRS, SETTINGS, TOWER, model_config, tiny_model

NLP = "{kind: paddlenlp, paddlenlp: x, pretrained: false, width: 32}"
CLAS = "{kind: paddleclas, paddleclas: ResNet50, width: 32, image_size: 32}"
IMAGES = {"vit": None, "efficientnet": CNN}


def made(config):
    """A network of a ModelConfig in evaluation mode, whose biases and norms are not those of the start."""
    network = new_model(config, seed=3, network=Cookie.network)
    rng = np.random.default_rng(5)
    for name, value in network.named_parameters():
        if value.ndim == 1 and not name.startswith("contrastive_loss"):
            value.set_value(value + paddle.to_tensor(0.2 * rng.standard_normal(value.shape), "float32"))
    network.eval()
    return network


def pixels_and_ids(size=32, seed=1):
    """Two images, and three texts of 4, 9 and 15 tokens."""
    rng = np.random.default_rng(seed)
    ids = np.zeros([3, 15], np.int64)
    for row, length in enumerate((4, 9, 15)):
        ids[row, :length] = rng.integers(1, 64, length)
    return paddle.to_tensor(rng.standard_normal([2, 3, size, size]), "float32"), paddle.to_tensor(ids)


def of(state, name):
    """(weight, bias) of a layer in float64."""
    return (state[f"{name}.{part}"].numpy().astype(np.float64) for part in ("weight", "bias"))


def linear(state, name, x):
    weight, bias = of(state, name)
    return x @ weight + bias


def normal(state, name, x):
    weight, bias = of(state, name)
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * weight + bias


ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: x * np.vectorize(lambda value: 0.5 * (1 + math.erf(value / math.sqrt(2))))(x),
    "quick_gelu": lambda x: x / (1 + np.exp(-1.702 * x)),
}


def reference(state, side, tokens, settings):
    """The embedding [W] of the tokens [N, W'] of one image or text, none of them padding, in plain loops."""
    x = linear(state, f"{side}_proj", tokens.astype(np.float64))
    heads, width = settings["heads"], x.shape[1]
    for index in range(settings["layers"]):
        layer = f"shared.{index}"
        query, key, value = np.split(linear(state, f"{layer}.qkv", x), 3, axis=1)
        mixed = np.zeros_like(x)
        for columns in np.split(np.arange(width), heads):
            scores = query[:, columns] @ key[:, columns].T / math.sqrt(width / heads)
            shares = np.exp(scores - scores.max(1, keepdims=True))
            mixed[:, columns] = shares / shares.sum(1, keepdims=True) @ value[:, columns]
        x = normal(state, f"{layer}.norm1", x + linear(state, f"{layer}.out", mixed))
        hidden = ACTIVATIONS[settings["activation"]](linear(state, f"{layer}.fc1", x))
        x = normal(state, f"{layer}.norm2", x + linear(state, f"{layer}.fc2", hidden))
    return x[0] if settings["pooling"] == "first" else x.mean(0)


@pytest.mark.parametrize("image", IMAGES)
def test_one_set_of_shared_parameters(image):
    network = Cookie.network(model_config(IMAGES[image]), ("mm", "ii", "tt"))
    keys = {key for key in network.state_dict() if not key.startswith(("visual.", "text_model.", "contrastive_loss"))}
    parts = ("qkv", "out", "fc1", "fc2", "norm1", "norm2")
    layers = [f"shared.{index}.{part}" for index in range(SETTINGS["layers"]) for part in parts]
    assert keys == {f"{name}.{end}" for name in (*layers, "image_proj", "text_proj") for end in ("weight", "bias")}
    assert network.shared[0].fc1.weight.shape == [24, 40] and network.text_proj.weight.shape == [32, 24]


def test_both_towers_name_the_same_layers_and_nothing_is_left_out():
    network = Cookie.network(model_config())
    system = Cookie(network, ContrastiveObjective(ObjectiveConfig(pairs=PAIRS)))
    towers = system.towers()
    image, text = (set(map(id, tower.parameters())) for tower in towers.values())
    assert [tower.layers[-1] is network.shared for tower in towers.values()] == [True, True]
    assert image & text == set(map(id, network.shared.parameters())) and unnamed_parameters(system) == []
    assert (towers["image"].views, towers["text"].views) == (("image", "image'"), ("caption", "caption'"))
    for name, value in network.named_parameters():
        assert (id(value) in image) == name.startswith(("visual.", "image_proj.", "shared.")), name
        assert (id(value) in text) == name.startswith(("text_model.", "text_proj.", "shared.")), name


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_embeddings_are_those_of_plain_loops_over_the_tokens_of_the_towers(activation, pooling):
    settings = {**SETTINGS, "activation": activation, "pooling": pooling}
    network = made(model_config(**settings))
    state, (pixels, ids) = network.state_dict(), pixels_and_ids()
    with paddle.no_grad():
        images, texts = network.encode_image(pixels).numpy(), network.encode_text(ids).numpy()
        patches, words = network.visual.tokens(pixels).numpy(), network.text_model.tokens(ids).numpy()
    assert patches.shape == (2, 17, 32) and images.shape == (2, 24) and texts.shape == (3, 24)
    for row in range(2):
        np.testing.assert_allclose(images[row], reference(state, "image", patches[row], settings), atol=2e-5)
    for row, length in enumerate((4, 9, 15)):
        np.testing.assert_allclose(texts[row], reference(state, "text", words[row, :length], settings), atol=2e-5)


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_a_text_does_not_depend_on_the_padding_of_its_batch(pooling):
    network, (_, ids) = made(model_config(pooling=pooling)), pixels_and_ids()
    with paddle.no_grad():
        together = network.encode_text(ids).numpy()
        alone = [network.encode_text(ids[row : row + 1, :length]).numpy()[0] for row, length in enumerate((4, 9, 15))]
        other = network.encode_text(ids[:1, :3]).numpy()[0]
    np.testing.assert_allclose(together, alone, atol=2e-6)
    assert np.abs(other - alone[0]).max() > 1e-2, "and yet it depends on every token"


def test_tokens_and_features_of_a_vit_are_those_of_its_embedding():
    visual, (pixels, _) = made(model_config()).visual, pixels_and_ids()
    with paddle.no_grad():
        tokens, features, embeds = visual.tokens(pixels), visual.features(pixels), visual(pixels)
    np.testing.assert_allclose(tokens[:, 0].numpy(), embeds.numpy(), atol=1e-6)
    assert features.shape == [2, 32, 4, 4]
    for row in range(4):
        for column in range(4):
            wanted = tokens[:, 1 + 4 * row + column].numpy()
            assert np.array_equal(features[:, :, row, column].numpy(), wanted), (row, column)


def test_a_place_of_the_map_of_a_vit_sees_its_own_patch():
    """Without blocks a token is its patch alone."""
    visual, (pixels, _) = made(model_config()).visual, pixels_and_ids()
    visual.blocks = paddle.nn.LayerList()
    changed = pixels.clone()
    changed[:, :, 8:16, 24:32] += 1.0  # row 1, column 3
    with paddle.no_grad():
        moved = (visual.features(changed) - visual.features(pixels)).abs().max([0, 1]).numpy() > 1e-4
    assert np.argwhere(moved).tolist() == [[1, 3]]


def test_the_mean_of_an_efficientnet_s_tokens_is_its_embedding():
    visual, (pixels, _) = made(model_config(CNN)).visual, pixels_and_ids(96)
    with paddle.no_grad():
        tokens, features, embeds = visual.tokens(pixels), visual.features(pixels), visual(pixels)
    assert tokens.shape == [2, 9, 128] and embeds.abs().max() > 0
    np.testing.assert_allclose(tokens.mean(1).numpy(), embeds.numpy(), rtol=1e-5, atol=1e-7)
    assert np.array_equal(tokens[:, 5].numpy(), features[:, :, 1, 2].numpy())


@pytest.mark.parametrize("image", IMAGES)
def test_either_half_encodes_as_the_whole(tmp_path, tiny_vocab, random_image, image):
    config = model_config(IMAGES[image])
    state = {key: value.numpy() for key, value in made(config).state_dict().items()}
    halves = {
        "image": (replace(config, text_tower=None), ("visual.", "image_proj.", "shared."), None),
        "text": (replace(config, image_tower=None), ("text_model.", "text_proj.", "shared."), tiny_vocab),
    }
    save_model(tmp_path / "whole", state, config, tiny_vocab)
    for name, (half, beginnings, vocab) in halves.items():
        part = {key: value for key, value in state.items() if key.startswith(beginnings)}
        save_model(tmp_path / name, part, half, vocab)
    whole, first, second = (ernie_vil2.load(tmp_path / name) for name in ("whole", "image", "text"))
    images, texts = [random_image(40, 50, seed) for seed in range(3)], ["一只猫", "红的圆", "a dog on the left"]
    assert set(first.network.state_dict()) | set(second.network.state_dict()) == set(state) - {temperature(state)}
    assert np.array_equal(first.encode_image(images), whole.encode_image(images))
    assert np.array_equal(second.encode_text(texts), whole.encode_text(texts))
    assert (first.embed_dim, second.embed_dim, first.tokenizer) == (24, 24, None)
    assert np.linalg.matrix_rank(second.encode_text(texts)) == 3


def temperature(state):
    return next(key for key in state if key.startswith("contrastive_loss"))


def test_a_half_whose_towers_say_the_width_has_that_of_its_own():
    """embed_dim 0: the width of the towers, whichever there is."""
    config = model_config(embed_dim=0, heads=4)
    for half in (replace(config, text_tower=None), replace(config, image_tower=None)):
        assert Cookie.network(half).shared[0].qkv.weight.shape == [32, 96]


def test_the_pooler_of_the_text_tower_reaches_nothing_and_does_not_learn():
    network, (_, ids) = made(model_config()), pixels_and_ids()
    pooler = network.text_model.pooler
    assert all(value.stop_gradient for value in pooler.parameters())
    with paddle.no_grad():
        before = network.encode_text(ids).numpy()
        pooler.weight.set_value(pooler.weight + 1.0)
        assert np.array_equal(network.encode_text(ids).numpy(), before)


@pytest.mark.parametrize("part", ["image", "text", "shared", "patches", "none"])
def test_it_says_whether_its_passes_are_random(part):
    towers = {
        "image_tower": {"drop_path": 0.1 * (part == "image"), "patch_dropout": 0.5 * (part == "patches")},
        "text_tower": {"dropout": 0.1 * (part == "text"), "vocab_size": 64},
    }
    config = ModelConfig.from_dict(tiny_model(towers, dropout=0.1 * (part == "shared")))
    assert Cookie(Cookie.network(config), None).draws_masks() == (part != "none")
    if part == "shared":
        without = replace(config, settings={"layers": 0})
        assert not Cookie(Cookie.network(without), None).draws_masks(), "no layers, no masks"


@pytest.fixture
def recipe(tmp_path):
    """Path of a run's configuration."""
    path = tmp_path / "run.yaml"
    data = {"output": str(tmp_path / "run"), "model": tiny_model(), "data": DATA, "objective": {"pairs": PAIRS}}
    path.write_text(
        yaml.safe_dump({**data, "train": {"steps": 1, "batch_size": 4}, "optimizer": {"warmup": 0}}), encoding="utf-8"
    )
    return path


UNMASKED = ["objective.second_caption=same", "model.settings.dropout=0", "model.text_tower.dropout=0"]
PLAIN = ["model.settings={layers: 0}", *(f"model.{name}_tower.projection=24" for name in ("image", "text"))]
FIRST_ON_CNN = ["model.settings.pooling=first", f"model.image_tower={yaml.safe_dump(CNN)}"]


@pytest.mark.parametrize(
    "changes, hint",
    [
        ([f"model.text_tower={NLP}"], "model.text_tower of kind ernie with projection: 0"),
        ([f"model.image_tower={CLAS}"], "model.image_tower of kind vit or efficientnet with projection: 0"),
        (["model.image_tower.projection=24"], "it is vit with projection 24"),
        (["model.text_tower.projection=24"], "it is ernie with projection 24"),
        (["model.settings.heads=5"], "model.settings.heads 5 does not divide the shared width 24"),
        (["model.settings.heads=0"], "model.settings.heads is 0"),
        (["model.settings.layers=0"], "model.settings.embed_dim is 24, but with layers 0"),
        (["model.settings.layers=-1"], "model.settings.layers is -1"),
        (["model.settings.embed_dim=-1"], "model.settings.embed_dim is -1"),
        (["model.settings.embed_dim=wide"], "model.settings.embed_dim"),
        (["model.settings.embed_dim=0", "model.text_tower.width=48"], "(image 32, text 48)"),
        (["model.settings.dropout=1"], "model.settings.dropout is 1.0"),
        (["model.settings.activation=tanh"], "model.settings.activation"),
        (["model.settings.pooling=last"], "model.settings.pooling"),
        (FIRST_ON_CNN, "an efficientnet has no class token; set it to mean"),
        (UNMASKED, "caption' would be caption bit for bit; set model.text_tower.dropout: 0.1"),
        ([*PLAIN, *UNMASKED[::2]], "caption' would be caption bit for bit"),
        (["model.settings.poling=mean"], "did you mean 'model.settings.pooling'"),
        (["model.system=cooky"], "did you mean 'cookie'"),
    ],
    ids=str,
)
def test_what_is_wrong_is_one_sentence_before_a_model_is_built(recipe, monkeypatch, changes, hint):
    assert train.main(["-c", str(recipe), "--check"]) == 0
    monkeypatch.setattr(Cookie, "network", lambda *given: pytest.fail("a model was built"))
    overrides = [part for change in changes for part in ("-o", change)]
    for verb in ("--check", "--doctor"):
        with pytest.raises(ConfigError) as caught:
            train.main(["-c", str(recipe), verb, *overrides])
        assert hint in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        Trainer(load_run(recipe, changes))
    assert hint in str(caught.value)


def test_a_width_that_the_towers_do_not_share_is_that_of_the_settings(recipe):
    assert train.main(["-c", str(recipe), "--check", "-o", "model.text_tower.width=48"]) == 0
    assert TOWER["width"] != SETTINGS["embed_dim"]


@pytest.mark.parametrize("rule", ["same", "another"])
def test_the_rule_of_the_second_caption_reaches_the_batches(recipe, rule):
    trainer = Trainer(load_run(recipe, [f"objective.second_caption={rule}"]))
    samples = [trainer.source[row] for row in range(8)]
    texts = [trainer.maker.make(sample, 0, row).texts for row, sample in enumerate(samples)]
    trainer.rig.close()
    assert all(len(set(sample.texts)) == 2 for sample in samples)
    assert {found["caption"] == found["caption'"] for found in texts} == {rule == "same"}
