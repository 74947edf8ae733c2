"""Image headers: the size that Pillow or OpenCV wrote, and never an exception."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.data.images.headers import image_size, is_truncated


@pytest.mark.parametrize(
    "options",
    [
        {"format": "JPEG"},
        {"format": "JPEG", "progressive": True},
        {"format": "PNG"},
        {"format": "WEBP"},
        {"format": "WEBP", "lossless": True},
        {"format": "WEBP", "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"},
        {"format": "GIF"},
        {"format": "BMP"},
        {"format": "TIFF"},
        {"format": "TIFF", "big_tiff": True},
        {"format": "PPM"},
        {"format": "JPEG2000"},
        {"format": "JPEG2000", "no_jp2": True},
    ],
    ids=str,
)
def test_size_and_end(random_image, image_bytes, options):
    data = image_bytes(random_image(17, 29), **options)
    assert image_size(data) == (29, 17)
    assert not is_truncated(data + b"trailing bytes")


@pytest.mark.parametrize("suffix", [".hdr", ".pam", ".ras", ".tiff", ".avif"])
def test_size_of_files_that_opencv_writes(random_image, suffix):
    pixels = random_image(18, 30)
    done, data = cv2.imencode(suffix, pixels.astype(np.float32) / 255 if suffix == ".hdr" else pixels)
    assert done and image_size(data.tobytes()) == (30, 18)


@given(
    st.binary(max_size=80),
    st.sampled_from(
        [
            b"",
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            b"GIF89a",
            b"BM",
            b"RIFF\0\0\0\0WEBPVP8L",
            b"II*\0\x08\0\0\0",
            b"MM\0+",
            b"P6 ",
            b"P7\n",
            b"#?RADIANCE",
            b"\xff\x4f\xff\x51",
            b"\0\0\0\x20ftypavif",
            b"\x59\xa6\x6a\x95",
        ]
    ),
)
def test_any_header_is_read_without_an_exception(tail, head):
    size = image_size(head + tail)
    assert size is None or len(size) == 2
    assert is_truncated(head + tail) in (True, False)


def test_comments_and_thumbnails(random_image, image_bytes):
    assert image_size(b"P5 # a comment\n# 7 8\n 31 19\n255\n") == (31, 19)
    thumbnail = image_bytes(random_image(8, 8), "JPEG")
    application = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    data = image_bytes(random_image(40, 30), "JPEG")
    data = data[:2] + application + data[2:]
    assert image_size(data) == (30, 40) and not is_truncated(data)
    assert is_truncated(data[:-2])
