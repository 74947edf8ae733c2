"""What a file says of itself is held against the limits before a decoder sees it."""

from typing import TYPE_CHECKING

from .formats.avif import AVIF, brands
from .formats.kinds import kind_of
from .formats.png import png_chunks
from .formats.tiff import exif_fault
from .formats.work import RUNS, burden
from .headers import image_size, is_truncated, jpeg_segments
from .limits import Limits, check_size, check_work, image_error, least_reduction

if TYPE_CHECKING:
    from PIL.Image import Image


def inspect(data: bytes, where: str, limits: Limits) -> tuple[str | None, tuple[int, int] | None]:
    """(kind, (width, height)) by the header of a file; (None, None) for one without a known signature.

    Raises ImageError for what is over a limit, cut, or of a header that cannot be.
    """
    kind = kind_of(data)
    if kind is None:
        return None, None
    if kind == "HEIC" or kind == "AVIF" and not set(AVIF) & set(brands(data)):
        raise image_error(
            "not an image", f"{where}: is a HEIC picture, which is not decoded here; save it as JPEG, PNG or AVIF"
        )
    size = image_size(data)
    if size is None:
        raise image_error(
            "not an image", f"{where}: begins as {kind}, but ends within its header; fetch it again or save it as JPEG"
        )
    check_size(size, where, limits, least_reduction(size, limits) if kind == "JPEG" else 1)
    if is_truncated(data):
        raise image_error(
            "truncated image", f"{where}: is truncated (its end marker is missing); fetch or export the image again"
        )
    work, fault = burden(kind, data, size)
    if fault := fault or exif_fault(exif_of(kind, data)):
        raise image_error("broken image", f"{where}: is broken, for {fault}; fetch or export the image again")
    check_work(work, size, len(data), where, limits)
    return kind, size


def exif_of(kind: str, data: bytes) -> bytes:
    """The EXIF of a JPEG, PNG or WebP, without the word before it; empty for none and in other kinds."""
    if kind == "JPEG":
        places = [at for _, at in jpeg_segments(data) if data.startswith(b"Exif\0\0", at)]
        return b"".join(data[at + 6 : at - 2 + int.from_bytes(data[at - 2 : at], "big")] for at in places)
    if kind == "PNG":
        return next((data[place + 4 : end] for name, place, end in png_chunks(data) if name == b"eXIf"), b"")
    if kind == "WEBP" and (at := data.find(b"EXIF")) > 0:
        return data[at + 8 : at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")].removeprefix(b"Exif\0\0")
    return b""


def runs(image: "Image") -> int:
    """How much a pixel of an opened picture weighs: runs of a bitmap are decoded in Python."""
    return RUNS if any(tile[0] == "bmp_rle" for tile in getattr(image, "tile", ())) else 1


def check_pil(image: "Image", limits: Limits) -> None:
    """ImageError for a PIL image over the limits; the file of one that is open, and not read yet, is looked at too."""
    where = "a PIL image"
    check_size(image.size, where, limits)
    file = getattr(image, "fp", None)
    if not getattr(image, "tile", None) or file is None:
        return
    try:
        place = file.tell()
        file.seek(0)
        data = file.read(limits.max_bytes + 1)
        file.seek(place)
    except (OSError, ValueError, AttributeError):
        return
    if len(data) <= limits.max_bytes and kind_of(data) == {"MPO": "JPEG"}.get(image.format, image.format):
        inspect(data, where, limits)
    check_work(image.size[0] * image.size[1] * runs(image), image.size, len(data), where, limits)
