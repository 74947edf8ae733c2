"""An RGB image to the size that a model reads: resized by the rule of a pixel profile, its centre cut out.

Profiles differ in the sides after the resize and in where the centre crop begins (`resized_sides`, `CENTRES`); the
tests state what is equal to the release's code and to that of other projects.
"""

import math

import numpy as np

from ...config.model import PIXEL_PROFILES, PixelProfile
from .limits import DEFAULT_LIMITS, Limits, check_pixels, image_error
from .placement import Cut, Placement
from .tensor_resize import tensor_resize

OFFICIAL = PIXEL_PROFILES["official"]
# Where a centred crop begins, from half of what is cut off: the release's rule, the floor of PaddleNLP, PaddleClas and
# transformers, and torchvision's rounding, half to even.
CENTRES = {
    "official": math.ceil,
    "short_side": math.floor,
    "paddleclas": math.floor,
    "torchvision": round,
    "square": round,
}


def resized_sides(height: int, width: int, size: int, rule: str = "official") -> tuple[int, int]:
    """(height, width) after the short side became `size`, by a rule of PixelProfile.resize.

    `official`: the long side is int(size / short * long) + 1 in this order of float operations, a square counts as
    wide, and an image whose short side is `size` already stays as it is. `short_side` and `torchvision`:
    int(size * long / short). `paddleclas`: round(long * (size / short)), half to even. `square`: both become `size`.
    """
    if rule == "square":
        return size, size
    short, long = min(height, width), max(height, width)
    if rule == "official":
        if short == size:
            return height, width
        stretched = int(size / short * long) + 1
    elif rule == "paddleclas":
        stretched = round(long * (size / short))
    else:
        stretched = int(size * long / short)
    return (stretched, size) if width < height else (size, stretched)


def resized_within(
    sides: tuple[int, int], size: int, profile: PixelProfile = OFFICIAL, limits: Limits = DEFAULT_LIMITS
) -> tuple[int, int]:
    """`resized_sides` of (height, width); ImageError where they are over the limit and not what they were."""
    height, width = resized_sides(*sides, size, profile.resize)
    if height * width > limits.max_pixels and (height, width) != tuple(sides):
        raise image_error(
            "too large",
            f"an image of {sides[1]} x {sides[0]} pixels would be resized to {width} x {height}, "
            f"over the limit of {limits.max_pixels} pixels; cut it to a less extreme shape",
        )
    return height, width


def resize_short(
    rgb: np.ndarray,
    size: int,
    profile: PixelProfile = OFFICIAL,
    limits: Limits = DEFAULT_LIMITS,
    sides: tuple[int, int] | None = None,
) -> np.ndarray:
    """RGB uint8 [H, W, 3] with the short side resized to `size` pixels by the profile's rule, library and filter.

    The rule `square` resizes both sides. sides: (height, width) of the full image, when `rgb` is a reduced decode of
    it; the rule goes by them. The interpolation `tensor` is OpenCV's linear here, which is the same but for rounding:
    uint8 pixels are what training varies.
    """
    height, width = resized_within(sides or rgb.shape[:2], size, profile, limits)
    if (height, width) == rgb.shape[:2]:
        return rgb
    if profile.decoder == "pil" and profile.interpolation != "tensor":
        from PIL import Image

        method = Image.Resampling.BICUBIC if profile.interpolation == "bicubic" else Image.Resampling.BILINEAR
        return np.asarray(Image.fromarray(rgb).resize((width, height), method))
    import cv2

    method = cv2.INTER_CUBIC if profile.interpolation == "bicubic" else cv2.INTER_LINEAR
    return cv2.resize(rgb, (width, height), interpolation=method)


def crop(
    rgb: np.ndarray,
    profile: PixelProfile = OFFICIAL,
    limits: Limits = DEFAULT_LIMITS,
    sides: tuple[int, int] | None = None,
) -> np.ndarray:
    """The centre square of an RGB uint8 array [H, W, 3] after the resize of the profile: uint8 [S, S, 3], or float32 in
    [0, 1] where its interpolation is `tensor`.

    sides: (height, width) of the full image, when `rgb` is a reduced decode of it. The sides before the crop are those
    of `resized_sides`; where the crop begins is `CENTRES`. Raises ImageError for another kind of array, and where the
    resized image would be over limits.max_pixels.
    """
    check_pixels(rgb, 3, "an array", "give an RGB uint8 array [H, W, 3]")
    size, (top, left, _) = profile.size, centre(sides or rgb.shape[:2], profile, limits).cut
    if profile.interpolation == "tensor":
        resized = tensor_resize(rgb, profile.resized)
    else:
        resized = resize_short(rgb, profile.resized, profile, limits, sides)
    return np.ascontiguousarray(resized[top : top + size, left : left + size])


def centre(sides: tuple[int, int], profile: PixelProfile = OFFICIAL, limits: Limits = DEFAULT_LIMITS) -> Placement:
    """Where `crop` puts the pixels of an image of `sides` (height, width)."""
    resized = resized_within(sides, profile.resized, profile, limits)
    cut = Cut(*(CENTRES[profile.resize]((side - profile.size) / 2) for side in resized))
    return Placement(sides, resized, profile.size, cut)
