"""Any bytes are a picture or an ImageError, by either decoder, within bounds of memory and without a word printed."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[3]
TRIALS = int(os.environ.get("ERNIE_VIL_IMAGE_TRIALS", 25))
"""Changed files of every kind; a thousand of them were tried"""
SPACE = 5 << 30
PEAK_MB = 1500
PRINTED = ("libpng ", "Corrupt JPEG", "Unknown Adobe", "Warning: unknown JFIF", "Inconsistent progression")
"""Beginnings of the lines that libraries in OpenCV print, of files that only OpenCV can say more of"""
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def files():
    """{name: a small good file} of every kind that a decoder takes."""
    import io

    import cv2
    from PIL import Image

    rng = np.random.default_rng(0)
    rgb = cv2.resize(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8), (48, 37), interpolation=cv2.INTER_CUBIC)
    image = Image.fromarray(rgb)
    found = {}
    for name, (kind, mode, options) in {
        "jpeg": ("JPEG", "RGB", {}),
        "progressive": ("JPEG", "RGB", {"progressive": True}),
        "ink": ("JPEG", "CMYK", {}),
        "png": ("PNG", "RGBA", {}),
        "palette": ("PNG", "P", {}),
        "animated png": ("PNG", "RGB", {"save_all": True, "append_images": [image.rotate(90)]}),
        "gif": ("GIF", "P", {"save_all": True, "append_images": [image.rotate(90)]}),
        "bmp": ("BMP", "P", {}),
        "dib": ("DIB", "RGB", {}),
        "webp": ("WEBP", "RGB", {}),
        "lossless webp": ("WEBP", "RGBA", {"lossless": True}),
        "animated webp": ("WEBP", "RGB", {"save_all": True, "append_images": [image.rotate(90)]}),
        "tiff": ("TIFF", "RGB", {}),
        "lzw": ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        "deflate": ("TIFF", "RGB", {"compression": "tiff_adobe_deflate"}),
        "jpeg tiff": ("TIFF", "RGB", {"compression": "jpeg"}),
        "fax": ("TIFF", "1", {"compression": "group4"}),
        "float": ("TIFF", "F", {}),
        "big tiff": ("TIFF", "RGB", {"big_tiff": True}),
        "avif": ("AVIF", "RGB", {"speed": 10}),
        "jp2": ("JPEG2000", "RGB", {}),
        "ppm": ("PPM", "RGB", {}),
        "ico": ("ICO", "RGBA", {"sizes": [(16, 16), (32, 32)]}),
        "tga": ("TGA", "RGB", {"compression": "tga_rle"}),
        "pcx": ("PCX", "RGB", {}),
        "mpo": ("MPO", "RGB", {"save_all": True, "append_images": [image.rotate(90)]}),
    }.items():
        buffer = io.BytesIO()
        image.convert(mode).save(buffer, kind, **options)
        found[name] = buffer.getvalue()
    for suffix in (".hdr", ".pfm"):
        found[suffix] = cv2.imencode(suffix, rgb.astype(np.float32) / 255)[1].tobytes()
    for suffix in (".ras", ".pam", ".pbm"):
        found[suffix] = cv2.imencode(suffix, rgb if suffix != ".pbm" else rgb[:, :, 0])[1].tobytes()
    found["ascii"] = b"P3\n4 3\n255\n" + b" ".join(b"%d" % value for value in rng.integers(0, 256, 36))
    palette = bytes(range(256)) * 4
    head = b"BM" + bytes(8) + (1078).to_bytes(4, "little") + (40).to_bytes(4, "little")
    sides = (9).to_bytes(4, "little") * 2 + b"\1\0\x08\0\1\0\0\0" + bytes(20)
    found["runs"] = head + sides + palette + b"\x09\x05\0\0" * 9 + b"\0\1"
    return found


def changed(data, rng):
    """The file with a few bytes changed, cut out, repeated or set to an extreme, most of them in its head."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        most = len(data) if rng.random() < 0.4 else min(len(data), 200)
        at, length = int(rng.integers(0, max(1, most))), int(rng.integers(1, 40))
        how = rng.integers(0, 6)
        if how == 0:
            data[at : at + 1] = bytes([rng.integers(0, 256)])
        elif how == 1:
            data[at : at + length] = b""
        elif how == 2:
            data[at:at] = data[at : at + length] * int(rng.integers(1, 4))
        elif how == 3:
            data[at : at + length] = rng.bytes(length)
        elif how == 4:
            width, order = int(rng.choice([1, 2, 4])), str(rng.choice(["big", "little"]))
            value = int(rng.choice(EXTREMES)) & (1 << 8 * width) - 1
            data[at : at + width] = value.to_bytes(width, order)
        else:
            del data[max(1, len(data) - length * int(rng.integers(1, 20))) :]
    return bytes(data)


def campaign(trials, seed):
    """Decode changed files by both decoders; print counts, what raised another error, and the peak of memory."""
    import faulthandler

    from ernie_vil2.config.model import PIXEL_PROFILES
    from ernie_vil2.data.images.decode import decode
    from ernie_vil2.errors import ImageError

    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (SPACE, SPACE))
    counts, wrong = {"pictures": 0, "errors": 0}, []
    for name, data in files().items():
        for trial in range(trials):
            rng = np.random.default_rng([seed, trial, *name.encode()])
            case = changed(data, rng)
            for profile in ("official", "bicubic"):
                try:
                    pixels = decode(case, PIXEL_PROFILES[profile])
                    good = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
                    counts["pictures"] += 1
                    wrong += [] if good else [f"{name} {trial} {profile}: {pixels.dtype} {pixels.shape}"]
                except ImageError as error:
                    counts["errors"] += 1
                    text = str(error)
                    if not (text.isprintable() and "; " in text and len(text) <= 480):
                        wrong.append(f"{name} {trial} {profile}: {text!r}")
                except Exception as error:
                    wrong.append(f"{name} {trial} {profile}: {type(error).__name__}: {error}")
    status = Path(
        "/proc/self/status"
    ).read_text()  # not ru_maxrss, which a process inherits from the one that started it
    peak = int(status.partition("VmHWM:")[2].split()[0]) >> 10
    print(json.dumps({**counts, "wrong": wrong, "peak": peak}))


def test_changed_files_are_a_picture_or_an_image_error():
    program = f"from tests.data.images.test_damaged_bytes import campaign; campaign({TRIALS}, 0)"
    child = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60 + 10 * TRIALS, check=False
    )
    assert child.returncode == 0, child.stderr[-2000:]
    found = json.loads(child.stdout.splitlines()[-1])
    printed = [line for line in child.stderr.splitlines() if not line.startswith(PRINTED)]
    assert found["wrong"] == [] and printed == [] and child.stdout.count("\n") == 1
    assert found["pictures"] > TRIALS and found["errors"] > TRIALS
    assert found["peak"] < PEAK_MB
