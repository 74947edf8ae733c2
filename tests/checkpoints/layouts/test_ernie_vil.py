"""PaddleNLP's ErnieViL folders: read, loaded as they are, written, and every bit kept on the way."""

import dataclasses
import json

import numpy as np
import pytest

import ernie_vil2
from ernie_vil2.checkpoints.formats.paddle_file import load_pdparams, write_pdparams
from ernie_vil2.checkpoints.model_directory import open_model, save_model
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.config.model import PIXEL_PROFILES
from ernie_vil2.config.tower_fields import EfficientNetConfig, ImageTowerConfig
from ernie_vil2.conversion.convert import convert
from ernie_vil2.conversion.opened import open_any
from ernie_vil2.errors import UserError
from tests.checkpoints.layouts.foreign import DEPTH, SETTINGS, WIDTH, ernie_vil, write_source

VISION = {
    "hidden_size": WIDTH,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-6,
}
BOTH = {"model_type": "ernie_vil", "text_config": SETTINGS | {"layer_norm_eps": 1e-5}, "vision_config": VISION}
PIXELS = {
    "size": {"shortest_edge": 32},
    "crop_size": {"height": 32, "width": 32},
    "resample": 3,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.25, 0.5, 0.5],
}

TINY = {"image_size": 32, "patch_size": 8, "width": 32, "depth": 2, "heads": 2}


@pytest.fixture
def source(tmp_path):
    """A folder of PaddleNLP with random weights."""
    return write_source(tmp_path / "source", ernie_vil(), BOTH, preprocessor_config=PIXELS)


def refused(*args, **options):
    with pytest.raises(UserError) as caught:
        convert(*args, **options)
    return str(caught.value)


def same_bits(one, two):
    assert sorted(one) == sorted(two)
    for key, value in one.items():
        other = two[key]
        assert (key, value.dtype, value.shape, value.tobytes()) == (key, other.dtype, other.shape, other.tobytes())


def test_there_and_back_is_bit_exact(source, tmp_path, finite_bits):
    """With random bits too: nothing is computed on the way."""
    state = {key: finite_bits(value.shape, seed=place) for place, (key, value) in enumerate(ernie_vil().items())}
    write_pdparams(source / "model_state.pdparams", state)
    convert(source, tmp_path / "model")
    convert(tmp_path / "model", tmp_path / "back", "paddlenlp")
    same_bits(load_pdparams(tmp_path / "back/model_state.pdparams"), state)
    check = json.loads((tmp_path / "model/config.json").read_text())["extra"]["check"]
    assert set(check["cosine"]) == {"image", "text"}


def test_from_the_release_and_back_is_bit_exact(tmp_path, tiny_config, tiny_vocab, finite_bits):
    shapes = manifest(tiny_config)
    tiny_state = {key: finite_bits(shape, seed=place) for place, (key, shape) in enumerate(shapes.items())}
    for tower in (tiny_config.image_tower, tiny_config.text_tower):
        tower.epsilon = 1e-6
    save_model(tmp_path / "model", tiny_state, tiny_config, tiny_vocab)
    lines = convert(tmp_path / "model", tmp_path / "folder", "paddlenlp")
    assert any("epsilon 1e-12" in line for line in lines) and any("bicubic" in line for line in lines)
    convert(tmp_path / "folder", tmp_path / "again")
    state, config, _ = open_model(tmp_path / "again", raw=True)
    same_bits(dict(state), tiny_state)
    tiny_config.text_tower.epsilon, tiny_config.text_tower.dropout = 1e-12, config.text_tower.dropout
    tiny_config.image_tower.dropout = config.image_tower.dropout
    assert config.image_tower == tiny_config.image_tower and config.text_tower == tiny_config.text_tower


def test_what_is_read_computes_what_the_source_does(source, tmp_path):
    lines = convert(source, tmp_path / "model")
    check = json.loads((tmp_path / "model/config.json").read_text())["extra"]["check"]
    assert max(check["largest_difference"].values()) < 1e-5 and min(check["cosine"].values()) > 0.999999
    assert "NumPy" in check["how"] and check["versions"]["paddle"]
    model = ernie_vil2.load(tmp_path / "model")
    assert model.logit_scale == pytest.approx(float(np.exp(ernie_vil()["temperature"][0])))
    assert (model.config.image_tower.heads, model.config.text_tower.heads) == (2, 4)
    assert any("PaddleNLP runs its ERNIE with 1e-12" in line for line in lines)


def test_folder_and_file_load_as_they_are(source, tmp_path, random_image):
    convert(source, tmp_path / "model")
    wanted = ernie_vil2.load(tmp_path / "model")
    image, texts = random_image(50, 40), ["一只猫", "a red dog"]
    for path in (source, source / "model_state.pdparams"):
        model = ernie_vil2.load(path)
        assert model.config == wanted.config
        assert np.array_equal(model.encode_text(texts), wanted.encode_text(texts))
        assert np.array_equal(model.encode_image(image), wanted.encode_image(image))


def test_a_file_alone_says_what_is_assumed(tmp_path):
    folder = write_source(tmp_path / "folder", ernie_vil(), None, "mine.pdparams")
    opened = open_any(folder / "mine.pdparams")
    assert sum("no config.json says the heads" in note for note in opened.notes) == 2
    assert opened.config.image_tower.activation == "quick_gelu" and opened.vocab == folder / "vocab.txt"


