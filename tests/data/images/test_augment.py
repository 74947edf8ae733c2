"""Training pixels: what each step means against a plain formula, how often it happens, who decides."""

import colorsys
import dataclasses

import cv2
import numpy as np
import pytest

from ernie_vil2.config.augmentation import AugmentationConfig
from ernie_vil2.data.images import augment as steps
from ernie_vil2.data.images.augment import augment
from ernie_vil2.data.images.resize import resize_short
from ernie_vil2.errors import ConfigError, ImageError
from ernie_vil2.schema import build

OFF = AugmentationConfig(flip=0, jitter=0, grey=0, blur=0)
GREY = np.array([0.299, 0.587, 0.114])


def only(**changes):
    return dataclasses.replace(OFF, **changes)


def views(rgb, size, recipe, count, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([augment(rgb, size, rng, recipe) for _ in range(count)])


def test_defaults_are_the_release():
    recipe = AugmentationConfig()
    assert (recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue) == (0.4, 0.4, 0.4, 0.1)
    assert (recipe.flip, recipe.jitter, recipe.grey, recipe.blur, recipe.crop_scale) == (0.5, 0.8, 0.2, 0.5, 1.0)
    assert (recipe.blur_kernel, recipe.blur_sigma) == (5, (0.1, 2.0))


@pytest.mark.parametrize("shape", [(224, 224), (37, 90), (1, 5), (500, 80), (80, 81)])
@pytest.mark.parametrize("size", [224, 80, 3])
def test_size_and_layout(random_image, shape, size):
    everything = AugmentationConfig(flip=1, jitter=1, grey=1, blur=1, crop_scale=0.5)
    for recipe in (AugmentationConfig(), OFF, everything):
        got = augment(random_image(*shape), size, np.random.default_rng(0), recipe)
        assert got.shape == (size, size, 3) and got.dtype == np.uint8 and got.flags.c_contiguous


def test_the_generator_decides_everything(random_image):
    rgb = random_image(90, 120)
    before = rgb.copy()
    first, again, other = (views(rgb, 64, AugmentationConfig(), 20, seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(np.unique(first.reshape(20, -1), axis=0)) == 20
    np.testing.assert_array_equal(rgb, before)


def test_all_off_is_the_identity(random_image):
    rgb = random_image(80, 80)
    np.testing.assert_array_equal(views(rgb, 80, OFF, 3), np.stack([rgb] * 3))
    still = only(jitter=1, brightness=0, contrast=0, saturation=0, hue=0)
    np.testing.assert_array_equal(views(rgb, 80, still, 3), np.stack([rgb] * 3))


def test_random_crop_is_uniform_over_the_official_resize():
    rgb = np.zeros((40, 100, 3), np.uint8)
    rgb[:, :, 0] = np.arange(100) * 2
    resized = resize_short(rgb, 20)
    assert resized.shape == (20, 51, 3)
    left = np.array([np.flatnonzero(resized[0, :, 0] == view[0, 0, 0])[0] for view in views(rgb, 20, OFF, 2000)])
    counts = np.bincount(left, minlength=32)
    assert len(counts) == 32 and counts.min() > 30 and counts.max() < 110
    for view, start in zip(views(rgb, 20, OFF, 5), left, strict=False):
        np.testing.assert_array_equal(view, resized[:, start : start + 20])


def test_crop_scale_bounds_the_field_of_view():
    ramp = np.repeat(np.arange(200, dtype=np.uint8)[:, None, None], 200, axis=1).repeat(3, axis=2)
    seen = np.ptp(views(ramp, 100, only(crop_scale=0.5), 400)[:, :, 0, 0].astype(int), axis=1) / 200
    assert 0.48 < seen.min() < 0.52 and 0.95 < seen.max() <= 1
    assert np.ptp(views(ramp, 100, OFF, 20)[:, :, 0, 0].astype(int), axis=1).min() > 195


@pytest.mark.parametrize("name", ["flip", "jitter", "grey", "blur"])
@pytest.mark.parametrize("probability", [0.0, 0.2, 0.8, 1.0])
def test_each_step_happens_as_often_as_asked(random_image, name, probability):
    rgb = random_image(24, 24)
    recipe = only(**{name: probability}, blur_sigma=(1.0, 2.0))
    changed = (views(rgb, 24, recipe, 400) != rgb).any(axis=(1, 2, 3)).mean()
    assert abs(changed - probability) <= 4 * np.sqrt(probability * (1 - probability) / 400)


def test_flip_grey_and_blur(random_image):
    rgb = random_image(24, 24)
    np.testing.assert_array_equal(views(rgb, 24, only(flip=1), 1)[0], rgb[:, ::-1])
    grey = views(rgb, 24, only(grey=1), 1)[0].astype(int)
    np.testing.assert_array_equal(grey, grey[:, :, :1].repeat(3, axis=2))
    assert np.abs(grey[:, :, 0] - rgb @ GREY).max() <= 1
    sigma = 1.3
    window = np.exp(-0.5 * (np.arange(-2, 3) / sigma) ** 2)
    window /= window.sum()
    padded = np.pad(rgb.astype(float), ((2, 2), (2, 2), (0, 0)), mode="reflect")
    wanted = sum(window[i] * window[j] * padded[i : i + 24, j : j + 24] for i in range(5) for j in range(5))
    blurred = views(rgb, 24, only(blur=1, blur_sigma=(sigma, sigma)), 1)[0]
    assert np.abs(blurred - wanted).max() <= 1.5


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.0, 1.4, 2.5])
def test_brightness_contrast_saturation(random_image, factor):
    rgb = random_image(24, 24)
    pixels = rgb.astype(np.float64)
    grey = (pixels @ GREY)[:, :, None]
    wanted = {
        steps.adjust_brightness: factor * pixels,
        steps.adjust_contrast: factor * pixels + (1 - factor) * grey.mean(),
        steps.adjust_saturation: factor * pixels + (1 - factor) * grey,
    }
    for step, values in wanted.items():
        assert np.abs(step(rgb, factor) - np.clip(values, 0, 255)).max() <= 0.75, step.__name__
        if factor == 1:
            np.testing.assert_array_equal(step(rgb, factor), rgb)


@pytest.mark.parametrize("shift", [-0.5, -0.1, 0.03, 0.25, 0.5])
def test_hue(random_image, shift):
    rgb = random_image(16, 16)
    wanted = (
        np.array(
            [
                colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value)
                for hue, saturation, value in (colorsys.rgb_to_hsv(*pixel) for pixel in rgb.reshape(-1, 3) / 255)
            ]
        ).reshape(16, 16, 3)
        * 255
    )
    difference = np.abs(steps.shift_hue(rgb, shift) - wanted)
    assert difference.mean() < 2 and difference.max() < 12
    np.testing.assert_array_equal(steps.shift_hue(rgb, 0.0), rgb)
    grey = np.full((4, 4, 3), 90, np.uint8)
    np.testing.assert_array_equal(steps.shift_hue(grey, shift), grey)


