"""CLIP's image towers in torch keys: read, written and refused. What they compute is in tests/interop."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ernie_vil2.checkpoints.formats.lazy_tensors import Spec
from ernie_vil2.checkpoints.layouts import clip, paddleclas_vit
from ernie_vil2.checkpoints.layouts.clip import LAYOUTS, read, read_transformers, settings, write
from ernie_vil2.checkpoints.layouts.layout_record import Found
from ernie_vil2.checkpoints.model_directory import open_model, save_model
from ernie_vil2.checkpoints.release_layout import manifest, tower_shapes
from ernie_vil2.config.model import PIXEL_PROFILES, ModelConfig, PixelProfile
from ernie_vil2.config.tower_fields import ImageTowerConfig
from ernie_vil2.errors import CheckpointError

HEADS = "no settings say the heads of the image tower: 1, of 64 columns"


class Shapes(dict):
    """{key: shape} that stands for a state nobody reads: huge models cost nothing."""

    notes = ()

    def spec(self, key):
        return Spec("float16", tuple(self[key]))


def torch_shapes(width=64, depth=2, tokens=17, patch=8, hidden=None, projection=32, prefix="visual."):
    hidden = hidden or 4 * width
    shapes = {
        "class_embedding": (width,),
        "positional_embedding": (tokens, width),
        "proj": (width, projection),
        "conv1.weight": (width, 3, patch, patch),
    }
    for index in range(depth):
        block = f"transformer.resblocks.{index}"
        shapes |= {
            f"{block}.attn.in_proj_weight": (3 * width, width),
            f"{block}.attn.in_proj_bias": (3 * width,),
            f"{block}.attn.out_proj.weight": (width, width),
            f"{block}.attn.out_proj.bias": (width,),
            f"{block}.mlp.c_fc.weight": (hidden, width),
            f"{block}.mlp.c_fc.bias": (hidden,),
            f"{block}.mlp.c_proj.weight": (width, hidden),
            f"{block}.mlp.c_proj.bias": (width,),
        }
        for norm in ("ln_1", "ln_2"):
            shapes |= {f"{block}.{norm}.weight": (width,), f"{block}.{norm}.bias": (width,)}
    for norm in ("ln_pre", "ln_post"):
        shapes |= {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
    return {prefix + key: shape for key, shape in shapes.items()}


def drawn(shapes, dtype=np.float32):
    rng = np.random.default_rng(0)
    return {key: rng.standard_normal(shape).astype(dtype) for key, shape in shapes.items()}


def found(state, **told):
    return Found(state, Path("clip.pt"), told)


def big(width, depth, hidden):
    """The Read of a tower that exists as shapes only."""
    return read(found(Shapes(torch_shapes(width, depth, 257, 14, hidden, 1024))))


def test_every_tensor_is_there_once_with_its_elements():
    state = drawn(torch_shapes())
    got = read(found(state))
    tower = got.config.image_tower
    assert got.config.text_tower is None
    assert (tower.width, tower.depth, tower.heads, tower.patch_size, tower.image_size) == (64, 2, 1, 8, 32)
    assert (tower.projection, tower.epsilon, tower.pre_norm, tower.patch_bias) == (32, 1e-5, True, False)
    assert {key: array.shape for key, array in got.state.items()} == manifest(got.config)
    np.testing.assert_array_equal(
        got.state["visual.blocks.1.attn.qkv.weight"].T, state["visual.transformer.resblocks.1.attn.in_proj_weight"]
    )
    assert sorted(float(array.sum(dtype=np.float64)) for array in got.state.values()) == pytest.approx(
        sorted(float(array.sum(dtype=np.float64)) for array in state.values())
    )


def test_reading_and_writing_give_the_file_back():
    state = drawn(torch_shapes())
    back = write(read(found(state)).state, read(found(state)).config)
    assert set(back) == set(state)
    for key, array in state.items():
        np.testing.assert_array_equal(back[key], array, key)


def test_the_release_itself_can_be_written_and_read():
    tower = ImageTowerConfig(image_size=32, patch_size=8, width=64, depth=2, heads=2)
    config = ModelConfig(image_tower=tower, text_tower=None, pixels=PixelProfile(size=32))
    state = drawn(manifest(config))
    again = read(found(write(state, config), **settings(config)))
    assert again.config == config
    assert again.notes == []
    for key, array in state.items():
        np.testing.assert_array_equal(again.state[key], array, key)
    assert list(again.state) == list(manifest(config))
    with pytest.raises(CheckpointError, match="for vision transformers, but the image tower is absent"):
        write(state, ModelConfig(image_tower=None))
    with pytest.raises(CheckpointError, match="OpenAI CLIP has no relu"):
        settings(dataclasses.replace(config, image_tower=dataclasses.replace(tower, activation="relu")))


def test_a_model_directory_keeps_tower_and_pixels(tmp_path):
    got = read(found(drawn(torch_shapes(), np.float16)))
    save_model(tmp_path / "model", got.state, got.config, None)
    state, config, vocab = open_model(tmp_path / "model")
    assert (config, vocab) == (got.config, None)
    assert config.pixels == dataclasses.replace(PIXEL_PROFILES["clip"], size=32)
    for key in state:
        np.testing.assert_array_equal(state[key], got.state[key], key)


@pytest.mark.parametrize(
    "width, depth, heads, hidden",
    [
        (768, 12, 12, None),
        (1024, 24, 16, None),
        (1280, 32, 16, None),
        (1408, 40, 16, 6144),
        (1664, 48, 16, 8192),
        (896, 12, 14, None),
    ],
)
def test_published_sizes_are_recognised(width, depth, heads, hidden):
    tower = big(width, depth, hidden).config.image_tower
    assert (tower.width, tower.depth, tower.heads) == (width, depth, heads)
    assert tower_shapes(tower)["visual.blocks.0.mlp.fc1.bias"] == (hidden or 4 * width,)
    assert tower.image_size == 224


def test_a_336_pixel_model_reads_336_pixels():
    config = read(found(Shapes(torch_shapes(1024, 24, 577, 14, None, 768)))).config
    assert config.image_tower.image_size == config.pixels.size == 336


@pytest.mark.parametrize(
    "told, activation, assumed",
    [
        ({}, "quick_gelu", True),
        ({"activation": "gelu"}, "gelu", False),
        ({"activation": "quick_gelu"}, "quick_gelu", False),
        ({"model_cfg": {"vision_cfg": {"layers": 2}}}, "gelu", False),
        ({"vision_cfg": {"layers": 2}, "quick_gelu": True}, "quick_gelu", False),
        ({"vision_layers": 2, "vision_width": 64}, "quick_gelu", False),
        ({"model_type": "clip", "vision_config": {"hidden_act": "gelu"}}, "gelu", False),
    ],
)
def test_the_activation_comes_from_the_settings_or_is_assumed_aloud(told, activation, assumed):
    got = read(found(drawn(torch_shapes()), **told))
    assert got.config.image_tower.activation == activation
    assert any("quick_gelu is assumed" in note for note in got.notes) == assumed


def test_settings_of_open_clip_reach_heads_epsilon_and_pixels():
    got = read(
        found(
            drawn(torch_shapes()),
            model_cfg={"vision_cfg": {"head_width": 16, "norm_kwargs": {"eps": 1e-6}, "layers": 2}},
            preprocess_cfg={
                "mean": [0.5, 0.5, 0.5],
                "std": [0.5, 0.5, 0.5],
                "resize_mode": "squash",
                "interpolation": "bilinear",
                "size": [32, 32],
                "mode": "RGB",
                "fill_color": 0,
            },
        )
    )
    assert (got.config.image_tower.heads, got.config.image_tower.epsilon) == (4, 1e-6)
    assert got.config.pixels == PixelProfile("pil", "linear", "square", 32, 0, (0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize(
    "told, message",
    [
        ({"model_cfg": {"vision_cfg": {"pool_type": "avg"}}}, "sets pool_type to 'avg'"),
        ({"preprocess_cfg": {"resize_mode": "longest"}}, "resize_mode longest"),
        ({"activation": "swish"}, "activation is 'swish' but must be one of"),
        ({"heads": 7}, "not a multiple of image_tower.heads 7"),
        ({"vision_cfg": {"layers": 10**9}}, "say 1000000000 blocks"),
        ({"vision_cfg": {"head_width": "64"}}, "heads must be of type int"),
        ({"pixels": "clap"}, "the presets are official"),
        ({"pixels": {"sise": 3}}, "unknown key 'sise'"),
        ({"pixels": 3}, "the name of a preset or a mapping"),
    ],
)
def test_settings_that_cannot_be_met_are_one_sentence(told, message):
    with pytest.raises(CheckpointError, match=message):
        read(found(drawn(torch_shapes()), **told))


def test_chinese_clip_is_told_by_its_text_half_which_is_left_out():
    state = drawn(
        torch_shapes()
        | {"bert.embeddings.word_embeddings.weight": (9, 8), "text_projection": (8, 32), "logit_scale": ()}
    )
    got = read(found(state))
    assert got.config.pixels == dataclasses.replace(PIXEL_PROFILES["chinese_clip"], size=32)
    assert got.config.image_tower.activation == "quick_gelu"
    assert got.notes == ["the text half is left out: bert, logit_scale, text_projection (3 in all)", HEADS]
    assert set(got.state) == set(manifest(got.config))


def test_flash_attention_and_a_tower_alone_give_the_same():
    state = drawn(torch_shapes())
    wanted = read(found(state)).state
    flash = {key.replace("in_proj_", "Wqkv."): array for key, array in state.items()}
    alone = {key.removeprefix("visual."): array for key, array in state.items()}
    for other in (flash, alone):
        got = read(found(other)).state
        assert set(got) == set(wanted)
        assert all(np.array_equal(got[key], wanted[key]) for key in wanted)


def test_the_projection_and_other_pixels_are_optional():
    got = read(found(drawn(torch_shapes()), projection=False, pixels={"interpolation": "linear", "resize_to": 40}))
    assert got.config.image_tower.projection == 0
    assert "visual.proj.weight" not in got.state
    assert (got.config.pixels.interpolation, got.config.pixels.resize_to, got.config.pixels.size) == ("linear", 40, 32)
    assert any("projection is left out" in note for note in got.notes)


def test_one_error_names_all_that_does_not_fit():
    state = drawn(torch_shapes(depth=4))
    for key in [key for key in state if ".resblocks.2." in key] + ["visual.conv1.weight"]:
        del state[key]
    state["visual.ln_post.bias"] = np.zeros(63, np.float32)
    state["visual.ls_1.gamma"] = np.zeros(64, np.float32)
    with pytest.raises(CheckpointError) as caught:
        read(found(state))
    told = f"{caught.value} {caught.value.problems}"
    for part in (
        "clip.pt",
        "13 missing",
        "visual.patch_embed.proj.weight",
        "visual.blocks.2.attn.qkv.weight",
        "visual.norm_post.bias (wanted [64], found [63])",
        "visual.ls_1.gamma",
    ):
        assert part in told


def test_a_file_without_its_last_blocks_is_noticed_when_the_settings_tell_the_depth():
    with pytest.raises(CheckpointError, match=r"(?s)12 missing.*visual.blocks.2.norm1.weight"):
        read(found(drawn(torch_shapes(depth=2)), vision_cfg={"layers": 3}))


def transformers_state(state):
    """The same tower in the keys of transformers, query, key and value apart."""
    names = {
        "conv1.weight": "embeddings.patch_embedding.weight",
        "class_embedding": "embeddings.class_embedding",
        "positional_embedding": "embeddings.position_embedding.weight",
    }
    made = {"visual_projection.weight": state["visual.proj"].T}
    for key, array in state.items():
        plain = key.removeprefix("visual.")
        if ".in_proj_" in plain:
            for name, part in zip("qkv", np.split(array, 3), strict=True):
                block = plain.split(".attn.")[0].replace("transformer.resblocks", "encoder.layers")
                made[f"vision_model.{block}.self_attn.{name}_proj.{plain.rsplit('_', 1)[1]}"] = part
        elif plain != "proj":
            for old, new in (
                ("transformer.resblocks", "encoder.layers"),
                ("attn.", "self_attn."),
                ("c_fc", "fc1"),
                ("c_proj", "fc2"),
                ("ln_1", "layer_norm1"),
                ("ln_2", "layer_norm2"),
                ("ln_pre", "pre_layrnorm"),
                ("ln_post", "post_layernorm"),
            ):
                plain = plain.replace(old, new)
            made["vision_model." + names.get(plain, plain)] = array
    return made


def test_transformers_keys_give_the_same_tower():
    state = drawn(torch_shapes())
    wanted = read(found(state))
    other = transformers_state(state) | {
        "vision_model.embeddings.position_ids": np.arange(17)[None],
        "logit_scale": np.float32(1),
        "text_model.embeddings.token_embedding.weight": np.zeros((3, 4), np.float32),
    }
    got = read_transformers(found(other, vision_config={"hidden_act": "gelu", "layer_norm_eps": 1e-6}))
    assert set(got.state) == set(wanted.state)
    assert all(np.array_equal(got.state[key], wanted.state[key]) for key in wanted.state)
    assert (got.config.image_tower.activation, got.config.image_tower.epsilon) == ("gelu", 1e-6)
    assert got.config.pixels.resize == "short_side"
    assert got.notes[0] == "the text half is left out: logit_scale, text_model (2 in all)"
    assert got.notes[1] == HEADS and "no preprocessor_config.json" in got.notes[2]
    processor = {"do_center_crop": True, "size": {"shortest_edge": 36}, "crop_size": 32, "resample": 2}
    pixels = read_transformers(Found(other, Path("clip"), {}, pixels=processor)).config.pixels
    assert (pixels.resize_to, pixels.interpolation, pixels.resize) == (36, "linear", "short_side")
    del other["vision_model.encoder.layers.1.self_attn.k_proj.weight"]
    with pytest.raises(CheckpointError, match=r"(?s)1 missing.*visual.blocks.1.attn.qkv.weight"):
        read_transformers(found(other))


def test_no_layout_takes_another_ones_keys():
    clip_keys, own = set(torch_shapes()), set(manifest(ModelConfig()))
    text = {"transformer.resblocks.0.ln_1.weight", "positional_embedding", "text_projection"}
    for keys, wanted in (
        (clip_keys, {"OpenAI CLIP"}),
        (clip_keys | text, {"OpenAI CLIP"}),
        (text, set()),
        (own, set()),
        ({key.removeprefix("visual.") for key in clip_keys}, {"OpenAI CLIP"}),
        (set(transformers_state(drawn(torch_shapes()))), {"Hugging Face CLIP"}),
    ):
        fitting = {layout.name for layout in [*clip.LAYOUTS, *paddleclas_vit.LAYOUTS] if layout.fits(keys)}
        assert fitting == wanted
    assert [layout.name for layout in LAYOUTS] == ["OpenAI CLIP", "Hugging Face CLIP"]


def test_heads_that_nothing_tells_are_said_and_options_that_overrule_settings_too():
    state = drawn(torch_shapes())
    assert HEADS in read(found(state)).notes
    told = {"vision_cfg": {"head_width": 32}, "quick_gelu": True}
    assert read(found(state, **told)).notes == []
    assert read(found(state, **told, heads=2)).notes == []  # what they say too
    notes = read(found(state, **told, heads=4, activation="gelu", epsilon=1e-6)).notes
    assert notes == [
        "heads is 4, as asked for, where its own settings say 2",
        "activation is gelu, as asked for, where its own settings say quick_gelu",
    ]
