"""An image of any kind to RGB bytes, by the decoder of a pixel profile.

The profile `official` gives the release's bytes: OpenCV decodes (EXIF orientation applied, alpha dropped, 16 bits cut
to the high byte, the first frame of an animation). `bicubic` gives those of PaddleNLP's processor: Pillow decodes (EXIF
orientation NOT applied), and so does `brivl`. There is no second decoder behind a failing one: a file that the release
could not read is an ImageError here, so that the same file gives the same pixels on every machine.
A file that ends early is refused under every profile, also where damaged ones are kept. BriVL's release has Pillow take
such files, with nothing in the part that is missing: of those there are no pixels here.
Training may ask for JPEGs at a half, a quarter or an eighth (`decode_for`); evaluation never does.
"""

import functools
import os
import stat
import sys
from collections.abc import Callable
from io import BytesIO
from types import ModuleType
from typing import TYPE_CHECKING, Union

import numpy as np

from ...config.model import PixelProfile
from ...errors import ImageError, advice, exhausted
from .damage import damage
from .headers import image_size, is_truncated
from .jpeg import has_ink, jpeg_pixels, upright
from .limits import DEFAULT_LIMITS, Limits, check_bytes, check_pixels, check_size, image_error
from .resize import OFFICIAL, resized_sides

if TYPE_CHECKING:
    from PIL.Image import Image

AnyImage = Union[str, os.PathLike, bytes, bytearray, memoryview, np.ndarray, "Image"]
"""A path, the bytes of a file, RGB uint8 [H, W, 3], or a PIL image"""
WANTED = "give a path, the bytes of a file, a PIL image or an RGB uint8 array [H, W, 3]"
REDUCED = (8, 4, 2)
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


