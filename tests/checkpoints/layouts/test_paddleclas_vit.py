"""PaddleClas's vision transformers: read, written and refused. What they compute is in tests/interop."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ernie_vil2.checkpoints.layouts import clip
from ernie_vil2.checkpoints.layouts.layout_record import Found
from ernie_vil2.checkpoints.layouts.paddleclas_vit import LAYOUTS, read, read_clip, write, write_clip
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.config.model import PIXEL_PROFILES, ModelConfig, PixelProfile
from ernie_vil2.config.tower_fields import ImageTowerConfig
from ernie_vil2.errors import CheckpointError


def shapes(width=64, depth=2, tokens=17, patch=8, hidden=256, clip=False, bias=True, classes=10):
    made = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, tokens, width),
        "patch_embed.proj.weight": (width, 3, patch, patch),
    }
    made |= {"proj": (width, 32)} if clip else {"patch_embed.proj.bias": (width,)}
    for index in range(depth):
        block = f"blocks.{index}"
        made |= {
            f"{block}.attn.qkv.weight": (width, 3 * width),
            f"{block}.attn.proj.weight": (width, width),
            f"{block}.attn.proj.bias": (width,),
            f"{block}.mlp.fc1.weight": (width, hidden),
            f"{block}.mlp.fc1.bias": (hidden,),
            f"{block}.mlp.fc2.weight": (hidden, width),
            f"{block}.mlp.fc2.bias": (width,),
        }
        made |= {f"{block}.attn.qkv.bias": (3 * width,)} if bias else {}
        for norm in ("norm1", "norm2"):
            made |= {f"{block}.{norm}.weight": (width,), f"{block}.{norm}.bias": (width,)}
    for norm in ("ln_pre", "norm") if clip else ("norm",):
        made |= {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
    head = "head.fc_head" if clip else "head"
    return made | ({f"{head}.weight": (width, classes), f"{head}.bias": (classes,)} if classes else {})


def drawn(shapes):
    rng = np.random.default_rng(0)
    return {key: rng.standard_normal(shape).astype(np.float32) for key, shape in shapes.items()}


def found(state, **settings):
    return Found(state, Path("ViT.pdparams"), settings)


def test_a_vit_and_a_clip_vit_differ_as_their_models_do():
    vit, clip_vit = read(found(drawn(shapes()))), read_clip(found(drawn(shapes(clip=True))))
    wanted = {"image_size": 32, "patch_size": 8, "width": 64, "depth": 2, "heads": 1}
    for got, more in (
        (vit, {"activation": "gelu", "epsilon": 1e-6, "patch_bias": True, "pre_norm": False}),
        (clip_vit, {"activation": "quick_gelu", "epsilon": 1e-5, "projection": 32}),
    ):
        assert got.config.image_tower == ImageTowerConfig(**wanted, **more)
        assert got.config.text_tower is None
        assert {key: array.shape for key, array in got.state.items()} == manifest(got.config)
        assert any("classifier is left out" in note for note in got.notes)
    assert vit.config.pixels == dataclasses.replace(PIXEL_PROFILES["paddleclas_vit"], size=32, resize_to=0)
    assert clip_vit.config.pixels == dataclasses.replace(PIXEL_PROFILES["clip"], size=32)
    assert any("PaddleClas 2.6 runs gelu" in note for note in clip_vit.notes)


@pytest.mark.parametrize("reading, writing, clip_vit", [(read, write, False), (read_clip, write_clip, True)])
def test_reading_and_writing_give_the_file_back(reading, writing, clip_vit):
    state = drawn(shapes(clip=clip_vit, classes=0))
    got = reading(found(state))
    back = writing(got.state, got.config)
    assert set(back) == set(state)
    assert all(np.array_equal(back[key], state[key]) for key in state)


def test_what_a_layout_cannot_hold_is_not_written():
    tower = ImageTowerConfig(image_size=32, patch_size=8, width=64, depth=2, heads=2)
    config = ModelConfig(image_tower=tower, text_tower=None, pixels=PixelProfile(size=32))
    state = drawn(manifest(config))
    with pytest.raises(CheckpointError, match="no place for visual.norm_pre.weight"):
        write(state, config)
    assert set(write_clip(state, config)) == set(shapes(clip=True, classes=0)) - {"proj"}
    config.image_tower.pre_norm = False
    assert not write(state, config)["patch_embed.proj.bias"].any()
    assert set(write(state, config)) == set(shapes(classes=0))


@pytest.mark.parametrize(
    "patch, tokens, size, margin", [(16, 197, 224, 256), (16, 577, 384, 256), (32, 145, 384, 256), (14, 257, 224, 256)]
)
def test_variants_are_told_by_shapes(patch, tokens, size, margin):
    for clip_vit, reading in ((False, read), (True, read_clip)):
        config = reading(found(drawn(shapes(64, 1, tokens, patch, clip=clip_vit)))).config
        assert (config.image_tower.patch_size, config.image_tower.image_size, config.pixels.size) == (patch, size, size)
        assert config.pixels.resize_to == (0 if clip_vit else margin)


def test_pixels_and_activation_follow_the_settings():
    got = read_clip(found(drawn(shapes(64, 1, 197, 16, clip=True)), activation="gelu", pixels="paddleclas_clip"))
    assert (got.config.image_tower.activation, got.config.pixels) == ("gelu", PIXEL_PROFILES["paddleclas_clip"])
    assert len(got.notes) == 1


def test_vit_small_has_its_scale_in_the_query():
    state = drawn(shapes(768, 8, 5, 16, 2304, bias=False, classes=0))
    got = read(found(state))
    assert (got.config.image_tower.heads, got.config.image_tower.epsilon) == (8, 1e-5)
    weight, bias = (got.state[f"visual.blocks.3.attn.qkv.{name}"] for name in ("weight", "bias"))
    assert not bias.any()
    source = state["blocks.3.attn.qkv.weight"]
    np.testing.assert_allclose(weight[:, :768] * 96**-0.5, source[:, :768] * 768**-0.5, rtol=1e-6)
    np.testing.assert_array_equal(weight[:, 768:], source[:, 768:])
    assert any("ViT_small_patch16_224" in note for note in got.notes)


def test_other_towers_without_that_bias_keep_their_weights():
    state = drawn(shapes(bias=False))
    got = read(found(state))
    np.testing.assert_array_equal(got.state["visual.blocks.1.attn.qkv.weight"], state["blocks.1.attn.qkv.weight"])
    assert not got.state["visual.blocks.1.attn.qkv.bias"].any()


def test_one_error_names_all_that_does_not_fit():
    state = drawn(shapes(depth=3))
    for key in ("patch_embed.proj.bias", "blocks.1.norm1.weight", "blocks.1.attn.qkv.bias", "cls_token"):
        del state[key]
    state["pos_embed"] = state["pos_embed"][:, :-1]
    state["blocks.0.gamma_1"] = np.zeros(64, np.float32)
    with pytest.raises(CheckpointError) as caught:
        read(found(state))
    told = f"{caught.value} {caught.value.problems}"
    for part in (
        "ViT.pdparams",
        "4 missing",
        "visual.patch_embed.proj.bias",
        "visual.blocks.1.norm1.weight",
        "visual.blocks.1.attn.qkv.bias",
        "visual.class_embedding",
        "visual.positional_embedding (wanted",
        "blocks.0.gamma_1",
    ):
        assert part in told


def test_timm_weights_are_refused_by_name():
    state = drawn(shapes())
    state |= {key: array.T for key, array in state.items() if array.ndim == 2}
    with pytest.raises(CheckpointError, match=r"blocks.0.attn.qkv.weight is \[192, 64\], so these are timm's"):
        read(found(state))


def test_layouts_are_told_apart_by_keys():
    for keys, wanted in (
        (shapes(), {"PaddleClas ViT"}),
        (shapes(clip=True), {"PaddleClas CLIP ViT"}),
        ({"blocks.0.attn.qkv.weight": (), "class_embedding": ()}, set()),
        (manifest(ModelConfig()), set()),
    ):
        assert {layout.name for layout in [*LAYOUTS, *clip.LAYOUTS] if layout.fits(set(keys))} == wanted