def test_the_pixel_profile_comes_from_the_file_beside_the_weights(source, tmp_path):
    profile = open_any(source).config.pixels
    assert (profile.decoder, profile.interpolation, profile.resize, profile.size) == (
        "pil",
        "bicubic",
        "short_side",
        32,
    )
    assert profile.mean == (0.5, 0.5, 0.5) and profile.std == (0.25, 0.5, 0.5)
    for changes, wanted in (
        ({"size": {"shortest_edge": 48}}, ("short_side", 48, "bicubic")),
        ({"size": 48, "crop_size": 32, "resample": 2}, ("short_side", 48, "linear")),
        ({"size": {"height": 32, "width": 32}, "do_center_crop": False}, ("square", 0, "bicubic")),
    ):
        (source / "preprocessor_config.json").write_text(json.dumps(PIXELS | changes))
        profile = open_any(source).config.pixels
        assert (profile.resize, profile.resize_to, profile.interpolation) == wanted
    (source / "preprocessor_config.json").write_text(json.dumps(PIXELS | {"resample": 1, "do_normalize": False}))
    assert sum("preprocessor_config" in note or "filter 1" in note for note in open_any(source).notes) == 2
    (source / "preprocessor_config.json").unlink()
    opened = open_any(source)
    assert opened.config.pixels.mean == PIXEL_PROFILES["bicubic"].mean and opened.config.pixels.decoder == "pil"
    assert any("no preprocessor_config.json" in note for note in opened.notes)


@pytest.mark.parametrize("wrong", [{"image_std": [0, 1, 1]}, {"image_mean": [1e30, 0, 0]}, {"image_std": [0.5]}])
def test_pixels_that_give_no_finite_numbers_are_refused(source, wrong):
    (source / "preprocessor_config.json").write_text(json.dumps(PIXELS | wrong))
    with pytest.raises(UserError, match=f"{source}.*: pixels.(std|mean) is .* but must be "):
        open_any(source)


@pytest.mark.parametrize("tower, other", (("vision_model", "text"), ("text_model", "image")))
def test_one_tower_alone(source, tmp_path, tower, other, random_image):
    state = {key: value for key, value in ernie_vil().items() if key.startswith(tower)}
    write_pdparams(source / "model_state.pdparams", state)
    convert(source, tmp_path / "model")
    model = ernie_vil2.load(tmp_path / "model")
    assert other not in model.config.towers() and len(model.config.towers()) == 1
    if other == "text":
        assert model.encode_image(random_image(40, 40)).shape == (1, WIDTH)
        assert not (tmp_path / "model/vocab.txt").exists()
        assert "image tower alone" in refused(tmp_path / "model", tmp_path / "x", "paddlenlp")


BAD = {
    "tensor missing": ({"vision_model.transformer.layers.1.self_attn.k_proj.bias": None}, {}, "1 missing"),
    "temperature missing": ({"temperature": None}, {}, "1 missing"),
    "mis-shaped": ({"vision_model.ln_post.weight": np.ones(3, np.float32)}, {}, "wanted [32], found [3]"),
    "positions": (
        {"vision_model.positional_embedding.weight": np.ones((20, WIDTH), np.float32)},
        {},
        "wanted [17, 32], found [20, 32]",
    ),
    "image size": ({}, {"image_size": 224}, "image_size 224 (found 32)"),
    "blocks": ({}, {"num_hidden_layers": 3}, "num_hidden_layers 3 (found 2)"),
    "heads": ({}, {"num_attention_heads": 5}, "not a multiple"),
    "activation": ({}, {"hidden_act": "silu"}, "'silu'"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_one_error_and_leaves_nothing(source, tmp_path, name):
    changes, settings, said = BAD[name]
    state = {key: value for key, value in (ernie_vil() | changes).items() if value is not None}
    write_source(source, state, BOTH | {"vision_config": VISION | settings})
    assert said in refused(source, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
    with pytest.raises(UserError):
        ernie_vil2.load(source)


@pytest.mark.parametrize("change", ({"projection": 32}, {"patch_bias": True}, {"pre_norm": False}), ids=str)
def test_a_tower_that_paddlenlp_has_not(tmp_path, tiny_config, tiny_vocab, change):
    from ernie_vil2.checkpoints.release_layout import manifest

    for name, value in change.items():
        setattr(tiny_config.image_tower, name, value)
    state = {key: np.zeros(shape, np.float32) for key, shape in manifest(tiny_config).items()}
    save_model(tmp_path / "model", state, tiny_config, tiny_vocab)
    assert "write a model directory instead" in refused(tmp_path / "model", tmp_path / "x", "paddlenlp")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "tower, reason",
    (
        (ImageTowerConfig(**TINY, projection=8), "with a projection"),
        (ImageTowerConfig(**TINY, patch_bias=True, pre_norm=False), "with a bias of its patches and without a norm"),
        (EfficientNetConfig(image_size=32, variant="b0", projection=0), "of kind efficientnet"),
    ),
)
def test_an_image_tower_without_a_place_is_refused_for_it(tmp_path, tiny_config, tiny_vocab, tower, reason):
    tiny_config.text_tower.projection = tower.embed_dim() if tower.projection or tower.kind != "vit" else 0
    config = dataclasses.replace(tiny_config, image_tower=tower)
    state = {key: np.ones(shape, np.float32) for key, shape in manifest(config).items()}
    save_model(tmp_path / "model", state, config, tiny_vocab)
    said = refused(tmp_path / "model", tmp_path / "x", "paddlenlp")
    assert f"has no image tower {reason}" in said and not (tmp_path / "x").exists()
