"""The part of a client that turns a picture's file into pixels, for each pixel profile: source code of Python."""

from ..config.model import PixelProfile
from .pixels_description import FILTERS, LONG_SIDES, ORDER, centre_of

TAPS = '''
def taps(length, side):
    """The two pixels of an axis that each of `side` is mixed from, and the share of the second."""
    place = np.float64(np.float32(length) / np.float32(side)) * (np.arange(side) + 0.5) - 0.5
    place = np.maximum(place, 0).astype(np.float32)
    first = np.minimum(place.astype(np.int64), length - 1)
    return first, np.minimum(first + 1, length - 1), (place - first.astype(np.float32))[:, None]

'''
MIXED = """\
    image = np.asarray(image) / np.float32(255)
    (left, right, share), (top, bottom, down) = taps(image.shape[1], width), taps(image.shape[0], height)
    image = image[:, left] * (1 - share) + image[:, right] * share
    image = image[top] * (1 - down[..., None]) + image[bottom] * down[..., None]
"""
OPENCV = """\
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path}: no picture that OpenCV decodes")
    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    height, width = image.shape[:2]
"""
PILLOW = """\
    image = Image.open(path)
"""
NOT_WIDE = """\
    if image.mode[0] in "IF":
        raise ValueError(f"{path}: has over 8 bits a colour; save it with 8")
"""
CONVERTED = """\
    image = image.convert("RGB")
    width, height = image.size
"""
SIDES = """\
    size, resize_to, short, long = PIXELS["size"], PIXELS["resize_to"], *sorted((height, width))
    long = {long_side}
    height, width = {order}
"""
SQUARE = """\
    size, height, width = PIXELS["size"], PIXELS["resize_to"], PIXELS["resize_to"]
"""
CUT = """\
    top, left = ({centre}((side - size) / 2) for side in (height, width))
    image = {image}[top : top + size, left : left + size]
"""
NORMALISED = """\
    image = image.astype(np.float32) / PIXELS["scale"]
    image -= PIXELS["mean"]
    image /= PIXELS["std"]
    return image.transpose(2, 0, 1)
"""
NORMALISED_FLOATS = """\
    return ((image - np.float32(PIXELS["mean"])) / np.float32(PIXELS["std"])).transpose(2, 0, 1)
"""
HEAD = '''
def pixels(path):
    """float32 [3, size, size] of a picture's file."""
'''


def imports(profile: PixelProfile) -> tuple[list[str], list[str]]:
    """The lines (of the standard library, of others) that import what `pixel_source` uses."""
    standard = ["import math"] if centre_of(profile).startswith("math.") else []
    return standard, ["import cv2"] if profile.decoder == "opencv" else ["from PIL import Image"]


def pixel_source(profile: PixelProfile) -> str:
    """The function `pixels` of a client, with what it calls; it reads PIXELS, which are those of export.json."""
    opencv, tensor = profile.decoder == "opencv", profile.interpolation == "tensor"
    parts = [TAPS if tensor else "", HEAD]
    if opencv:
        parts.append(OPENCV)
    else:
        parts += [PILLOW, NOT_WIDE if profile.wide_range == "scaled" else "", CONVERTED]
    if profile.resize == "square":
        parts.append(SQUARE)
    else:
        parts.append(SIDES.format(long_side=LONG_SIDES[profile.resize], order=ORDER))
    if tensor:
        parts.append(MIXED)
    elif opencv:
        used = FILTERS[profile.decoder, profile.interpolation]
        parts.append(f"    image = cv2.resize(image, (width, height), interpolation={used})\n")
    else:
        used = FILTERS[profile.decoder, profile.interpolation]
        parts.append(f"    image = image.resize((width, height), {used})\n")
    cut = "image" if opencv or tensor else "np.asarray(image)"
    parts += [CUT.format(centre=centre_of(profile), image=cut), NORMALISED_FLOATS if tensor else NORMALISED]
    return "".join(parts)
