"""Pictures of more than 8 bits keep their greys under Pillow too; where white is unknown, they are refused."""

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from ernie_vil2.config.model import PIXEL_PROFILES, ModelConfig
from ernie_vil2.data.images.decode import decode
from ernie_vil2.errors import ImageError

BICUBIC, OFFICIAL = PIXEL_PROFILES["bicubic"], PIXEL_PROFILES["official"]
CLIPPED = replace(BICUBIC, wide_range="clipped")
GREY = (np.arange(32 * 32, dtype=np.uint16) * 64).reshape(32, 32)


def tiff(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "TIFF")
    return buffer.getvalue()


WIDE = {
    "16-bit PNG": cv2.imencode(".png", GREY)[1].tobytes(),
    "16-bit TIFF": tiff(GREY),
    "big-endian 16-bit TIFF": tiff(GREY.astype(">u2")),
    "16-bit PGM": b"P5 32 32 65535\n" + GREY.astype(">u2").tobytes(),
    "32-bit TIFF": tiff(GREY.astype(np.int32)),
    "colour 16-bit PNG": cv2.imencode(".png", np.repeat(GREY[:, :, None], 3, axis=2))[1].tobytes(),
}


@pytest.mark.parametrize("kind", WIDE)
def test_16_bits_become_their_high_byte(kind):
    got = decode(WIDE[kind], BICUBIC)
    assert got.shape == (32, 32, 3) and got.dtype == np.uint8
    np.testing.assert_array_equal(got, np.repeat((GREY >> 8).astype(np.uint8)[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(decode(Image.open(io.BytesIO(WIDE[kind])), BICUBIC), got)


@pytest.mark.parametrize("white", [1.0, 255.0])
def test_floats_reach_from_black_to_white(white):
    data = tiff((np.linspace(0, 1, 1024).reshape(32, 32) * white).astype(np.float32))
    np.testing.assert_array_equal(
        decode(data, BICUBIC)[:, :, 1], np.rint(np.linspace(0, 255, 1024)).astype(np.uint8).reshape(32, 32)
    )


def test_8_bits_in_32_stay_and_a_rounding_over_1_is_white():
    values = np.arange(256, dtype=np.int32).reshape(16, 16)
    np.testing.assert_array_equal(decode(tiff(values), BICUBIC)[:, :, 0], values)
    floats = np.linspace(-0.001, 1.002, 256, dtype=np.float32).reshape(16, 16)
    wanted = np.rint(np.clip(floats, 0, 1) * 255)
    np.testing.assert_array_equal(decode(tiff(floats), BICUBIC)[:, :, 0], wanted)


@pytest.mark.parametrize("values", [(-0.5, 1.0), (0.0, 1.2), (0.0, 300.0), (0.0, np.nan), (0, 70000), (-1, 9)], ids=str)
def test_what_has_no_known_white_is_a_bad_row(values):
    kind = np.int32 if isinstance(values[1], int) else np.float32
    with pytest.raises(ImageError, match="^an image of .* bytes: has values from .*; save it with 8 or 16") as caught:
        decode(tiff(np.tile(np.array(values, kind), (8, 4))), BICUBIC)
    assert caught.value.cause == "unknown range"


def test_clipped_does_as_pillow_does():
    for kind in ("16-bit PNG", "32-bit TIFF"):
        pillows = np.asarray(Image.open(io.BytesIO(WIDE[kind])).convert("RGB"))
        np.testing.assert_array_equal(decode(WIDE[kind], CLIPPED), pillows)
    assert decode(tiff(np.full((8, 8), 0.9, np.float32)), CLIPPED).max() == 0


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "PA", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "LAB"])
@pytest.mark.parametrize("profile", [BICUBIC, OFFICIAL], ids=["bicubic", "official"])
def test_every_mode_of_a_pil_image_shows_its_picture(random_image, mode, profile):
    pixels = random_image(24, 32)
    image = Image.fromarray(pixels)
    if mode == "LAB":
        image = ImageCms.profileToProfile(image, *map(ImageCms.createProfile, ("sRGB", "LAB")), outputMode="LAB")
    elif mode in ("La", "RGBa"):
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[mode]).convert(mode)
    else:
        image = image.convert("LA").convert(mode) if mode == "PA" else image.convert(mode)
    wanted = (
        np.asarray(Image.fromarray(pixels).convert("L").convert("RGB"))
        if mode in ("1", "L", "LA", "La", "PA")
        else pixels
    )
    assert np.abs(decode(image, profile).astype(int) - wanted).mean() < (130 if mode == "1" else 20)


def test_model_directories_without_the_field_get_the_right_pixels_and_new_ones_stay_readable_before():
    config = ModelConfig()
    written = config.to_dict()
    assert "wide_range" not in written["pixels"] and ModelConfig.from_dict(written).pixels.wide_range == "scaled"
    clipped = ModelConfig.from_dict({**written, "pixels": {**written["pixels"], "wide_range": "clipped"}})
    assert ModelConfig.from_dict(clipped.to_dict()) == clipped and clipped.pixels.wide_range == "clipped"
