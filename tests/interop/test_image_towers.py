"""Converted image towers and their pixels against the libraries that they come from, with random weights."""

import dataclasses
import io
from pathlib import Path

import cn_clip.clip.model as cn_clip
import numpy as np
import open_clip.transformer
import paddle
import paddleclas.deploy.python.preprocess as operators
import pytest
import torch
import transformers
from paddleclas.ppcls.arch.backbone.model_zoo import foundation_vit, vision_transformer
from PIL import Image

from ernie_vil2.checkpoints.layouts import clip, paddleclas_vit
from ernie_vil2.checkpoints.layouts.layout_record import Found
from ernie_vil2.config.model import PIXEL_PROFILES, ModelConfig, PixelProfile
from ernie_vil2.config.tower_fields import ImageTowerConfig
from ernie_vil2.data.images.decode import decode
from ernie_vil2.data.images.pixels import preprocess
from ernie_vil2.data.images.resize import crop
from ernie_vil2.models.dual_encoder import DualEncoder

READS = {layout.name: layout for layout in [*clip.LAYOUTS, *paddleclas_vit.LAYOUTS]}


def spread(name):
    """Standard deviation of a parameter's random values; embeddings are so small that a norm's epsilon matters."""
    return 0.003 if any(part in name for part in ("class_embedding", "position", "cls_token", "pos_embed")) else 0.08