def test_jitter_draws_its_ranges_and_its_order(random_image):
    flat = np.full((4, 4, 3), 100, np.uint8)
    level = views(flat, 4, only(jitter=1, contrast=0, saturation=0, hue=0), 2000)[:, 0, 0, 0]
    assert level.min() == 60 and level.max() == 140 and abs(level.mean() - 100) < 2.5
    hue = np.full((4, 4, 3), (200, 50, 50), np.uint8)
    turned = views(hue, 4, only(jitter=1, brightness=0, contrast=0, saturation=0), 500)[:, 0, 0]
    shift = cv2.cvtColor(turned[None], cv2.COLOR_RGB2HSV)[0, :, 0].astype(int)
    shift = (shift + 90) % 180 - 90
    assert -19 <= shift.min() <= -16 and 16 <= shift.max() <= 19


def test_jitter_takes_its_steps_in_every_order():
    """Brightness first clips the bright half, so that bright + dark stays at 255; contrast first lets it grow."""
    half = np.zeros((4, 4, 3), np.uint8)
    half[:2] = 250
    recipe = only(jitter=1, brightness=1, contrast=1, saturation=0, hue=0)
    bright, dark = views(half, 4, recipe, 1000)[:, ::3, 0, 0].astype(int).T
    total = (bright + dark)[(bright < 255) & (dark > 0)]
    assert (total > 265).sum() > 20 and (np.abs(total - 255) <= 2).sum() > 60


@pytest.mark.parametrize(
    "values, word",
    [
        ({"flip": 1.2}, "flip"),
        ({"jitter": -0.1}, "jitter"),
        ({"crop_scale": 0}, "crop_scale"),
        ({"crop_scale": 1.5}, "crop_scale"),
        ({"hue": 0.6}, "hue"),
        ({"blur_kernel": 4}, "odd"),
        ({"blur_sigma": [2, 1]}, "rise"),
        ({"blur_sigma": [1]}, "2 values"),
        ({"brightnes": 1}, "brightness"),
        ({"contrast": -1}, "contrast"),
    ],
)
def test_wrong_recipes(values, word):
    with pytest.raises(ConfigError, match=word):
        build(AugmentationConfig, values, "demo.yaml")
    assert build(AugmentationConfig, {"blur": 0, "crop_scale": 0.8}, "demo.yaml").crop_scale == 0.8


def test_wrong_pixels():
    for array in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)):
        with pytest.raises(ImageError, match="H, W, 3"):
            augment(array, 4, np.random.default_rng(0), OFF)
