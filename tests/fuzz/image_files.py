"""Small valid pictures in every format that can be written here, and some that are put together by hand."""

import functools
import io
import struct
import warnings

import numpy as np
from PIL import Image

from ernie_vil2.data.images.decode import opencv

OPTIONS = {
    "JPEG": ({}, {"progressive": True}, {"subsampling": 0, "quality": 30}, {"restart_marker_blocks": 1}),
    "PNG": ({}, {"optimize": True}, {"compress_level": 0}),
    "TIFF": ({}, {"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {"compression": "packbits"},
             {"compression": "jpeg"}, {"compression": "tiff_adobe_deflate", "big_tiff": True}),
    "WEBP": ({}, {"lossless": True}),
    "GIF": ({}, {"interlace": 0}),
    "BMP": ({},), "DIB": ({},), "PPM": ({},), "TGA": ({}, {"compression": "tga_rle"}), "ICO": ({},
    {"bitmap_format": "bmp"}),
    "PCX": ({},), "AVIF": ({"speed": 10},), "JPEG2000": ({}, {"no_jp2": True}),
}  # fmt: skip
MODES = ("RGB", "L", "RGBA", "P", "1", "LA", "CMYK", "I;16", "F", "I", "YCbCr")
CV_SUFFIXES = (".jpg", ".png", ".tiff", ".webp", ".bmp", ".ppm", ".pgm", ".pbm", ".pam", ".pfm", ".hdr", ".ras",
    ".jp2", ".avif", ".gif")  # fmt: skip


def picture(height: int, width: int, seed: int) -> np.ndarray:
    """uint8 RGB [height, width, 3]"""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@functools.cache
def valid() -> tuple[tuple[str, bytes], ...]:
    """(format, bytes) of every kind, none over some kilobytes."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for form, options in OPTIONS.items():
            for place, mode in enumerate(MODES):
                for option in options if place == 0 else options[:1]:
                    image = Image.fromarray(picture(9 + place, 13, place))
                    buffer = io.BytesIO()
                    try:
                        image.convert("F" if mode == "F" else mode).save(buffer, form, **option)
                    except (OSError, ValueError, KeyError):
                        continue  # a mode that this format does not have
                    found.append((form, buffer.getvalue()))
        found += [*animations(), *by_opencv()]
    return (*found, *by_hand())


def animations() -> list[tuple[str, bytes]]:
    frames, found = [Image.fromarray(picture(8, 8, seed)) for seed in range(3)], []
    for form in ("GIF", "PNG", "WEBP", "TIFF", "AVIF"):
        buffer = io.BytesIO()
        frames[0].save(buffer, form, save_all=True, append_images=frames[1:])
        found.append((form, buffer.getvalue()))
    exif = Image.Exif()
    exif[0x0112] = 6
    for form in ("JPEG", "PNG", "WEBP", "TIFF"):
        buffer = io.BytesIO()
        frames[0].save(buffer, form, exif=exif.tobytes(), dpi=(72, 72))
        found.append((form, buffer.getvalue()))
    return found


def by_opencv() -> list[tuple[str, bytes]]:
    cv2, found = opencv(), []
    for suffix in CV_SUFFIXES:
        for dtype in (np.uint8, np.uint16, np.float32):
            pixels = picture(7, 10, 1).astype(dtype)
            for shown in (pixels, pixels[..., 0]):
                try:
                    written, data = cv2.imencode(suffix, shown)
                except cv2.error:
                    continue
                if written:
                    found.append((FORMS.get(suffix, "other"), data.tobytes()))
    return found


FORMS = {".jpg": "JPEG", ".png": "PNG", ".tiff": "TIFF", ".webp": "WEBP", ".bmp": "BMP", ".gif": "GIF",
    ".jp2": "JPEG2000", ".avif": "AVIF"}  # fmt: skip


def by_hand() -> list[tuple[str, bytes]]:
    """Kinds that no writer here makes: runs of a BMP, texts of a PNM, old headers."""
    palette = bytes(range(64)) * 16
    found = [
        ("PPM", f"P{number}\n# note\n3 2\n{'' if number == 1 else '255'}\n{'1 0 ' * 9}".encode())
        for number in (1, 2, 3)
    ]
    found += [
        ("PPM", b"P4\n9 2\n\xf0\x00\xaa\x80"),
        ("PPM", b"P5 3 2 65535\n" + bytes(12)),
        ("PPM", b"Pf\n3 2\n-1.0\n" + bytes(24)),
    ]
    found += [("PPM", b"P7\nWIDTH 3\nHEIGHT 2\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n" + bytes(24))]
    for compression, bits, data in (
        (1, 8, b"\x04\x01\x00\x00\x03\x02\x00\x02\x00\x01\x00\x00\x00\x01"),
        (2, 4, b"\x04\x12\x00\x00\x00\x04\x12\x34\x00\x00\x00\x01"),
        (0, 1, bytes(8)),
        (0, 4, bytes(8)),
        (0, 16, bytes(16)),
        (3, 16, bytes(16)),
        (3, 32, bytes(32)),
    ):
        colours = palette[: 4 << bits] if bits <= 8 else struct.pack("<3I", 0xF800, 0x7E0, 0x1F) * (compression == 3)
        info = struct.pack("<IiiHHIIiiII", 40, 4, 2, 1, bits, compression, len(data), 2835, 2835, 0, 0)
        start = 14 + len(info) + len(colours)
        found.append(("BMP", b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + colours + data))
    core = struct.pack("<IHHHH", 12, 3, 2, 1, 24) + bytes(24)
    found.append(("BMP", b"BM" + struct.pack("<IHHI", 14 + len(core), 0, 0, 26) + core))
    found.append(("other", struct.pack(">8I", 0x59A66A95, 4, 2, 8, 8, 1, 0, 0) + bytes(range(8))))
    found.append(("other", struct.pack(">8I", 0x59A66A95, 4, 2, 24, 24, 2, 0, 0) + bytes(24) + b"\x80\x03\x01"))
    found.append(
        (
            "TGA",
            struct.pack("<BBBHHBHHHHBB", 0, 1, 9, 0, 16, 24, 0, 0, 4, 2, 8, 32)
            + bytes(48)
            + b"\x83\x01\x03\x01\x02\x03\x04",
        )
    )
    found.append(
        (
            "PCX",
            b"\x0a\x05\x01\x01"
            + struct.pack("<6H", 0, 0, 7, 1, 72, 72)
            + bytes(48)
            + b"\x00\x03\x02\x00\x01\x00"
            + bytes(54)
            + b"\xc4\xff" * 6,
        )
    )
    found.append(
        (
            "other",
            b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 8\n" + b"\x02\x02\x00\x08" + b"\x88\x80" * 4 + bytes(32),
        )
    )
    return found
