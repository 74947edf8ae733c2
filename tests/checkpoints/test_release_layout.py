"""The layout of the release: its tensors, what shapes tell of a configuration, and the one error that lists all."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.checkpoints.release_layout import check, manifest, recognise
from ernie_vil2.checkpoints.release_sizes import infer_config
from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.config.tower_fields import ImageTowerConfig, TextTowerConfig
from ernie_vil2.errors import CheckpointError

LARGE = ModelConfig(
    image_tower=ImageTowerConfig(patch_size=14, width=1024, depth=24, heads=16),
    text_tower=TextTowerConfig(width=1024, depth=24, heads=16),
)


KINDS = {key: shape for key, shape in manifest(ModelConfig()).items() if not re.search(r"\.(\d|10)\.", key)}


def zeros(config, dtype=np.float32):
    """A state of the right shapes that takes no memory."""
    return {key: np.broadcast_to(np.zeros((), dtype), shape) for key, shape in manifest(config).items()}


def test_base_has_the_release_s_350_tensors():
    shapes = manifest(ModelConfig())
    assert len(shapes) == 350
    assert round(sum(math.prod(shape) for shape in shapes.values()) / 1e6, 1) == 203.7
    assert shapes["visual.blocks.11.attn.qkv.weight"] == (768, 2304)
    assert shapes["text_model.encoder_stack.block.11.ffn.i.weight"] == (768, 3072)


def test_base_equals_the_published_manifest(shared_parity):
    published = json.loads((shared_parity / "manifest.json").read_text(encoding="utf-8"))
    assert {key: list(shape) for key, shape in manifest(ModelConfig()).items()} == published
    assert list(manifest(ModelConfig())) == list(published)


@st.composite
def configurations(draw):
    heads, depth = st.integers(1, 3), st.integers(1, 3)
    image_heads, text_heads = draw(heads), draw(heads)
    common = 64 * draw(heads)
    patch = draw(st.sampled_from([8, 14, 16, 32]))
    size = patch * draw(st.integers(1, 9))
    positions = draw(st.integers(3, 99))
    return ModelConfig(
        image_tower=ImageTowerConfig(
            image_size=size,
            patch_size=patch,
            patch_bias=draw(st.booleans()),
            width=64 * image_heads,
            heads=image_heads,
            depth=draw(depth),
            mlp_ratio=draw(st.sampled_from([1.0, 2.0, 4.0])),
            projection=common if common != 64 * image_heads else draw(st.sampled_from([0, common])),
        ),
        text_tower=TextTowerConfig(
            vocab_size=draw(st.integers(5, 500)),
            positions=positions,
            width=64 * text_heads,
            heads=text_heads,
            depth=draw(depth),
            mlp_ratio=draw(st.sampled_from([1.0, 2.0, 4.0])),
            projection=common if common != 64 * text_heads else draw(st.sampled_from([0, common])),
        ),
        max_length=min(48, positions),
        pixels=PixelProfile(size=size),
    )


@given(config=configurations())
def test_shapes_tell_the_configuration(config):
    state = zeros(config)
    assert recognise(state) == "official"
    assert infer_config(state) == config
    check(state, config, "here")


@pytest.mark.parametrize("config", (ModelConfig(), LARGE), ids=("base", "large"))
def test_released_sizes_are_recognised_without_notes(config):
    assert infer_config(zeros(config)) == config
    assert check(zeros(config), config, "here") == []


def test_every_single_missing_tensor_is_named():
    for key in KINDS:
        state = zeros(ModelConfig())
        del state[key]
        with pytest.raises(CheckpointError) as caught:
            check(state, infer_config(state), "model.pdparams")
        begin = f"model.pdparams does not fit the model (1 missing of 350 tensors; missing: {key}); take the file again"
        assert str(caught.value).startswith(begin)


def test_every_single_mis_shaped_tensor_is_named():
    for key, shape in KINDS.items():
        if key.endswith(("word_emb.weight", "pos_emb.weight")):
            continue  # their first side is free
        wrong = (*shape[:-1], shape[-1] + 1)
        state = zeros(ModelConfig()) | {key: np.zeros(wrong, np.float32)}
        with pytest.raises(CheckpointError) as caught:
            check(state, infer_config(state), "model.pdparams")
        assert f"{key} (wanted {list(shape)}, found {list(wrong)})" in str(caught.value)
        assert "1 mis-shaped of 350" in str(caught.value)


def test_all_differences_are_in_one_error(tiny_config):
    state = zeros(tiny_config)
    missing = [
        "visual.norm_pre.weight",
        "visual.norm_pre.bias",
        *(key for key in state if key.startswith("visual.blocks.0.")),
    ]
    for key in missing:
        del state[key]
    state |= {"visual.head.weight": np.zeros(3, np.float32), "epoch": np.zeros(1, np.float32)}
    state["text_model.pooler.bias"] = np.zeros((1, 32), np.float32)
    state["text_model.ln.weight"] = np.zeros(32, np.int64)
    with pytest.raises(CheckpointError) as caught:
        check(state, tiny_config, "the file")
    message = str(caught.value)
    assert f"({len(missing)} missing, 2 unexpected, 1 mis-shaped, 1 not floating point of " in message
    assert f"; missing: {', '.join(missing[:3])} and {len(missing) - 3} more; " in message
    assert caught.value.problems == {
        "missing": missing,
        "unexpected": ["visual.head.weight", "epoch"],
        "mis-shaped": ["text_model.pooler.bias (wanted [32], found [1, 32])"],
        "not floating point": ["text_model.ln.weight (int64)"],
    }
    assert len(message) < 500


def test_harmless_tensors_are_a_note(tiny_config):
    extra = {
        "visual.classfy.weight": np.zeros((32, 10), np.float32),
        "visual.classfy.bias": np.zeros(10, np.float32),
        "contrastive_loss_ii.temperature_b": np.zeros(1, np.float32),
        "contrastive_loss_tt.temperature_b": np.zeros(1, np.float32),
    }
    [note] = check(zeros(tiny_config) | extra, tiny_config, "here")
    assert all(key in note for key in extra)
    extra["contrastive_loss_ii.temperature_b"] = np.zeros(2, np.float32)
    with pytest.raises(CheckpointError, match="1 unexpected"):
        check(zeros(tiny_config) | extra, tiny_config, "here")


@pytest.mark.parametrize(("dtype", "name"), ((np.uint16, "bfloat16"), (np.float16, "float16"), (np.float64, "float64")))
def test_other_floats_are_a_note(tiny_config, dtype, name):
    notes = check(zeros(tiny_config, dtype), tiny_config, "here")
    assert notes == [f"{len(manifest(tiny_config))} tensors are stored as {name} and read as float32"]


def test_a_lost_last_block_is_a_note():
    state = {key: value for key, value in zeros(ModelConfig()).items() if not key.startswith("visual.blocks.11.")}
    assert check(state, infer_config(state), "here") == [
        "the image tower has 11 blocks of width 768; the release has 12"
    ]


@pytest.mark.parametrize(
    ("key", "shape"),
    (
        ("visual.blocks.999999999.norm1.weight", (768,)),
        ("visual.positional_embedding", (0,)),
        ("visual.positional_embedding", ()),
        ("visual.patch_embed.proj.weight", (768, 3, 0, 0)),
        ("text_model.pos_emb.weight", (1, 768)),
        ("text_model.proj.weight", (768, 5)),
    ),
)
def test_absurd_shapes_are_one_error(key, shape):
    state = zeros(ModelConfig()) | {key: np.broadcast_to(np.float32(0), shape)}
    with pytest.raises(CheckpointError):
        check(state, infer_config(state, "here"), "here")


def test_recognise():
    assert recognise(manifest(LARGE)) == "official"
    assert (
        recognise(["vision_model.class_embedding", "text_model.encoder.layers.0.norm1.bias", "temperature"])
        == "paddlenlp"
    )
    assert recognise(["cls_token", "blocks.0.norm1.weight"]) == recognise([]) == "unknown"


def test_configurations_without_a_pre_norm_or_with_a_projection(tiny_config):
    without = dataclasses.replace(tiny_config, image_tower=dataclasses.replace(tiny_config.image_tower, pre_norm=False))
    assert set(manifest(tiny_config)) - set(manifest(without)) == {"visual.norm_pre.weight", "visual.norm_pre.bias"}
    towers = {
        name: dataclasses.replace(getattr(tiny_config, name), projection=16) for name in ("image_tower", "text_tower")
    }
    shapes = manifest(dataclasses.replace(tiny_config, **towers))
    assert shapes["visual.proj.weight"] == shapes["text_model.proj.weight"] == (32, 16)
