"""From an image to pixels, by pixel profile: decoded, resized and cropped, normalised.

The profile `official` gives the release's bytes, `bicubic` those of PaddleNLP's processor, `brivl` the floats of BriVL.
"""

import functools

import numpy as np

from ...config.model import PixelProfile
from .decode import decode_for
from .inputs import AnyImage
from .limits import DEFAULT_LIMITS, Limits, check_pixels
from .resize import OFFICIAL, crop


def preprocess(image: AnyImage, profile: PixelProfile = OFFICIAL, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
    """Any image that `decode` takes, as float32 [3, S, S]; raises ImageError."""
    rgb, sides = decode_for(image, None, profile, limits)
    return normalise(crop(rgb, profile, limits, sides)[None], profile)[0]


def normalise(crops: np.ndarray, profile: PixelProfile = OFFICIAL) -> np.ndarray:
    """(x / 255 - mean) / std of uint8 crops [B, S, S, 3], as contiguous float32 [B, 3, S, S]; of float32 crops, whose
    pixels are in [0, 1] already, (x - mean) / std.

    A table of the 256 values per channel, rounded where the release rounds: equal to it in every bit.
    """
    import cv2

    if getattr(crops, "dtype", None) == np.float32 and crops.ndim == 4 and crops.shape[-1] == 3:
        pixels = np.ascontiguousarray(crops.transpose(0, 3, 1, 2))
        mean, std = (np.array(values, np.float32)[:, None, None] for values in (profile.mean, profile.std))
        return (pixels - mean) / std
    check_pixels(crops, 4, "a batch of crops", "give uint8 crops [B, S, S, 3]")
    tables = normalisation_tables(tuple(profile.mean), tuple(profile.std))
    pixels = np.empty((len(crops), 3, *crops.shape[1:3]), dtype=np.float32)
    for one, planes in zip(np.ascontiguousarray(crops), pixels, strict=True):
        for channel, plane, table in zip(cv2.split(one), planes, tables, strict=True):
            cv2.LUT(channel, table, dst=plane)
    return pixels


@functools.lru_cache(maxsize=8)
def normalisation_tables(mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """float32 [3, 256]; the release subtracts and divides a float32 array by float64 constants, in place."""
    table = np.tile(np.arange(256, dtype=np.float32) / np.float32(255), (3, 1))
    table -= np.asarray(mean, dtype=np.float64)[:, None]
    table /= np.asarray(std, dtype=np.float64)[:, None]
    return table
