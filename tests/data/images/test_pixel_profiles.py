"""Profiles of other projects: equal to the plain PIL or OpenCV calls that their documentation describes."""

import dataclasses
import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ernie_vil2.config.augmentation import AugmentationConfig
from ernie_vil2.config.model import PIXEL_PROFILES, ModelConfig, PixelProfile
from ernie_vil2.data.batches.views import ViewMaker
from ernie_vil2.data.images.decode import decode
from ernie_vil2.data.images.pixels import normalise, preprocess
from ernie_vil2.data.images.resize import crop, resized_sides
from ernie_vil2.data.sources.base import Sample

BYTES = [name for name, profile in PIXEL_PROFILES.items() if profile.interpolation != "tensor"]
"""Profiles whose crops are uint8; of the others see test_tensor_resize.py"""
# (height, width): both orientations, square, enlarged, and long sides that leave 0, 1, 2 and 3 pixels over modulo 4
SHAPES = [
    (240, 320),
    (320, 240),
    (300, 300),
    (224, 227),
    (231, 224),
    (60, 41),
    (500, 333),
    (449, 449),
    (97, 700),
    (224, 226),
    (230, 224),
    (224, 224),
    (225, 224),
]


def clip_crop(image, size):
    """torchvision's Resize(size) and CenterCrop(size) of a PIL image, by their documentation."""
    short, long = sorted(image.size)
    long = int(size * long / short)
    wide = image.size[0] > image.size[1]
    image = image.resize((long, size) if wide else (size, long), Image.Resampling.BICUBIC)
    left, top = (int(round((side - size) / 2.0)) for side in image.size)
    return np.asarray(image.crop((left, top, left + size, top + size)))


def chinese_clip_crop(image, size):
    """torchvision's Resize((size, size)) of a PIL image."""
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))


def paddleclas_crop(rgb, resize_to, size):
    """Its ResizeImage(resize_short) and CropImage(size) of an array."""
    share = float(resize_to) / min(rgb.shape[:2])
    rgb = cv2.resize(rgb, tuple(int(round(side * share)) for side in rgb.shape[1::-1]))
    top, left = ((side - size) // 2 for side in rgb.shape[:2])
    return rgb[top : top + size, left : left + size]


def encoded(pixels, orientation=1, **options):
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(stream, "JPEG", exif=exif, **options)
    return stream.getvalue()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("orientation", [1, 6])
def test_clip_and_chinese_clip_give_the_bytes_of_pil(random_image, shape, orientation):
    data = encoded(random_image(*shape), orientation)
    image = Image.open(io.BytesIO(data)).convert("RGB")  # EXIF orientation is not applied
    for name, wanted in (("clip", clip_crop), ("chinese_clip", chinese_clip_crop)):
        got = crop(decode(data, PIXEL_PROFILES[name]), PIXEL_PROFILES[name])
        np.testing.assert_array_equal(got, wanted(image, 224), name)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["paddleclas", "paddleclas_vit", "paddleclas_clip"])
def test_paddleclas_gives_the_bytes_of_its_operators(random_image, shape, name):
    data, profile = encoded(random_image(*shape), orientation=6), PIXEL_PROFILES[name]
    rgb = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]  # EXIF orientation is applied
    assert rgb.shape[:2] == shape[::-1]
    np.testing.assert_array_equal(crop(decode(data, profile), profile), paddleclas_crop(rgb, 256, 224))


def test_the_rules_differ_where_their_projects_do(random_image):
    assert resized_sides(300, 401, 224, "torchvision") == (224, 299)
    assert resized_sides(300, 401, 224, "short_side") == (224, 299)
    assert resized_sides(300, 402, 224, "paddleclas") == (224, 300)
    assert resized_sides(300, 401, 224, "official") == (224, 300)
    assert resized_sides(300, 401, 224, "square") == (224, 224)
    rgb = random_image(224, 227)  # three pixels over: torchvision cuts at 2, PaddleNLP and transformers at 1
    profiles = [PixelProfile(decoder="pil", resize=rule) for rule in ("torchvision", "short_side")]
    for profile, left in zip(profiles, (2, 1), strict=True):
        np.testing.assert_array_equal(crop(rgb, profile), rgb[:, left : left + 224])


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 600))
def test_the_short_side_becomes_the_size_and_the_crop_fits(height, width, size):
    for rule in ("official", "short_side", "torchvision", "paddleclas", "square"):
        rows, columns = resized_sides(height, width, size, rule)
        assert min(rows, columns) == size
        assert resized_sides(width, height, size, rule) == (columns, rows) or rule == "official" and height == width
        if rule != "square" and height != width:
            assert (rows > columns) == (height > width) or rows == columns
            assert abs(max(rows, columns) - size * max(height, width) / min(height, width)) <= 1 + 1e-6


