"""An image of any kind to RGB bytes, by the decoder of a pixel profile.

The profile `official` gives the release's bytes: OpenCV decodes (EXIF orientation applied, alpha dropped, 16 bits cut
to the high byte, the first frame of an animation). `bicubic` gives those of PaddleNLP's processor: Pillow decodes (EXIF
orientation NOT applied), and so does `brivl`. There is no second decoder behind a failing one: a file that the release
could not read is an ImageError here, so that the same file gives the same pixels on every machine.
A file that ends early is refused under every profile, also where damaged ones are kept. BriVL's release has Pillow take
such files, with nothing in the part that is missing: of those there are no pixels here.
Training may ask for JPEGs at a half, a quarter or an eighth (`decode_for`); evaluation never does.
"""

import sys
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from ...config.model import PixelProfile
from ...errors import ImageError
from ...files.stand_ins import stand_in
from .damage import damage
from .formats.png import without_comments
from .inputs import WANTED, AnyImage, content_of
from .inspection import check_pil, inspect, runs
from .jpeg import has_ink, jpeg_pixels, upright, without_stray_bytes
from .libraries import opencv, pillow
from .limits import DEFAULT_LIMITS, Limits, check_pixels, check_size, check_work, image_error, least_reduction
from .resize import OFFICIAL, resized_sides

if TYPE_CHECKING:
    from PIL.Image import Image

REDUCED = (8, 4, 2)
OPENCV_KINDS = frozenset("JPEG PNG GIF BMP WEBP TIFF PPM PAM SUN HDR JPEG2000 AVIF".split())
# Raster formats only: Pillow would hand EPS to an external program. Those of None have no signature of their own.
PIL_FORMATS = {
    kind: (kind,) for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "SUN", "JPEG2000", "AVIF", "ICO")
} | {None: ("DIB", "TGA", "PCX")}


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
        check_pil(image, limits)
        rgb = load_pil(lambda: image, "a PIL image", profile, limits)
        return rgb, rgb.shape[:2]
    data, where = content_of(image, limits)
    if found := stand_in(data):
        raise image_error("not an image", f"{where}: {found}")
    if profile.decoder == "pil":
        return decode_pil(data, where, profile, limits)
    return decode_opencv(data, where, limits, short)


def applied_orientation(image: AnyImage, profile: PixelProfile = OFFICIAL) -> int:
    """The EXIF orientation, 1 to 8, by which `decode` turns an image that it can decode."""
    if profile.decoder == "pil" or isinstance(image, np.ndarray):
        return 1
    from .pil_modes import orientation

    Image = pillow()
    if isinstance(image, Image.Image):
        return orientation(image)
    try:
        file = BytesIO(image) if isinstance(image, (bytes, bytearray, memoryview)) else image
        with Image.open(file, formats=tuple(filter(None, PIL_FORMATS))) as opened:
            return orientation(opened)
    except Exception:  # Pillow raises errors of many types for what it does not know
        return 1


def reduction(height: int, width: int, short: int) -> int:
    """The factor of 8, 4, 2 and 1 by which a JPEG can be decoded smaller before its short side becomes `short`."""
    rows, columns = resized_sides(height, width, short)
    fitting = (factor for factor in REDUCED if -(-height // factor) >= rows and -(-width // factor) >= columns)
    return next(fitting, 1)


def decode_opencv(
    data: bytes, where: str, limits: Limits, short: int | None = None
) -> tuple[np.ndarray, tuple[int, int]]:
    cv2 = opencv()
    kind, size = inspect(data, where, limits)
    if kind not in OPENCV_KINDS:
        raise image_error(
            "not an image",
            f"{where}: is not an image that OpenCV decodes (JPEG, PNG, WebP, GIF, BMP, "
            "TIFF, AVIF, JPEG 2000, PNM, HDR), or it ends within its header; convert it to JPEG or PNG",
        )
    width, height = size
    factor = 1
    if kind == "PNG":
        data = without_comments(data)
    if kind == "JPEG":
        factor = max(least_reduction(size, limits), reduction(height, width, short) if short else 1)
        rgb = checked_jpeg(data, where, limits, *reduced_sides(size, factor))
        if rgb is not None:
            return upright_sides(upright(rgb, data), factor, height, width)
        data = without_stray_bytes(data)  # OpenCV would print them
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


def reduced_sides(size: tuple[int, int], factor: int) -> tuple[int, int]:
    """(rows, columns) to ask libjpeg for, 0 for all."""
    return (-(-size[1] // factor), -(-size[0] // factor)) if factor > 1 else (0, 0)


def upright_sides(rgb: np.ndarray, factor: int, height: int, width: int) -> tuple[np.ndarray, tuple[int, int]]:
    """(rgb, sides of the full image): those of its header, changed over where the picture is turned."""
    if factor == 1:
        return rgb, rgb.shape[:2]
    rows, columns = rgb.shape[:2]
    turned = rows != columns and (height > width) != (rows > columns)  # by the EXIF orientation
    return rgb, (width, height) if turned else (height, width)


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


def decode_pil(data: bytes, where: str, profile: PixelProfile, limits: Limits) -> tuple[np.ndarray, tuple[int, int]]:
    Image = pillow()
    kind, size = inspect(data, where, limits)
    factor = least_reduction(size, limits) if kind == "JPEG" else 1
    if kind == "PNG":
        data = without_comments(data)
    if kind != "JPEG":
        refuse_damaged(damage(data), where, limits)
    elif has_ink(data):
        checked_jpeg(data, where, limits, 1, 1)
    elif (rgb := checked_jpeg(data, where, limits, *reduced_sides(size, factor))) is not None:
        return rgb, (size[1], size[0])

    def opened():
        image = Image.open(BytesIO(data), formats=PIL_FORMATS.get(kind, ()))
        if factor > 1:
            image.draft(image.mode, (image.size[0] // factor, image.size[1] // factor))
        elif kind is None:
            check_work(image.size[0] * image.size[1] * runs(image), image.size, len(data), where, limits)
        return image

    rgb = load_pil(opened, where, profile, limits)
    return rgb, (size[1], size[0]) if factor > 1 else rgb.shape[:2]


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
        reason = "it is of no kind that Pillow knows" if type(error).__name__ == "UnidentifiedImageError" else error
        raise image_error(
            "broken image",
            f"{where}: cannot be decoded by Pillow ({reason}); convert it to JPEG or PNG, or fetch it again",
        ) from None