def decode(image: AnyImage, profile: PixelProfile = OFFICIAL, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
    """Any image as a contiguous RGB uint8 array [H, W, 3].

    image: path, bytes of a file, PIL image or RGB uint8 array (returned as it is). A PIL image under an OpenCV profile
    gives what its file would have given: EXIF orientation applied, alpha and transparency dropped and not composited,
    16 bits cut to 8, CMYK by OpenCV's formula. Raises ImageError for everything that cannot be used.
    """
    return decode_for(image, None, profile, limits)[0]


def decode_for(
    image: AnyImage, short: int | None, profile: PixelProfile = OFFICIAL, limits: Limits = DEFAULT_LIMITS
) -> tuple[np.ndarray, tuple[int, int]]:
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


def applied_orientation(image: AnyImage, profile: PixelProfile = OFFICIAL) -> int:
    """The EXIF orientation, 1 to 8, by which `decode` turns an image that it can decode."""
    if profile.decoder == "pil" or isinstance(image, np.ndarray):
        return 1
    from PIL import Image

    from .pil_modes import orientation

    if isinstance(image, Image.Image):
        return orientation(image)
    try:
        file = BytesIO(image) if isinstance(image, (bytes, bytearray, memoryview)) else image
        with Image.open(file, formats=PIL_FORMATS) as opened:
            return orientation(opened)
    except Exception:  # Pillow raises errors of many types for what it does not know
        return 1


def reduction(height: int, width: int, short: int) -> int:
    """The factor of 8, 4, 2 and 1 by which a JPEG can be decoded smaller before its short side becomes `short`."""
    rows, columns = resized_sides(height, width, short)
    fitting = (factor for factor in REDUCED if -(-height // factor) >= rows and -(-width // factor) >= columns)
    return next(fitting, 1)


def read_file(path: str, limits: Limits) -> bytes:
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
        if exhausted(error):
            raise
        reason = getattr(error, "strerror", None) or error
        raise image_error(
            "unreadable file",
            f"{path}: cannot be read ({reason}); {advice(error, 'correct the path or its permissions')}",
        ) from None


@functools.cache
def opencv() -> ModuleType:
    """OpenCV, its log silenced unless OPENCV_LOG_LEVEL is set: a broken image is reported once, by its ImageError."""
    import cv2

    if "OPENCV_LOG_LEVEL" not in os.environ:
        logging = getattr(cv2.utils, "logging", cv2)
        if hasattr(logging, "setLogLevel"):
            logging.setLogLevel(0)
    return cv2


def decode_opencv(
    data: bytes, where: str, limits: Limits, short: int | None = None
) -> tuple[np.ndarray, tuple[int, int]]:
    cv2 = opencv()
    size = image_size(data)
    if size is None:
        raise image_error(
            "not an image",
            f"{where}: is not an image that OpenCV decodes (JPEG, PNG, WebP, GIF, BMP, "
            "TIFF, AVIF, JPEG 2000, PNM, HDR), or it ends within its header; convert it to JPEG or PNG",
        )
    check_size(size, where, limits)
    refuse_truncated(data, where)
    width, height = size
    factor = 1
    if data[:3] == JPEG:
        factor = reduction(height, width, short) if short else 1
        rgb = checked_jpeg(data, where, limits, *(() if factor == 1 else (-(-height // factor), -(-width // factor))))
        if rgb is not None:
            return upright_sides(upright(rgb, data), factor, height, width)
    else:
        refuse_damaged(damage(data), where, limits)
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
    return upright_sides(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), factor, height, width)


def upright_sides(rgb: np.ndarray, factor: int, height: int, width: int) -> tuple[np.ndarray, tuple[int, int]]:
    """(rgb, sides of the full image): those of its header, changed over where the picture is turned."""
    if factor == 1:
        return rgb, rgb.shape[:2]
    rows, columns = rgb.shape[:2]
    turned = rows != columns and (height > width) != (rows > columns)  # by the EXIF orientation
    return rgb, (width, height) if turned else (height, width)


def refuse_truncated(data: bytes, where: str) -> None:
    if is_truncated(data):
        raise image_error(
            "truncated image", f"{where}: is truncated (its end marker is missing); fetch or export the image again"
        )


def refuse_damaged(fault: str, where: str, limits: Limits) -> None:
    """ImageError for a file that would be shown in part, unless such are to be kept."""
    if fault and not limits.keep_damaged:
        raise image_error(
            "damaged image",
            f"{where}: is damaged, so that a part of the picture is wrong ({fault}); fetch or export the image again, "
            "or keep such pictures as they are with data.damaged: keep or --damaged keep",
        )


def checked_jpeg(data: bytes, where: str, limits: Limits, rows: int = 0, columns: int = 0) -> np.ndarray | None:
    """RGB pixels as stored, of a scale with `rows` x `columns`; None where only another decoder can say more."""
    rgb, fault = jpeg_pixels(data, rows, columns)
    refuse_damaged(fault, where, limits)
    return rgb


def decode_pil(data: bytes, where: str, profile: PixelProfile, limits: Limits) -> np.ndarray:
    from PIL import Image

    size = image_size(data)
    if size is not None:
        check_size(size, where, limits)
        refuse_truncated(data, where)
    if data[:3] != JPEG:
        refuse_damaged(damage(data), where, limits)
    elif has_ink(data):
        checked_jpeg(data, where, limits, 1, 1)
    elif (rgb := checked_jpeg(data, where, limits)) is not None:
        return rgb
    return load_pil(lambda: Image.open(BytesIO(data), formats=PIL_FORMATS), where, profile, limits)


def load_pil(opened: "Callable[[], Image]", where: str, profile: PixelProfile, limits: Limits) -> np.ndarray:
    """The pixels of the PIL image that `opened` returns; Pillow raises errors of many types for broken files."""
    from .pil_modes import as_opencv, as_pil

    try:
        image = opened()
        check_size(image.size, where, limits)
        return as_opencv(image) if profile.decoder == "opencv" else as_pil(image, profile.wide_range, where)
    except ImageError:
        raise
    except Exception as error:
        raise image_error(
            "broken image",
            f"{where}: cannot be decoded by Pillow ({error}); convert it to JPEG or PNG, or fetch it again",
        ) from None
