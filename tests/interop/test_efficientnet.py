"""PaddleClas's and timm's EfficientNets with random weights and statistics against ours, through the converter."""

import dataclasses
import io
import math
from pathlib import Path

import numpy as np
import paddle
import paddleclas.deploy.python.preprocess as operators
import pytest
import timm
import torch
from paddleclas.ppcls.arch.backbone.model_zoo import efficientnet as paddleclas
from PIL import Image

from ernie_vil2.checkpoints import release_layout as layout
from ernie_vil2.checkpoints.layouts import efficientnet as convert
from ernie_vil2.checkpoints.layouts.layout_record import Found
from ernie_vil2.config.model import IMAGENET_MEAN, IMAGENET_STD, PIXEL_PROFILES
from ernie_vil2.config.tower_fields import EFFICIENTNETS, EfficientNetConfig
from ernie_vil2.data.images.decode import decode
from ernie_vil2.data.images.pixels import preprocess
from ernie_vil2.data.images.resize import crop
from ernie_vil2.models.dual_encoder import DualEncoder


def random_values(name, shape, rng):
    """Values of a trained network's size: statistics that are no zeros and ones, kernels that keep the signal."""
    if name.endswith(("variance", "running_var")):
        return rng.uniform(0.5, 1.5, shape)
    if len(shape) < 2:
        return rng.normal(0, 0.2, shape) + name.endswith("weight")
    return rng.normal(0, math.prod(shape[1:]) ** -0.5, shape)


def ours(found):
    """Our tower with a state that a layout has recognised."""
    layout = next(layout for layout in convert.LAYOUTS if layout.fits(found.state))
    read = layout.read(found)
    model = DualEncoder(read.config)
    for key, value in model.state_dict().items():
        value.set_value(read.state[key])
    model.eval()
    back = layout.write(read.state, read.config)
    assert all(np.array_equal(back[key], found.state[key]) for key in back)
    return model, read


def from_paddleclas(variant, padding):
    """(PaddleClas's model in evaluation, ours, the Read)."""
    with paddle.utils.unique_name.guard():
        theirs = getattr(paddleclas, f"EfficientNet{variant.upper()}")(padding_type=padding)
    rng = np.random.default_rng(1)
    for name, value in theirs.state_dict().items():
        value.set_value(random_values(name, value.shape, rng).astype(np.float32))
    theirs.eval()
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    return theirs, *ours(Found(state, Path(f"EfficientNet{variant.upper()}_pretrained.pdparams")))


def from_timm(name, settings=None):
    """(timm's model in evaluation, ours, the Read)."""
    theirs = timm.create_model(name, pretrained=False).eval()
    rng = np.random.default_rng(2)
    state = {}
    for key, value in theirs.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.from_numpy(random_values(key, tuple(value.shape), rng).astype(np.float32)))
        state[key] = value.numpy()
    return theirs, *ours(Found(state, Path("model.safetensors"), settings or {}))


def assert_same(found, wanted):
    found, wanted = (np.asarray(value, np.float64).reshape(len(value), -1) for value in (found, wanted))
    assert 0.1 < np.abs(wanted).max() < 100, "a signal that died agrees with anything, one that burst with nothing"
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    cosine = (found * wanted).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosine.min() >= 0.999999


def pixels(*sides):
    return np.random.default_rng(3).normal(size=(2, 3, *sides)).astype(np.float32)


def compare_paddleclas(theirs, model, sides):
    x = paddle.to_tensor(pixels(*sides))
    with paddle.no_grad():
        features = theirs._conv(theirs._ef(x))
        assert_same(model.visual.features(x).numpy(), features.numpy())
        assert_same(model.encode_image(x).numpy(), theirs._pool(features).flatten(1).numpy())


def compare_timm(theirs, model, sides):
    x = pixels(*sides)
    with torch.no_grad(), paddle.no_grad():
        features = theirs.forward_features(torch.from_numpy(x))
        assert_same(model.visual.features(paddle.to_tensor(x)).numpy(), features.numpy())
        embeds = theirs.forward_head(features, pre_logits=True)
        assert_same(model.encode_image(paddle.to_tensor(x)).numpy(), embeds.numpy())


def test_paddleclas_b0_at_its_own_size_and_padding():
    theirs, model, read = from_paddleclas("b0", "SAME")
    assert sum(p.size for n, p in theirs.named_parameters() if not n.endswith(("_mean", "_variance"))) == 5_288_548
    assert read.config.image_tower.padding == "same" and read.config.pixels.resize_to == 256
    compare_paddleclas(theirs, model, (224, 224))


@pytest.mark.parametrize("variant, sides", [("b0", (97, 131)), ("b0", (64, 96)), ("b5", (71, 40))])
def test_paddleclas_dynamic_padding_at_any_size(variant, sides):
    theirs, model, _ = from_paddleclas(variant, "DYNAMIC")
    model.config.image_tower.padding = "dynamic"
    dynamic = DualEncoder(model.config)
    dynamic.set_state_dict(model.state_dict())
    dynamic.eval()
    compare_paddleclas(theirs, dynamic, sides)