def random_torch(model):
    """The torch model in evaluation with every parameter random, norms and biases too."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(spread(name) * torch.randn(parameter.shape, generator=generator))
            if parameter.ndim == 1 and name.endswith("weight"):
                parameter.add_(1.0)
    return model.eval()


def random_paddle(model):
    """The Paddle model in evaluation with every parameter random, norms and biases too."""
    rng = np.random.default_rng(0)
    for name, parameter in model.named_parameters():
        values = rng.standard_normal(parameter.shape).astype(np.float32) * np.float32(spread(name))
        parameter.set_value(values + np.float32(parameter.ndim == 1 and name.endswith("weight")))
    model.eval()
    return model


def arrays(model):
    return {key: tensor.numpy() for key, tensor in model.state_dict().items()}


def images_of(size, count=3):
    return np.random.default_rng(1).standard_normal((count, 3, size, size)).astype(np.float32)


def ours(state, pixels, **settings):
    """(embeddings, Read) of the one layout that the state fits."""
    (name,) = (name for name, layout in READS.items() if layout.fits(set(state)))
    got = READS[name].read(Found(state, Path("weights"), settings))
    model = DualEncoder(got.config)
    model.eval()
    missing, unexpected = model.set_state_dict({key: paddle.to_tensor(got.state[key]) for key in got.state})
    assert not missing and not unexpected
    with paddle.no_grad():
        return model.encode_image(paddle.to_tensor(pixels)).numpy(), got


def assert_same(got, wanted):
    assert got.shape == wanted.shape
    assert np.abs(wanted).max() > 0.1  # a model of zeros would prove nothing
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4)
    cosine = (got * wanted).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosine.min() >= 0.999999


def tiny_open_clip(activation, **options):
    return random_torch(
        open_clip.transformer.VisionTransformer(
            image_size=32,
            patch_size=8,
            width=128,
            layers=3,
            heads=2,
            mlp_ratio=4.0,
            output_dim=48,
            act_layer=activation,
            **options,
        )
    )


@pytest.mark.parametrize("activation, name", [(open_clip.transformer.QuickGELU, "quick_gelu"), (torch.nn.GELU, "gelu")])
@pytest.mark.parametrize("projected", [True, False])
def test_open_clip(activation, name, projected):
    model, pixels = tiny_open_clip(activation), images_of(32)
    state = {f"visual.{key}": array for key, array in arrays(model).items()}
    if not projected:
        model.proj = None
    with torch.no_grad():
        wanted = model(torch.from_numpy(pixels)).numpy()
    settings = {"model_cfg": {"vision_cfg": {"layers": 3, "head_width": 64}, "quick_gelu": name == "quick_gelu"}}
    got, read = ours(state, pixels, **settings, **({} if projected else {"projection": False}))
    assert read.config.image_tower.activation == name
    assert_same(got, wanted)
    other = {"activation": "gelu" if name == "quick_gelu" else "quick_gelu", "heads": 2}
    if projected:
        assert np.abs(ours(state, pixels, **other)[0] - wanted).max() > 1e-3  # so the activation matters here


def test_open_clip_without_pre_norm_and_a_tower_alone():
    model, pixels = tiny_open_clip(torch.nn.GELU, no_ln_pre=True), images_of(32)
    with torch.no_grad():
        wanted = model(torch.from_numpy(pixels)).numpy()
    assert_same(ours(arrays(model), pixels, vision_cfg={"no_ln_pre": True})[0], wanted)


def test_a_whole_open_clip_model_as_it_is_built_by_its_configuration():
    vision = {"image_size": 42, "layers": 2, "width": 88, "head_width": 22, "mlp_ratio": 4.3637, "patch_size": 14}
    text = {"context_length": 8, "vocab_size": 50, "width": 32, "heads": 2, "layers": 1}
    settings = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}
    model, pixels = random_torch(open_clip.CLIP(**settings)), images_of(42)
    with torch.no_grad():
        wanted = model.encode_image(torch.from_numpy(pixels)).numpy()
    got, read = ours(arrays(model), pixels, **settings)
    assert (read.config.image_tower.heads, read.config.image_tower.activation) == (4, "gelu")
    assert_same(got, wanted)


@pytest.mark.parametrize("as_paddleclas", [{}, {"patch_bias": True, "pre_norm": False, "activation": "gelu"}])
def test_open_clip_builds_the_tower_that_is_written(as_paddleclas):
    """Towers of the release's arithmetic and of PaddleClas's, without a projection, from what is written for torch."""
    tower = ImageTowerConfig(image_size=32, patch_size=8, width=128, depth=2, heads=4, **as_paddleclas)
    config = ModelConfig(image_tower=tower, text_tower=None, pixels=PixelProfile(size=32))
    model, pixels = random_paddle(DualEncoder(config)), images_of(32)
    with paddle.no_grad():
        wanted = model.encode_image(paddle.to_tensor(pixels)).numpy()
    back, told = clip.write(arrays(model), config), clip.settings(config)["model_cfg"]
    theirs = open_clip.model._build_vision_tower(told["embed_dim"], told["vision_cfg"], told["quick_gelu"]).eval()
    theirs.proj = None
    theirs.load_state_dict({key.removeprefix("visual."): torch.from_numpy(back[key].copy()) for key in back})
    with torch.no_grad():
        assert_same(theirs(torch.from_numpy(pixels)).numpy(), wanted)


def tiny_chinese_clip(**options):
    image = {"embed_dim": 16, "image_resolution": 56, "vision_layers": 2, "vision_width": 128, "vision_patch_size": 14}
    text = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "max_position_embeddings": 32,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "initializer_range": 0.02,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    sizes = {"vocab_size": 60, **image, **{f"text_{key}": value for key, value in text.items()}}
    return random_torch(cn_clip.CLIP(**sizes | options))


@pytest.mark.parametrize("head_width", [64, 32])
def test_chinese_clip_is_written_back_as_its_own(head_width):
    model, pixels = tiny_chinese_clip(vision_head_width=head_width), images_of(56)
    settings = {} if head_width == 64 else {"vision_layers": 2, "vision_width": 128, "vision_head_width": head_width}
    with torch.no_grad():
        wanted = model.encode_image(torch.from_numpy(pixels)).numpy()
    got, read = ours(arrays(model), pixels, **settings)
    assert read.config.pixels.resize == "square"
    assert_same(got, wanted)
    back = clip.write(read.state, read.config)
    again = tiny_chinese_clip(vision_head_width=head_width).visual
    again.load_state_dict({key.removeprefix("visual."): torch.from_numpy(back[key].copy()) for key in back})
    with torch.no_grad():
        np.testing.assert_array_equal(again(torch.from_numpy(pixels)).numpy(), wanted)


@pytest.mark.parametrize("kind", ["clip", "clip_vision", "chinese_clip"])
def test_transformers(kind):
    vision = {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": 32,
        "patch_size": 8,
        "hidden_act": "gelu" if kind == "clip" else "quick_gelu",
    }
    text = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 50,
    }
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
        model = transformers.CLIPModel(config)
    elif kind == "chinese_clip":
        config = transformers.ChineseCLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
        model = transformers.ChineseCLIPModel(config)
    else:
        config = transformers.CLIPVisionConfig(**vision)
        model = transformers.CLIPVisionModel(config)
    random_torch(model)
    pixels = images_of(32)
    with torch.no_grad():
        given = torch.from_numpy(pixels)
        wanted = model(given).pooler_output if kind == "clip_vision" else model.get_image_features(given)
    got, read = ours(arrays(model), pixels, **config.to_dict())
    assert_same(got, wanted.numpy())
    assert read.config.pixels.resize == ("square" if kind == "chinese_clip" else "short_side")


@pytest.mark.parametrize("name", ["ViT_small_patch16_224", "ViT_base_patch16_224"])
def test_paddleclas_vit(name):
    with paddle.utils.unique_name.guard():
        model = random_paddle(getattr(vision_transformer, name)())
    pixels = images_of(224, 1)
    with paddle.no_grad():
        wanted = model.forward_features(paddle.to_tensor(pixels)).numpy()
    assert_same(ours(arrays(model), pixels)[0], wanted)


def test_paddleclas_takes_back_what_is_written():
    def build():
        with paddle.utils.unique_name.guard():
            return random_paddle(
                vision_transformer.VisionTransformer(
                    img_size=64,
                    patch_size=32,
                    embed_dim=128,
                    depth=2,
                    num_heads=2,
                    qkv_bias=True,
                    epsilon=1e-6,
                    class_num=0,
                )
            )

    model, pixels = build(), images_of(64)
    with paddle.no_grad():
        wanted = model(paddle.to_tensor(pixels)).numpy()
        got, read = ours(arrays(model), pixels)
        assert_same(got, wanted)
        again = build()
        back = paddleclas_vit.write(read.state, read.config)
        assert again.set_state_dict({key: paddle.to_tensor(back[key]) for key in back}) == ([], [])
        np.testing.assert_array_equal(again(paddle.to_tensor(pixels)).numpy(), wanted)


def clip_vit(name, monkeypatch, activation="gelu", **sizes):
    """A CLIP_vit of PaddleClas; with `quick_gelu` as its releases up to 2.5 build it, and it keeps its class token."""
    size = name.removeprefix("CLIP_")
    monkeypatch.setitem(foundation_vit._CLIP_diff, "remove_cls_token_in_forward", [])
    monkeypatch.setitem(foundation_vit._CLIP_diff, "replace_mlp_GELU", [size] if activation == "quick_gelu" else [])
    with paddle.utils.unique_name.guard():
        if not sizes:
            return random_paddle(getattr(foundation_vit, name)(return_embed=True))
        return random_paddle(
            foundation_vit.VisionTransformer(model_name=name, qkv_bias=True, epsilon=1e-5, return_embed=True, **sizes)
        )


BASE = {"img_size": 64, "patch_size": 32, "embed_dim": 128, "depth": 2, "num_heads": 2}
LARGE = {"img_size": 42, "patch_size": 14, "embed_dim": 256, "depth": 3, "num_heads": 4}


@pytest.mark.parametrize(
    "name, sizes, activation",
    [
        ("CLIP_vit_base_patch16_224", {}, "quick_gelu"),
        ("CLIP_vit_base_patch32_224", BASE, "quick_gelu"),
        ("CLIP_vit_base_patch32_224", BASE, "gelu"),
        ("CLIP_vit_large_patch14_336", LARGE, "quick_gelu"),
        ("CLIP_vit_large_patch14_336", LARGE, "gelu"),
    ],
)
def test_paddleclas_clip(name, sizes, activation, monkeypatch):
    model = clip_vit(name, monkeypatch, activation, **sizes)
    pixels = images_of(sizes.get("img_size", 224), 1)
    settings = {} if activation == "quick_gelu" else {"activation": "gelu"}
    with paddle.no_grad():
        wanted = model(paddle.to_tensor(pixels)).numpy()[:, 0]
        assert_same(ours(arrays(model), pixels, **settings)[0], wanted)
        model.proj = None
        wanted = model(paddle.to_tensor(pixels)).numpy()[:, 0]
    assert_same(ours(arrays(model), pixels, **settings)[0], wanted)


def jpeg(random_image, height, width):
    stream = io.BytesIO()
    Image.fromarray(random_image(height, width)).save(stream, "JPEG")
    return stream.getvalue()


SHAPES = [(240, 321), (333, 240), (300, 300), (224, 227), (231, 224), (60, 41), (700, 1003)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["paddleclas", "paddleclas_vit", "paddleclas_clip"])
def test_pixels_of_paddleclas_operators(random_image, shape, name):
    profile, data = PIXEL_PROFILES[name], jpeg(random_image, *shape)
    wanted = operators.DecodeImage(to_rgb=True)(data)
    for step in (operators.ResizeImage(resize_short=256), operators.CropImage(224)):
        wanted = step(wanted)
    np.testing.assert_array_equal(crop(decode(data, profile), profile), wanted)
    normal = operators.NormalizeImage(scale="1.0/255.0", mean=list(profile.mean), std=list(profile.std), order="")
    got = preprocess(data, profile)
    np.testing.assert_allclose(got, operators.ToCHWImage()(normal(wanted)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_pixels_of_transformers_processors(random_image, shape):
    data = jpeg(random_image, *shape)
    image = Image.open(io.BytesIO(data))
    for processor, profile in (
        (transformers.CLIPImageProcessor(), dataclasses.replace(PIXEL_PROFILES["clip"], resize="short_side")),
        (transformers.ChineseCLIPImageProcessor(size={"height": 224, "width": 224}), PIXEL_PROFILES["chinese_clip"]),
    ):
        wanted = processor(image, return_tensors="np")["pixel_values"][0]
        np.testing.assert_allclose(preprocess(data, profile), wanted, rtol=0, atol=1e-6)
