"""Training pixels as the release makes them: resize, random crop, flip, colour jitter, grey, blur.

The steps, their order and their defaults are the release's; the jitter means what torchvision's ColorJitter means
(contrast turns around the image's mean grey, the four steps come in random order). All randomness comes from the
generator that the caller passes, so a sampler that keys generators by seed, epoch and index gets the same pixels again.
Every step works on uint8. What decides how finely the image must be decoded, `draw_short`, is drawn first.
"""

import cv2
import numpy as np

from ...config.augmentation import AugmentationConfig
from .limits import DEFAULT_LIMITS, Limits, check_pixels
from .placement import Cut
from .resize import OFFICIAL, resize_short

GREY_WEIGHTS = np.array([0.299, 0.587, 0.114])
RELEASED = AugmentationConfig()


def augment(
    rgb: np.ndarray,
    size: int,
    rng: np.random.Generator,
    recipe: AugmentationConfig = RELEASED,
    limits: Limits = DEFAULT_LIMITS,
) -> np.ndarray:
    """A random view of an RGB uint8 array [H, W, 3]: contiguous uint8 [S, S, 3] with S = `size`.

    rng: np.random.Generator, advanced by a number of draws that depends on the outcome. recipe: AugmentationConfig.
    Raises ImageError for another kind of array or a shape too extreme to resize.
    """
    check_pixels(rgb, 3, "an array", "give an RGB uint8 array [H, W, 3]")
    short = draw_short(size, rng, recipe.crop_scale)
    return vary(resize_short(rgb, short, OFFICIAL, limits), size, rng, recipe)[0]


def draw_short(size: int, rng: np.random.Generator, scale: float = 1.0) -> int:
    """Pixels that the short side is resized to before a `size` square is cut out: size / f, f drawn from [scale, 1].

    f = 1 is the release's rule: the crop is as large as the short side.
    """
    return size if scale == 1 else max(size, round(size / rng.uniform(scale, 1.0)))


def vary(
    resized: np.ndarray, size: int, rng: np.random.Generator, recipe: AugmentationConfig = RELEASED
) -> tuple[np.ndarray, Cut]:
    """The steps after the resize: a random square of uint8 [h, w, 3] with flip, jitter, grey and blur as drawn, and
    where it was cut out."""
    top, left = (int(rng.integers(0, side - size, endpoint=True)) for side in resized.shape[:2])
    rgb = resized[top : top + size, left : left + size]
    mirrored = rng.random() < recipe.flip
    rgb = cv2.flip(rgb, 1) if mirrored else rgb.copy()  # OpenCV is twice as fast without gaps
    if rng.random() < recipe.jitter:
        rgb = jitter(rgb, rng, recipe)
    if rng.random() < recipe.grey:
        rgb = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < recipe.blur:
        window = cv2.getGaussianKernel(recipe.blur_kernel, rng.uniform(*recipe.blur_sigma))
        rgb = cv2.sepFilter2D(rgb, -1, window, window)
    return rgb, Cut(top, left, mirrored)


def jitter(rgb: np.ndarray, rng: np.random.Generator, recipe: AugmentationConfig = RELEASED) -> np.ndarray:
    """Brightness, contrast, saturation and hue changed by random amounts in random order: uint8 [H, W, 3]."""
    for step in rng.permutation(4):
        if step == 3:
            rgb = shift_hue(rgb, rng.uniform(-recipe.hue, recipe.hue))
        else:
            change = (adjust_brightness, adjust_contrast, adjust_saturation)[step]
            strength = (recipe.brightness, recipe.contrast, recipe.saturation)[step]
            rgb = change(rgb, rng.uniform(max(0.0, 1 - strength), 1 + strength))
    return rgb


def adjust_brightness(rgb: np.ndarray, factor: float) -> np.ndarray:
    """Every value times `factor` >= 0, rounded and clipped; 1 changes nothing."""
    return cv2.convertScaleAbs(rgb, alpha=factor)


def adjust_contrast(rgb: np.ndarray, factor: float) -> np.ndarray:
    """Distances from the image's mean grey times `factor` >= 0; 0 gives one flat grey, 1 changes nothing."""
    middle = float(np.dot(cv2.mean(rgb)[:3], GREY_WEIGHTS))
    return cv2.transform(rgb, np.column_stack([factor * np.eye(3), np.full(3, (1 - factor) * middle)]))


def adjust_saturation(rgb: np.ndarray, factor: float) -> np.ndarray:
    """Distances from each pixel's grey times `factor` >= 0; 0 gives a grey image, 1 changes nothing."""
    matrix = factor * np.eye(3) + (1 - factor) * np.tile(GREY_WEIGHTS, (3, 1))
    return cv2.transform(rgb, matrix)


def shift_hue(rgb: np.ndarray, shift: float) -> np.ndarray:
    """Hues moved by `shift` of the circle, in steps of 1/256 (8-bit HSV); under half a step nothing changes."""
    steps = round(shift * 256)
    if steps % 256 == 0:
        return rgb
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV_FULL)
    rows = hsv.reshape(len(hsv), -1)
    rows += np.tile(np.array([steps % 256, 0, 0], np.uint8), hsv.shape[1])  # over a whole row, which is fast
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)