@pytest.mark.parametrize(
    "name, sides",
    [
        ("tf_efficientnet_b0", (97, 130)),
        ("tf_efficientnet_b0", (64, 64)),
        ("tf_efficientnet_b1", (33, 32)),
        ("tf_efficientnet_b5", (76, 61)),
    ],
)
def test_timm(name, sides):
    theirs, model, read = from_timm(name)
    assert read.config.image_tower.variant == name[-2:]
    compare_timm(theirs, model, sides)


def shapes_of(variant, name):
    """{their key: shape} of what our tower of a variant needs."""
    tower = EfficientNetConfig(variant=variant, projection=0)
    shapes = layout.tower_shapes(tower)
    return {name(key, convert.places(tower)): tuple(shape) for key, shape in shapes.items()}


@pytest.mark.parametrize("variant", EFFICIENTNETS)
def test_every_variant_has_timms_keys_and_shapes(variant):
    with torch.device("meta"):
        theirs = timm.create_model(f"tf_efficientnet_{variant}").state_dict()
    left_out = ("classifier", "num_batches_tracked")
    wanted = {key: tuple(value.shape) for key, value in theirs.items() if not any(part in key for part in left_out)}
    assert shapes_of(variant, convert.timm_key) == wanted


@pytest.mark.parametrize("variant", EFFICIENTNETS)
def test_every_variant_has_paddleclas_keys_and_shapes(variant):
    with paddle.utils.unique_name.guard(), paddle.LazyGuard():
        if variant == "l2":
            sizes = paddleclas.efficientnet(4.3, 5.3, 0.5)
            theirs = paddleclas.EfficientNet(*sizes, name="l2", padding_type="DYNAMIC")
        else:
            theirs = getattr(paddleclas, f"EfficientNet{variant.upper()}")()
    wanted = {key: tuple(value.shape) for key, value in theirs.state_dict().items() if not key.startswith("_fc.")}
    assert shapes_of(variant, convert.paddleclas_key) == wanted


def test_timm_without_tensorflows_padding_is_told_by_its_config():
    theirs, model, read = from_timm("efficientnet_b0", {"architecture": "efficientnet_b0"})
    assert (read.config.image_tower.padding, read.config.image_tower.epsilon) == ("dynamic", 1e-5)
    compare_timm(theirs, model, (64, 97))


@pytest.mark.parametrize("name", [f"tf_efficientnet_{variant}.ns_jft_in1k" for variant in convert.CROPS])
def test_the_pixels_of_timms_weights_are_known_with_and_without_their_configuration(name):
    about = timm.get_pretrained_cfg(name).to_dict()
    profile = convert.timm_profile(name.split(".")[0][-2:], {})
    assert profile == convert.timm_profile(name.split(".")[0][-2:], about)
    assert (profile.size, profile.interpolation) == (about["input_size"][-1], about["interpolation"])
    assert profile.resize_to == math.floor(profile.size / about["crop_pct"])
    assert (profile.mean, profile.std) == (about["mean"], about["std"])


SHAPES = [(300, 421), (533, 240), (260, 263), (601, 607), (40, 33)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [224, 456])
def test_the_pixels_of_paddleclas(random_image, image_bytes, shape, size):
    profile = dataclasses.replace(PIXEL_PROFILES["paddleclas"], size=size, resize_to=size + 32)
    data = image_bytes(random_image(*shape))
    wanted = operators.DecodeImage(to_rgb=True)(data)
    for step in (operators.ResizeImage(resize_short=size + 32), operators.CropImage(size)):
        wanted = step(wanted)
    np.testing.assert_array_equal(crop(decode(data, profile), profile), wanted)
    normal = operators.NormalizeImage(scale="1.0/255.0", mean=IMAGENET_MEAN, std=IMAGENET_STD, order="")
    np.testing.assert_allclose(preprocess(data, profile), operators.ToCHWImage()(normal(wanted)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("variant", ["b0", "b5"])
def test_the_pixels_of_timm(random_image, image_bytes, shape, variant):
    """torchvision is not there: its Resize, CenterCrop, ToTensor and Normalize as its documentation has them."""
    about = timm.get_pretrained_cfg(f"tf_efficientnet_{variant}.ns_jft_in1k").to_dict()
    profile, data = convert.timm_profile(variant, about), image_bytes(random_image(*shape))
    image, size = Image.open(io.BytesIO(data)), about["input_size"][-1]
    short = math.floor(size / about["crop_pct"])
    sides = [short if side == min(image.size) else int(short * side / min(image.size)) for side in image.size]
    resized = image.resize(sides, Image.Resampling.BICUBIC)
    left, top = (int(round((side - size) / 2.0)) for side in sides)
    cut = np.asarray(resized.crop((left, top, left + size, top + size)), np.float32) / 255
    wanted = ((cut - about["mean"]) / about["std"]).transpose(2, 0, 1)
    np.testing.assert_allclose(preprocess(data, profile), wanted, rtol=0, atol=1e-6)


def test_the_pixels_of_a_configuration_win():
    about = timm.get_pretrained_cfg("tf_efficientnet_l2.ns_jft_in1k_475").to_dict()
    profile = convert.timm_profile("l2", about)
    assert (profile.size, profile.resize_to) == (475, 507)
    about = timm.get_pretrained_cfg("tf_efficientnet_b0.ap_in1k").to_dict()
    assert convert.timm_profile("b0", about).mean == (0.5, 0.5, 0.5)
