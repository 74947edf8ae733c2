"""Pixels: equal to plain OpenCV or Pillow calls on the same file, and one ImageError for everything else."""

import io
import math
import os
import struct
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ernie_vil2.config.model import PIXEL_PROFILES, PixelProfile
from ernie_vil2.data.images.decode import decode, decode_for, reduction
from ernie_vil2.data.images.limits import Limits
from ernie_vil2.data.images.pixels import normalise, preprocess
from ernie_vil2.data.images.resize import crop, resize_short, resized_sides
from ernie_vil2.errors import ImageError

OFFICIAL, BICUBIC = PIXEL_PROFILES["official"], PIXEL_PROFILES["bicubic"]
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000")
MODES = [("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")] + [
    ("JPEG", "L"),
    ("JPEG", "CMYK"),
    ("TIFF", "1"),
    ("TIFF", "I;16"),
    ("TIFF", "LA"),
    ("BMP", "1"),
    ("BMP", "P"),
    ("GIF", "P"),
    ("WEBP", "RGBA"),
    ("PPM", "1"),
    ("JPEG2000", "RGBA"),
]
TURNED = {  # EXIF orientation -> the upright picture from the stored pixels
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90,
}


def release_decode(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]


def release_crop(rgb, size=224):
    height, width = rgb.shape[:2]
    if min(height, width) != size:
        if width < height:
            rgb = cv2.resize(rgb, (size, int(float(size) / width * height) + 1), interpolation=cv2.INTER_LINEAR)
        else:
            rgb = cv2.resize(rgb, (int(float(size) / height * width) + 1, size), interpolation=cv2.INTER_LINEAR)
    top, left = (math.ceil((side - size) / 2.0) for side in rgb.shape[:2])
    return rgb[top : top + size, left : left + size]


def file_of(pixels, format, mode="RGB", **options):
    image = Image.fromarray(pixels)
    if mode == "I;16":
        image = Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 251 + pixels[:, :, 1])
    elif mode in ("LA", "RGBA"):
        image = image.convert(mode)
        image.putalpha(Image.fromarray(pixels[:, :, 2]))
    elif mode != "RGB":
        image = image.convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, format, **({"lossless": True} if format == "WEBP" else {}), **options)
    return buffer.getvalue()