@pytest.mark.parametrize("name", BYTES)
def test_normalised_pixels_are_those_of_float32_arithmetic(random_image, name):
    profile = PIXEL_PROFILES[name]
    got = preprocess(random_image(250, 300), profile)
    mean, std = (np.float32(values)[:, None, None] for values in (profile.mean, profile.std))
    pixels = crop(random_image(250, 300), profile).transpose(2, 0, 1).astype(np.float32)
    for scaled in (pixels / np.float32(255), pixels * np.float32(1 / 255)):  # torchvision's and PaddleClas's order
        np.testing.assert_allclose(got, (scaled - mean) / std, rtol=0, atol=1e-6)


def test_a_margin_is_cut_off_around_the_centre(random_image):
    rgb = random_image(256, 256)
    for rule in ("official", "short_side", "torchvision", "paddleclas", "square"):
        for decoder in ("pil", "opencv"):
            profile = PixelProfile(resize=rule, decoder=decoder, size=224, resize_to=256)
            np.testing.assert_array_equal(crop(rgb, profile), rgb[16:240, 16:240])


def test_a_margin_under_the_size_has_no_effect(random_image):
    rgb = random_image(300, 400)
    for rule in ("official", "short_side", "torchvision", "paddleclas", "square"):
        wanted = crop(rgb, PixelProfile(resize=rule, size=336))
        np.testing.assert_array_equal(crop(rgb, PixelProfile(resize=rule, size=336, resize_to=256)), wanted)


@pytest.mark.parametrize("name", list(PIXEL_PROFILES))
def test_every_profile_gives_views_of_its_size_in_training_and_evaluation(random_image, name):
    sample = Sample(id="a", image=encoded(random_image(600, 800)), texts=("x",), tags=(), where="here")
    for recipe in (AugmentationConfig(), AugmentationConfig(crop_scale=0.5), None):
        maker = ViewMaker(["image"], None, PIXEL_PROFILES[name], recipe)
        first, again = (maker.make(sample, 1, 0).pixels["image"] for _ in range(2))
        assert first.shape == (maker.profile.size, maker.profile.size, 3) and first.dtype == maker.pixel_type
        np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, crop(decode(sample.image, PIXEL_PROFILES[name]), PIXEL_PROFILES[name]))


def test_profiles_survive_a_model_directory_and_normalise_alike(random_image):
    for name, profile in PIXEL_PROFILES.items():
        kept = ModelConfig.from_dict(ModelConfig(image_tower=None, pixels=profile).to_dict()).pixels
        assert kept == profile == ModelConfig.from_dict({"image_tower": None, "pixels": name}).pixels
        batch = random_image(224, 224)[None]
        np.testing.assert_array_equal(normalise(batch, kept), normalise(batch, profile))


@pytest.mark.parametrize("name", BYTES)
def test_training_pixels_are_made_by_the_profile_of_the_model(random_image, name):
    """At crop_scale 1, without flip and colour: a crop of what the evaluation resizes, by its rule and its filter."""
    profile, rgb = PIXEL_PROFILES[name], random_image(300, 300)
    plain = AugmentationConfig(flip=0.0, jitter=0.0, grey=0.0, blur=0.0)
    maker = ViewMaker(["image"], None, profile, plain)
    got = maker.make(Sample(id="a", image=rgb, texts=("x",), tags=(), where="here"), 0, 0).pixels["image"]
    resized = crop(rgb, dataclasses.replace(profile, size=profile.resized))
    windows = np.lib.stride_tricks.sliding_window_view(resized, (224, 224, 3))[:, :, 0]
    assert (windows == got).all((2, 3, 4)).any()
