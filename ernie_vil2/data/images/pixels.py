"""From an image to pixels, by pixel profile: decode, resize and crop, normalise.

The profile `official` gives the release's bytes: OpenCV decodes (EXIF orientation applied, alpha dropped, 16 bits cut
to the high byte, the first frame of an animation) and resizes. `bicubic` gives those of PaddleNLP's processor: Pillow
decodes (EXIF orientation NOT applied) and resizes. There is no second decoder behind a failing one: a file that the
release could not read is an ImageError here, so that the same file gives the same pixels on every machine.
Profiles of other projects differ in the sides after the resize and in where the centre crop begins (`resized_sides`,
`CENTRES`); the tests state what is equal to them.
Training may ask for JPEGs at a half, a quarter or an eighth (`decode_for`); evaluation never does.
"""

import functools
import math
import os
import stat
import sys
from dataclasses import dataclass
from io import BytesIO

import numpy as np

from ...config.model import PIXEL_PROFILES
from ...errors import ImageError
from .headers import image_size, is_truncated

OFFICIAL = PIXEL_PROFILES["official"]
WANTED = "give a path, the bytes of a file, a PIL image or an RGB uint8 array [H, W, 3]"
REDUCED = (8, 4, 2)
# Where a centred crop begins, from half of what is cut off: the release's rule, the floor of PaddleNLP, PaddleClas and
# transformers, and torchvision's rounding, half to even.
CENTRES = {
    "official": math.ceil,
    "short_side": math.floor,
    "paddleclas": math.floor,
    "torchvision": round,
    "square": round,
}
JPEG = b"\xff\xd8\xff"
# Raster formats only: Pillow would hand EPS to an external program.
PIL_FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "GIF",
    "BMP",
    "DIB",
    "TIFF",
    "AVIF",
    "JPEG2000",
    "PPM",
    "SUN",
    "ICO",
    "TGA",
    "PCX",
)


@dataclass(frozen=True)
class Limits:
    """What is refused before anything is decoded: a file over max_bytes, or a header that declares over max_pixels.

    max_pixels bounds the resized image too, which a very long and thin image makes large.
    """

    max_pixels: int = 100_000_000
    max_bytes: int = 64 * 2**20


DEFAULT_LIMITS = Limits()


def decode(image, profile=OFFICIAL, limits=DEFAULT_LIMITS):
    """Any image as a contiguous RGB uint8 array [H, W, 3].

    image: path, bytes of a file, PIL image or RGB uint8 array (returned as it is). A PIL image under an OpenCV profile
    gives what its file would have given: EXIF orientation applied, alpha and transparency dropped and not composited,
    16 bits cut to 8, CMYK by OpenCV's formula. Raises ImageError for everything that cannot be used.
    """
    return decode_for(image, None, profile, limits)[0]


def decode_for(image, short, profile=OFFICIAL, limits=DEFAULT_LIMITS):
    """(RGB uint8 [h, w, 3], (H, W)) of an image whose short side is going to be resized to `short` pixels.

    Under an OpenCV profile a JPEG comes at the coarsest of 1/8, 1/4, 1/2 and 1 that is in neither direction under its
    resized size, so nothing is enlarged because of it, and the whole file need not be transformed. (H, W) are the sides
    of the full image, upright. short None decodes in full, as `decode` does.
    """
    if isinstance(image, np.ndarray):
        check_pixels(image, 3, "an array", WANTED)
        return np.ascontiguousarray(image), image.shape[:2]
    pil = sys.modules.get("PIL.Image")
    if pil is not None and isinstance(image, pil.Image):
        check_size(image.size, "a PIL image", limits)
        rgb = load_pil(lambda: image, "a PIL image", profile, limits)
        return rgb, rgb.shape[:2]
    if isinstance(image, (bytes, bytearray, memoryview)):
        count = memoryview(image).nbytes
        where = f"an image of {count} bytes"
        check_bytes(count, where, limits)
        data = bytes(image)
    elif isinstance(image, (str, os.PathLike)):
        where = os.fspath(image)
        data = read_file(where, limits)
    else:
        raise image_error("not an image", f"an object of type {type(image).__name__} is not an image; {WANTED}")
    if profile.decoder == "pil":
        rgb = decode_pil(data, where, profile, limits)
        return rgb, rgb.shape[:2]
    return decode_opencv(data, where, limits, short)


