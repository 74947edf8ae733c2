"""Thumbnails of pictures of every kind: upright, over white, small, and of nothing that is over a limit."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ernie_vil2.data.images.decode import decode
from ernie_vil2.data.images.limits import Limits
from ernie_vil2.errors import ImageError
from ernie_vil2.serving.media import thumbnail as module
from ernie_vil2.serving.media.thumbnail import SIZES, thumbnail
from tests.serving.media.conftest import colours, encoded

KINDS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "JPEG2000", "ICO", "PPM", "TGA")


def shown(jpeg):
    """RGB of a thumbnail."""
    return simplejpeg.decode_jpeg(jpeg).astype(int)


def middles(pixels):
    """[4, 3]: the colours in the middle of the four areas."""
    height, width = pixels.shape[:2]
    return np.array([pixels[y * height // 4, x * width // 4] for y in (1, 3) for x in (1, 3)]).astype(int)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_shown_as_it_is_decoded(kind):
    pixels = colours(1, (400, 400))
    found = shown(thumbnail(encoded(pixels, kind), 160))
    assert found.shape[:2] == (160, 160)
    assert np.abs(middles(found) - middles(pixels)).max() < 25


@given(height=st.integers(1, 900), width=st.integers(1, 900), size=st.sampled_from(SIZES))
@settings(max_examples=40, deadline=None)
def test_the_longest_side_fits_and_nothing_is_enlarged(height, width, size):
    jpeg = thumbnail(np.zeros((height, width, 3), np.uint8), size)
    high, wide = shown(jpeg).shape[:2]
    assert max(high, wide) == min(size, max(height, width))
    assert abs(high * max(height, width) - height * max(high, wide)) <= max(height, width) + max(high, wide)


@pytest.mark.parametrize("kind", ("JPEG", "PNG", "WEBP", "TIFF", "PNG alpha", "WEBP alpha", "TIFF alpha"))
def test_all_turns_of_exif_are_those_of_the_decoder(kind):
    kind, _, alpha = kind.partition(" ")
    for turned in range(1, 9):
        exif = Image.Exif()
        exif[0x112] = turned
        image = Image.fromarray(colours(2, (60, 100)))
        buffer = io.BytesIO()
        (image.convert("RGBA") if alpha else image).save(buffer, kind, exif=exif)
        data = buffer.getvalue()
        want, found = decode(data), shown(thumbnail(data, 640))
        assert found.shape == want.shape
        assert np.abs(middles(found) - middles(want)).max() < 25, turned


@pytest.mark.parametrize("kind", ("PNG", "WEBP", "TIFF", "GIF"))
def test_what_is_transparent_lies_over_white(kind):
    pixels = np.zeros((80, 80, 4), np.uint8)
    pixels[:, 40:] = (200, 0, 0, 255)
    found = middles(shown(thumbnail(encoded(pixels, kind, **({"lossless": True} if kind == "WEBP" else {})), 640)))
    assert np.abs(found[[0, 2]] - 255).max() < 12 and np.abs(found[[1, 3]] - (200, 0, 0)).max() < 12


def test_half_transparent_pixels_and_16_bits_are_mixed():
    pixels = np.zeros((64, 64, 4), np.uint16)
    pixels[:] = (65535, 0, 0, 32768)
    done, data = cv2.imencode(".png", pixels)  # blue, in OpenCV's order
    found = shown(thumbnail(data.tobytes(), 160))[32, 32]
    assert done and np.abs(found - (127, 127, 255)).max() < 8


def test_a_palette_with_transparency_lies_over_white():
    image = Image.fromarray(np.array([[0, 1]], np.uint8).repeat(40, 0).repeat(40, 1), "P")
    image.putpalette([0, 0, 0, 0, 120, 0])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=0)
    found = middles(shown(thumbnail(buffer.getvalue(), 160)))
    assert np.abs(found[0] - 255).max() < 12 and np.abs(found[1] - (0, 120, 0)).max() < 12


def test_a_large_jpeg_is_decoded_no_larger_than_it_must_be(monkeypatch):
    sides, real = [], module.decode_for
    monkeypatch.setattr(module, "decode_for", lambda *given: sides.append((found := real(*given))[0].shape) or found)
    thumbnail(encoded(colours(3, (3200, 1600)), "JPEG"), 320)
    assert sides == [(400, 200, 3)]


def test_a_damaged_picture_is_shown_as_far_as_it_goes():
    data = bytearray(encoded(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), "JPEG"))
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    with pytest.raises(ImageError):
        decode(bytes(data))
    assert shown(thumbnail(bytes(data), 160)).shape == (64, 64, 3)


def bomb(width, height):
    """A PNG of few bytes that says it has many pixels."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data", [bomb(60_000, 60_000), bomb(9_000, 9_000), b"%PDF-1.7", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"x"]
)
def test_bombs_and_what_is_no_picture_are_refused_before_they_are_decoded(data, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *any: pytest.fail("it was decoded"))
    with pytest.raises(ImageError):
        thumbnail(data, 320)


def test_the_limits_that_are_given_hold():
    with pytest.raises(ImageError):
        thumbnail(encoded(colours(1, (100, 100)), "PNG"), 160, Limits(max_pixels=9_999))
