"""A pixel profile from a preprocessor_config.json, as PaddleNLP and Hugging Face write it, and back."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ...config.model import PixelProfile
from ...messages import brief

FILTERS = {2: "linear", 3: "bicubic"}
"""Pillow's numbers of the filters that a profile may name."""


def profile_of(settings: Mapping[str, Any], size: int, preset: PixelProfile) -> tuple[PixelProfile, list[str]]:
    """(PixelProfile for images of `size`, notes) of what a preprocessor_config.json says; the preset for {}.

    Where the file asks for what no profile is, the preset stands and a note says so.
    """
    default = dataclasses.replace(preset, size=size)
    if not settings:
        return default, ["no preprocessor_config.json lies beside the weights: pixels as this model's kind has them"]
    short, crop = side_of(settings.get("size"), "shortest_edge"), side_of(settings.get("crop_size"), "height")
    whole = side_of(settings.get("size"), "height")
    cropped, filter_ = settings.get("do_center_crop", True), settings.get("resample", 3)
    notes = []
    interpolation = FILTERS.get(filter_) if type(filter_) is int else None
    if interpolation is None:
        asked = brief(str(filter_), 20)
        notes.append(f"Pillow's filter {asked} is no filter of a pixel profile, {preset.interpolation} is taken")
    if cropped and crop != size or not cropped and whole != size:
        notes.append(f"preprocessor_config.json ends in another size than {size}, the model's; {size} is taken")
    if not settings.get("do_resize", True) or not settings.get("do_normalize", True):
        notes.append("preprocessor_config.json leaves out resizing or normalising, a pixel profile does both")
    factor = settings.get("rescale_factor", 1 / 255)
    if type(factor) is not float or not abs(factor - 1 / 255) <= 1e-6:
        notes.append("preprocessor_config.json does not scale pixels by 1/255, a pixel profile does")
    told = {name: settings.get(f"image_{name}", getattr(preset, name)) for name in ("mean", "std")}
    for name in [name for name, values in told.items() if not isinstance(values, (list, tuple))]:
        notes.append(f"preprocessor_config.json gives no numbers as image_{name}, those of this model's kind are taken")
        del told[name]
    profile = dataclasses.replace(
        default,
        decoder="pil",
        interpolation=interpolation or preset.interpolation,
        resize="short_side" if cropped else "square",
        resize_to=short if cropped and short not in (None, size) else 0,
        **{name: tuple(values) for name, values in told.items()},
    )
    return profile, notes


def side_of(value: Any, name: str) -> int | None:
    """A number from a plain side or from a dictionary with `name`, None where it is something else."""
    value = value.get(name) if type(value) is dict else value
    return value if type(value) is int and value > 0 else None


def settings_of(profile: PixelProfile, processor: str) -> tuple[dict[str, Any], list[str]]:
    """(preprocessor_config.json of a profile, notes): `processor` is the class that reads it."""
    notes = []
    if profile.decoder != "pil" or profile.resize == "official":
        notes.append("PaddleNLP resizes with Pillow and cannot give this model's pixels; bicubic is written for it")
    numbers = {name: number for number, name in FILTERS.items()}
    filter_ = numbers[profile.interpolation] if profile.decoder == "pil" else numbers["bicubic"]
    square = profile.resize == "square"
    side = {"height": profile.size, "width": profile.size}
    return {
        "image_processor_type": processor,
        "do_resize": True,
        "do_center_crop": not square,
        "do_rescale": True,
        "do_normalize": True,
        "do_convert_rgb": True,
        "resample": filter_,
        "rescale_factor": 1 / 255,
        "size": side if square else {"shortest_edge": profile.resize_to or profile.size},
        "crop_size": side,
        "image_mean": list(profile.mean),
        "image_std": list(profile.std),
    }, notes