def reduction(height, width, short):
    """The factor of 8, 4, 2 and 1 by which a JPEG can be decoded smaller before its short side becomes `short`."""
    rows, columns = resized_sides(height, width, short)
    fitting = (factor for factor in REDUCED if -(-height // factor) >= rows and -(-width // factor) >= columns)
    return next(fitting, 1)


def crop(rgb, profile=OFFICIAL, limits=DEFAULT_LIMITS):
    """The centre square of an RGB uint8 array [H, W, 3] after the resize of the profile: uint8 [S, S, 3].

    The sides before the crop are those of `resized_sides`; where the crop begins is `CENTRES`. Raises ImageError for
    another kind of array, and where the resized image would be over limits.max_pixels.
    """
    check_pixels(rgb, 3, "an array", "give an RGB uint8 array [H, W, 3]")
    size = profile.size
    resized = resize_short(rgb, profile.resized, profile, limits)
    top, left = (CENTRES[profile.resize]((side - size) / 2) for side in resized.shape[:2])
    return np.ascontiguousarray(resized[top : top + size, left : left + size])


def normalise(crops, profile=OFFICIAL):
    """(x / 255 - mean) / std of uint8 crops [B, S, S, 3], as contiguous float32 [B, 3, S, S].

    A table of the 256 values per channel, rounded where the release rounds: equal to it in every bit.
    """
    import cv2

    check_pixels(crops, 4, "a batch of crops", "give uint8 crops [B, S, S, 3]")
    tables = normalisation_tables(tuple(profile.mean), tuple(profile.std))
    pixels = np.empty((len(crops), 3, *crops.shape[1:3]), dtype=np.float32)
    for one, planes in zip(np.ascontiguousarray(crops), pixels, strict=True):
        for channel, plane, table in zip(cv2.split(one), planes, tables, strict=True):
            cv2.LUT(channel, table, dst=plane)
    return pixels


def preprocess(image, profile=OFFICIAL, limits=DEFAULT_LIMITS):
    """Any image that `decode` takes, as float32 [3, S, S]; raises ImageError."""
    return normalise(crop(decode(image, profile, limits), profile, limits)[None], profile)[0]


def resized_sides(height, width, size, rule="official"):
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


def resize_short(rgb, size, profile=OFFICIAL, limits=DEFAULT_LIMITS, sides=None):
    """RGB uint8 [H, W, 3] with the short side resized to `size` pixels by the profile's rule, library and filter.

    The rule `square` resizes both sides. sides: (height, width) of the full image, when `rgb` is a reduced decode of
    it; the rule goes by them.
    """
    height, width = resized_sides(*(sides or rgb.shape[:2]), size, profile.resize)
    if (height, width) == rgb.shape[:2]:
        return rgb
    if height * width > limits.max_pixels:
        raise image_error(
            "too large",
            f"an image of {rgb.shape[1]} x {rgb.shape[0]} pixels would be resized to {width} x {height}, "
            f"over the limit of {limits.max_pixels} pixels; cut it to a less extreme shape",
        )
    if profile.decoder == "pil":
        from PIL import Image

        method = Image.Resampling.BICUBIC if profile.interpolation == "bicubic" else Image.Resampling.BILINEAR
        return np.asarray(Image.fromarray(rgb).resize((width, height), method))
    import cv2

    method = cv2.INTER_CUBIC if profile.interpolation == "bicubic" else cv2.INTER_LINEAR
    return cv2.resize(rgb, (width, height), interpolation=method)


@functools.lru_cache(maxsize=8)
def normalisation_tables(mean, std):
    """float32 [3, 256]; the release subtracts and divides a float32 array by float64 constants, in place."""
    table = np.tile(np.arange(256, dtype=np.float32) / np.float32(255), (3, 1))
    table -= np.asarray(mean, dtype=np.float64)[:, None]
    table /= np.asarray(std, dtype=np.float64)[:, None]
    return table


def image_error(cause, message):
    """An ImageError with the fixed name of its cause, to count by."""
    error = ImageError(message)
    error.cause = cause
    return error


def check_pixels(array, dimensions, what, wanted):
    shape = getattr(array, "shape", ())
    if getattr(array, "dtype", None) != np.uint8 or len(shape) != dimensions or shape[-1] != 3 or 0 in shape[-3:]:
        kind = f"type {type(array).__name__}"
        if isinstance(array, np.ndarray):
            kind = f"dtype {array.dtype} and shape {list(shape)}"
        raise image_error("not an image", f"{what} of {kind} does not hold RGB pixels; {wanted}")


def check_bytes(count, where, limits):
    if count == 0:
        raise image_error("empty image", f"{where}: is empty; fetch or export the image again")
    if count > limits.max_bytes:
        raise image_error(
            "too large",
            f"{where}: {count} bytes are over the limit of {limits.max_bytes}; "
            "make the file smaller or raise max_bytes",
        )


def check_size(size, where, limits):
    width, height = size
    if width < 1 or height < 1:
        raise image_error(
            "broken image", f"{where}: declares {width} x {height} pixels, so it is broken; fetch or export it again"
        )
    if width * height > limits.max_pixels:
        raise image_error(
            "too large",
            f"{where}: {width} x {height} pixels are over the limit of {limits.max_pixels}; "
            "make the image smaller or raise max_pixels",
        )


def read_file(path, limits):
    """The bytes of a regular file within the limit; read here, so that OpenCV need not open non-ASCII paths."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise image_error("unreadable file", f"{path}: is {kind}; give an image file")
        check_bytes(status.st_size, path, limits)
        with open(path, "rb") as handle:
            return handle.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise image_error(
            "unreadable file", f"{path}: cannot be read ({reason}); correct the path or its permissions"
        ) from None


@functools.cache
def opencv():
    """OpenCV, its log silenced unless OPENCV_LOG_LEVEL is set: a broken image is reported once, by its ImageError."""
    import cv2

    if "OPENCV_LOG_LEVEL" not in os.environ:
        logging = getattr(cv2.utils, "logging", cv2)
        if hasattr(logging, "setLogLevel"):
            logging.setLogLevel(0)
    return cv2


def decode_opencv(data, where, limits, short=None):
    cv2 = opencv()
    size = image_size(data)
    if size is None:
        raise image_error(
            "not an image",
            f"{where}: is not an image that OpenCV decodes (JPEG, PNG, WebP, GIF, BMP, "
            "TIFF, AVIF, JPEG 2000, PNM, HDR), or it ends within its header; convert it to JPEG or PNG",
        )
    check_size(size, where, limits)
    if is_truncated(data):
        raise image_error(
            "truncated image", f"{where}: is truncated (its end marker is missing); fetch or export the image again"
        )
    width, height = size
    factor = reduction(height, width, short) if short and data[:3] == JPEG else 1
    mode = cv2.IMREAD_COLOR if factor == 1 else getattr(cv2, f"IMREAD_REDUCED_COLOR_{factor}")
    try:
        bgr = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), mode)
    except cv2.error:
        bgr = None
    if bgr is None or bgr.dtype != np.uint8 or bgr.ndim != 3:
        raise image_error(
            "broken image",
            f"{where}: is broken, cut short or of a kind that OpenCV {cv2.__version__} "
            "cannot decode; convert it to JPEG or PNG, or fetch it again",
        )
    rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    if factor == 1:
        return rgb, rgb.shape[:2]
    rows, columns = rgb.shape[:2]
    turned = rows != columns and (height > width) != (rows > columns)  # by the EXIF orientation
    return rgb, (width, height) if turned else (height, width)


def decode_pil(data, where, profile, limits):
    from PIL import Image

    size = image_size(data)
    if size is not None:
        check_size(size, where, limits)
    return load_pil(lambda: Image.open(BytesIO(data), formats=PIL_FORMATS), where, profile, limits)


def load_pil(opened, where, profile, limits):
    """The pixels of the PIL image that `opened` returns; Pillow raises errors of many types for broken files."""
    from .pil_modes import as_opencv, as_pil

    try:
        image = opened()
        check_size(image.size, where, limits)
        return as_opencv(image) if profile.decoder == "opencv" else as_pil(image)
    except ImageError:
        raise
    except Exception as error:
        raise image_error(
            "broken image",
            f"{where}: cannot be decoded by Pillow ({error}); convert it to JPEG or PNG, or fetch it again",
        ) from None