def one_error(call, *words):
    with pytest.raises(ImageError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and ";" in message, message
    assert all(word in message for word in words), message


def test_crops_of_the_release(shared_parity):
    expected = np.load(shared_parity / "expected.npz")["crops"]
    paths = sorted((shared_parity / "images").iterdir())
    assert len(paths) == len(expected)
    for path, wanted in zip(paths, expected, strict=True):
        np.testing.assert_array_equal(crop(decode(path)), wanted, err_msg=path.name)
        np.testing.assert_array_equal(crop(decode(Image.open(path))), wanted, err_msg=f"{path.name} as a PIL image")


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation(random_image, format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = random_image(20, 30)
    data = file_of(pixels, format, exif=exif)
    got = decode(data)
    np.testing.assert_array_equal(got, release_decode(data))
    np.testing.assert_array_equal(decode(Image.open(io.BytesIO(data))), got)
    stored = decode(data, BICUBIC)
    np.testing.assert_array_equal(stored, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    np.testing.assert_array_equal(got, TURNED[orientation](stored))
    if format != "JPEG":
        np.testing.assert_array_equal(got, TURNED[orientation](pixels))


@pytest.mark.parametrize("format, mode", MODES)
def test_modes_are_read_as_opencv_reads_them(random_image, format, mode):
    data = file_of(random_image(23, 31), format, mode)
    got = decode(data)
    assert got.dtype == np.uint8 and got.flags.c_contiguous
    np.testing.assert_array_equal(got, release_decode(data))
    np.testing.assert_array_equal(decode(Image.open(io.BytesIO(data))), got)
    pillows = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(decode(data, replace(BICUBIC, wide_range="clipped")), pillows)
    np.testing.assert_array_equal(decode(data, BICUBIC), got if mode == "I;16" else pillows)


def test_transparency_is_dropped_and_not_composited(random_image):
    pixels = random_image(9, 9)
    clear = Image.fromarray(pixels).convert("RGBA")
    clear.putalpha(0)
    np.testing.assert_array_equal(decode(clear), pixels)
    palette = Image.fromarray(pixels).quantize(16)
    for transparency in (3, bytes(range(0, 256, 16))):
        buffer = io.BytesIO()
        palette.save(buffer, "PNG", transparency=transparency)
        np.testing.assert_array_equal(decode(buffer.getvalue()), np.asarray(palette.convert("RGB")))
        np.testing.assert_array_equal(decode(Image.open(buffer)), np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_several_frames_give_the_first(random_image, format):
    frames = [Image.fromarray(random_image(20, 24, seed)).quantize(8).convert("RGB") for seed in range(3)]
    buffer = io.BytesIO()
    options = {"lossless": True} if format == "WEBP" else {}
    frames[0].save(buffer, format, save_all=True, append_images=frames[1:], **options)
    for profile in (OFFICIAL, BICUBIC):
        np.testing.assert_array_equal(decode(buffer.getvalue(), profile), np.asarray(frames[0]))


@given(height=st.integers(1, 500), width=st.integers(1, 500), size=st.sampled_from([224, 80, 55, 1]))
def test_crop_rule(height, width, size):
    rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    np.testing.assert_array_equal(crop(rgb, PixelProfile(size=size)), release_crop(rgb, size))


@pytest.mark.parametrize(
    "shape",
    [
        (1, 1),
        (1, 300),
        (300, 1),
        (2, 3),
        (55, 55),
        (111, 222),
        (224, 224),
        (224, 225),
        (601, 224),
        (223, 224),
        (225, 224),
        (448, 448),
        (1200, 310),
    ],
)
def test_crop_of_telling_shapes(random_image, shape):
    rgb = random_image(*shape)
    got = crop(rgb)
    assert got.shape == (224, 224, 3) and got.flags.c_contiguous
    np.testing.assert_array_equal(got, release_crop(rgb))
    if min(shape) == 224:
        top, left = ((side - 223) // 2 for side in shape)
        np.testing.assert_array_equal(got, rgb[top : top + 224, left : left + 224])


@pytest.mark.parametrize("shape", [(224, 224), (97, 181), (300, 224), (1, 40), (333, 500)])
def test_bicubic_profile(random_image, shape):
    rgb = random_image(*shape)
    long = int(224 * max(shape) / min(shape))
    height, width = (long, 224) if shape[1] < shape[0] else (224, long)
    resized = np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC))
    top, left = (height - 224) // 2, (width - 224) // 2
    np.testing.assert_array_equal(crop(rgb, BICUBIC), resized[top : top + 224, left : left + 224])


def test_normalise_is_the_plain_formula():
    crops = np.random.default_rng(0).integers(0, 256, (3, 7, 7, 3), dtype=np.uint8)
    mean, std = (np.array(value).reshape(3, 1, 1) for value in (OFFICIAL.mean, OFFICIAL.std))
    wanted = crops.astype("float32").transpose(0, 3, 1, 2) / 255
    wanted -= mean
    wanted /= std
    got = normalise(crops)
    assert got.dtype == np.float32 and got.flags.c_contiguous
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(normalise(crops[:, ::-1, ::-1]), wanted[:, :, ::-1, ::-1])
    half = PixelProfile(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    np.testing.assert_allclose(normalise(crops, half), crops.transpose(0, 3, 1, 2) / 127.5 - 1, atol=1e-6)
    assert normalise(crops[:0]).shape == (0, 3, 7, 7)


def test_every_kind_of_input_agrees(random_image, image_bytes, tmp_path):
    pixels = random_image(60, 90)
    data = image_bytes(pixels)
    path = tmp_path / "一只猫 é.png"
    path.write_bytes(data)
    wanted = preprocess(pixels)
    assert wanted.shape == (3, 224, 224) and wanted.dtype == np.float32
    strided = np.ascontiguousarray(pixels[::-1])[::-1]
    for image in (path, str(path), data, bytearray(data), memoryview(data), Image.fromarray(pixels), strided):
        np.testing.assert_array_equal(preprocess(image), wanted)
        np.testing.assert_array_equal(preprocess(image, BICUBIC), preprocess(pixels, BICUBIC))


@pytest.mark.parametrize("profile", [OFFICIAL, BICUBIC], ids=["official", "bicubic"])
@pytest.mark.parametrize("format", FORMATS)
def test_limit_of_pixels(random_image, format, profile):
    data = file_of(random_image(17, 29), format)
    one_error(lambda: decode(data, profile, Limits(max_pixels=17 * 29 - 1)), "29 x 17", "max_pixels")
    assert decode(data, profile, Limits(max_pixels=17 * 29)).shape == (17, 29, 3)


def test_bombs_are_refused_before_decoding(random_image):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 40000, 40000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    for profile in (OFFICIAL, BICUBIC):
        one_error(lambda profile=profile: decode(bomb, profile), "40000 x 40000", "max_pixels")
        one_error(lambda profile=profile: preprocess(random_image(1, 3000), profile), "3000 x 1", "less extreme")
        one_error(lambda profile=profile: decode(bytes(101), profile, Limits(max_bytes=100)), "101 bytes", "max_bytes")
    one_error(lambda: decode(Image.new("1", (200, 200)), limits=Limits(max_pixels=39999)), "200 x 200")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("format", FORMATS)
def test_truncated_files(random_image, capfd, format, kept):
    data = file_of(random_image(90, 120), format)
    one_error(lambda: decode(data[: int(kept * len(data))]))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("cut", [1, 2, 5, 8])
def test_a_lost_end_is_noticed(random_image, capfd, cut):
    for format in ("PNG", "JPEG"):
        one_error(lambda format=format: decode(file_of(random_image(40, 40), format)[:-cut]), "truncated")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("profile", [OFFICIAL, BICUBIC], ids=["official", "bicubic"])
def test_everything_else_is_one_error(profile, tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "page.jpg").write_bytes(b"<html>404 Not Found</html>")
    os.mkfifo(tmp_path / "pipe.jpg")
    files = {
        "absent.jpg": "No such file",
        "": "a directory",
        "empty.jpg": "empty",
        "page.jpg": "a web page",
        "pipe.jpg": "not a regular file",
    }
    for name, word in files.items():
        one_error(lambda name=name: decode(tmp_path / name, profile), str(tmp_path / name), word)
    for image, word in {b"": "empty", b"\xff\xd8\xff": "JPEG", "a\0b": "null", None: "NoneType", 3.5: "float"}.items():
        one_error(lambda image=image: decode(image, profile), word)
    for shape in ((4, 4), (4, 4, 4), (3, 4, 4), (0, 4, 3), (1, 4, 4, 3)):
        one_error(lambda shape=shape: decode(np.zeros(shape, "uint8"), profile), str(list(shape)), "[H, W, 3]")
    one_error(lambda: decode(np.zeros((4, 4, 3), "float32"), profile), "float32")


def test_other_bad_pixels(random_image):
    one_error(lambda: decode(Image.new("F", (4, 4))), "mode F")
    one_error(lambda: crop(np.zeros((4, 4))), "float64")
    one_error(lambda: normalise(random_image(4, 4)), "[B, S, S, 3]")


# Reduced decode, for training alone


@given(height=st.integers(1, 3000), width=st.integers(1, 3000), short=st.integers(1, 400))
def test_a_reduction_never_enlarges_and_is_the_coarsest_that_does_not(height, width, short):
    factor, wanted = reduction(height, width, short), resized_sides(height, width, short)
    enough = {n: -(-height // n) >= wanted[0] and -(-width // n) >= wanted[1] for n in (2, 4, 8)}
    assert factor == max([1, *(n for n, fits in enough.items() if fits)])
    assert reduction(width, height, short) == factor or abs(height - width) <= 2


@pytest.mark.parametrize(
    "shape, factor",
    [
        ((480, 640), 2),
        ((447, 1200), 1),
        ((451, 600), 2),
        ((900, 1100), 4),
        ((1801, 1903), 8),
        ((300, 400), 1),
        ((1203, 905), 4),
    ],
)
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_a_reduced_jpeg_is_upright_and_close_to_the_full_one(random_image, shape, factor, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = cv2.resize(random_image(24, 32), shape[::-1], interpolation=cv2.INTER_CUBIC)
    data = file_of(pixels, "JPEG", exif=exif, quality=95)
    full, (got, sides) = decode(data), decode_for(data, 224)
    assert sides == full.shape[:2]
    assert got.shape[:2] == tuple(-(-side // factor) for side in sides)
    wanted = resize_short(full, 224)
    resized = resize_short(got, 224, sides=sides)
    assert resized.shape == wanted.shape
    assert np.abs(resized.astype(int) - wanted).mean() < 2
    if factor == 1:
        np.testing.assert_array_equal(got, full)


def test_only_jpegs_under_opencv_are_reduced(random_image, tmp_path):
    pixels = random_image(900, 1000)
    (tmp_path / "a.jpg").write_bytes(file_of(pixels, "JPEG"))
    assert decode_for(tmp_path / "a.jpg", 224)[0].shape[:2] == (225, 250)
    for image in (file_of(pixels, "PNG"), file_of(pixels, "WEBP"), pixels, Image.fromarray(pixels)):
        got, sides = decode_for(image, 224)
        np.testing.assert_array_equal(got, decode(image))
        assert sides == (900, 1000)
    assert decode_for(tmp_path / "a.jpg", 224, BICUBIC)[0].shape == pixels.shape
    assert decode_for(tmp_path / "a.jpg", None)[0].shape == pixels.shape


def test_every_image_error_names_its_cause(random_image, tmp_path):
    jpeg = file_of(random_image(40, 50), "JPEG")
    broken = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + bytes(20) + b"IEND" + bytes(4)
    causes = {}
    for image in (tmp_path / "absent.jpg", b"", b"GIF", jpeg[:-40], jpeg, broken, 3, np.zeros(3)):
        with pytest.raises(ImageError) as caught:
            decode(image, limits=Limits(max_pixels=100))
        causes.setdefault(caught.value.cause, []).append(str(caught.value))
    assert set(causes) == {"unreadable file", "empty image", "not an image", "too large", "broken image"}
    with pytest.raises(ImageError) as caught:
        decode(jpeg[:-40])
    assert caught.value.cause == "truncated image"
