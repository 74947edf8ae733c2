"""A pixel profile in words and numbers, so that a reader who has none of ours makes the same pixels of a picture.

Formulas are expressions of Python: what a client computes is what the description says.
"""

from typing import Any

from ..config.model import PixelProfile
from ..data.images.limits import DEFAULT_LIMITS
from ..data.images.resize import CENTRES
from ..versions import DISTRIBUTIONS, installed_version

LONG_SIDES = {
    "official": "long if short == resize_to else int(resize_to / short * long) + 1",
    "short_side": "int(resize_to * long / short)",
    "torchvision": "int(resize_to * long / short)",
    "paddleclas": "round(long * (resize_to / short))",
    "square": "resize_to",
}
"""{PixelProfile.resize: the long side after the resize, of the sides `short` and `long` before it}"""
ORDER = "(long, resize_to) if width < height else (resize_to, long)"
"""(height, width) after the resize, of those before it and of the new long side"""
LIBRARIES = {"opencv": ("OpenCV", DISTRIBUTIONS["opencv"]), "pil": ("Pillow", ("pillow",))}
FILTERS = {
    ("opencv", "linear"): "cv2.INTER_LINEAR",
    ("opencv", "bicubic"): "cv2.INTER_CUBIC",
    ("pil", "linear"): "Image.Resampling.BILINEAR",
    ("pil", "bicubic"): "Image.Resampling.BICUBIC",
}
"""{(decoder, interpolation): the library's name of the filter}; `tensor` is no library's"""
TENSOR = "linear between floats, without antialias, as torch's interpolate with align_corners=False"
DECODING = {
    "opencv": "EXIF orientation applied, alpha dropped and not composited, 16 bits cut to the high byte",
    "pil": "EXIF orientation not applied, alpha dropped and not composited (Image.convert('RGB'))",
}
WIDE = {
    "scaled": "16-bit grey by its high byte, floats from 0..1 or 0..255; the client refuses such pictures",
    "clipped": "16-bit grey and floats are cut off at 255 (Image.convert('RGB'))",
}
REFUSED = (
    "This project refuses damaged files, which the library alone may show in part, and pictures so long and thin that "
    f"the resize would give over {DEFAULT_LIMITS.max_pixels:,} pixels; it decodes JPEGs of over that at a reduced size."
)


def pixels_description(profile: PixelProfile) -> dict[str, Any]:
    """What export.json says of the pixels [B, 3, size, size] that a picture becomes."""
    library, distributions = LIBRARIES[profile.decoder]
    used, version = installed(distributions)
    named = FILTERS.get((profile.decoder, profile.interpolation))
    return {
        "in_words": [line for line in sentences(profile) if line],
        "decoder": {
            "library": library,
            "distribution": used,
            "version": version,
            "exif_orientation": profile.decoder == "opencv",
            "alpha": "dropped",
            "wide_range": profile.wide_range if profile.decoder == "pil" else "high byte",
        },
        "colours": "RGB",
        "resize_to": profile.resized,
        "resize": {
            "library": library if named else "none",
            "filter": named or TENSOR,
            "short_side": "resize_to",
            "long_side": LONG_SIDES[profile.resize],
            "height_and_width": ORDER,
            "gives": "whole numbers from 0 to 255" if named else "floats in [0, 1]",
        },
        "size": profile.size,
        "crop": {"top_and_left": f"{centre_of(profile)}((side - size) / 2)"},
        "scale": 255 if named else 1,
        "mean": list(profile.mean),
        "std": list(profile.std),
        "normalised": "(pixel / scale - mean) / std, for each of the three colours",
        "layout": "NCHW",
        "dtype": "float32",
    }


def sentences(profile: PixelProfile) -> tuple[str, ...]:
    """The way of a picture, step by step."""
    library = LIBRARIES[profile.decoder][0]
    square = profile.resize == "square"
    named = FILTERS.get((profile.decoder, profile.interpolation))
    by = f"{library}, {named}" if named else TENSOR
    return (
        f"{library} decodes the file to RGB: {DECODING[profile.decoder]}.",
        f"Of over 8 bits a colour: {WIDE[profile.wide_range]}." if profile.decoder == "pil" else "",
        f"{'Both sides become' if square else 'The short side becomes'} {profile.resized} pixels"
        f"{'' if square else f', the long side {LONG_SIDES[profile.resize]}'}; {by}.",
        f"A square of {profile.size} is cut out of the centre, from {centre_of(profile)}((side - size) / 2) on.",
        "Each colour becomes (pixel / scale - mean) / std, float32, colours before rows.",
        REFUSED,
    )


def centre_of(profile: PixelProfile) -> str:
    """What rounds half of what is cut off, as Python names it."""
    function = CENTRES[profile.resize]
    return function.__name__ if function.__module__ == "builtins" else f"{function.__module__}.{function.__name__}"


def installed(distributions: tuple[str, ...]) -> tuple[str, str | None]:
    """(name, version) of the first of several distributions that is installed; those of the last where none is."""
    name = next(filter(installed_version, distributions), distributions[-1])
    return name, installed_version(name)
