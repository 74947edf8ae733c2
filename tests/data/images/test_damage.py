"""Files that decode only in part are refused by name; what no pixel depends on is not; nothing is said on stderr."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from ernie_vil2.config.model import PIXEL_PROFILES
from ernie_vil2.data.images.decode import decode, decode_for, reduction
from ernie_vil2.data.images.limits import Limits
from ernie_vil2.errors import ImageError

OFFICIAL, BICUBIC = PIXEL_PROFILES["official"], PIXEL_PROFILES["bicubic"]
KEEP = Limits(keep_damaged=True)
EXIF = Image.Exif()
EXIF[0x0112] = 6
JPEGS = {
    "baseline": {},
    "full colour": {"subsampling": 0},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 4},
    "turned": {"exif": EXIF},
    "grey": {"mode": "L"},
    "ink": {"mode": "CMYK"},
}


def strayed(data):
    """The file with five bytes behind its first segment."""
    end = 4 + int.from_bytes(data[4:6], "big")
    return data[:end] + b"stray" + data[end:]


HARMS = {
    "5 % gone": lambda d: d[: len(d) // 2] + d[len(d) // 2 + len(d) // 20 :],
    "5 % zeros": lambda d: d[: len(d) // 2] + bytes(len(d) // 20) + d[len(d) // 2 + len(d) // 20 :],
    "5 % noise": lambda d: d[: len(d) // 2] + b"\x5a\xa5\x13" * (len(d) // 60) + d[len(d) // 2 + len(d) // 20 :],
    "cut and closed": lambda d: d[: len(d) * 19 // 20] + b"\xff\xd9",
    "end missing and closed": lambda d: d[:-40] + b"\xff\xd9",
    "closed and followed": lambda d: d[: len(d) * 19 // 20] + b"\xff\xd9" + bytes(99) + b"\xff\xd9",
    "behind stray bytes": lambda d: strayed(d[: len(d) // 2] + d[len(d) // 2 + len(d) // 20 :]),
}
HARMLESS = {
    "a tail": lambda d: d + b"MPF and a motion photo",
    "another picture": lambda d: d + d,
    "stray bytes in the header": lambda d: strayed(d),
    "padding before the end": lambda d: d[:-2] + bytes(12) + d[-2:],
    "filling before the end": lambda d: d[:-2] + b"\xff" * 50 + d[-2:],
}


@pytest.fixture(scope="module")
def photo():
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8), (318, 239), interpolation=cv2.INTER_CUBIC)
    return Image.fromarray(np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8))


def saved(photo, format, mode="RGB", **options):
    buffer = io.BytesIO()
    photo.convert(mode).save(buffer, format, **options)
    return buffer.getvalue()


def opencv(data, flag=cv2.IMREAD_COLOR):
    return cv2.imdecode(np.frombuffer(data, np.uint8), flag)[:, :, ::-1]


def refused(data, profile):
    with pytest.raises(ImageError, match=r"^an image of \d+ bytes: is damaged, .*; fetch or export") as caught:
        decode(data, profile)
    assert caught.value.cause == "damaged image"


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("profile", [OFFICIAL, BICUBIC], ids=["official", "bicubic"])
def test_a_damaged_jpeg_is_refused_without_a_word_on_stderr(photo, kind, harm, profile, capfd):
    data = HARMS[harm](saved(photo, "JPEG", **JPEGS[kind]))
    refused(data, profile)
    assert capfd.readouterr().err == ""


def test_a_reduced_decode_sees_the_damage_too(photo):
    data = saved(photo, "JPEG")
    assert reduction(239, 318, 50) == 4 and decode_for(data, 50)[0].shape == (60, 80, 3)
    with pytest.raises(ImageError, match="is damaged"):
        decode_for(HARMS["5 % gone"](data), 50)


@pytest.mark.parametrize("harm", ["5 % gone", "5 % zeros", "cut and closed"])
def test_damaged_pictures_that_are_kept_are_opencvs(photo, harm, capfd):
    data = HARMS[harm](saved(photo, "JPEG"))
    got = decode(data, OFFICIAL, KEEP)
    assert capfd.readouterr().err == ""
    np.testing.assert_array_equal(got, opencv(data))
    np.testing.assert_array_equal(decode(data, BICUBIC, KEEP), got)


@pytest.mark.parametrize("harmless", HARMLESS)
@pytest.mark.parametrize("kind", JPEGS)
def test_what_no_pixel_depends_on_is_no_damage(photo, kind, harmless):
    good = saved(photo, "JPEG", **JPEGS[kind])
    data = HARMLESS[harmless](good)
    np.testing.assert_array_equal(decode(data), opencv(good))
    np.testing.assert_array_equal(decode(data, BICUBIC), decode(good, BICUBIC))


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("short", [None, 100, 50, 20])
def test_good_jpegs_have_the_pixels_of_opencv_and_pillow(photo, kind, short):
    data = saved(photo, "JPEG", **JPEGS[kind])
    factor = 1 if short is None else reduction(239, 318, short)
    flag = cv2.IMREAD_COLOR if factor == 1 else getattr(cv2, f"IMREAD_REDUCED_COLOR_{factor}")
    np.testing.assert_array_equal(decode_for(data, short)[0], opencv(data, flag))
    np.testing.assert_array_equal(decode(data, BICUBIC), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize("sampling", [cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440])
def test_rare_samplings_too(photo, sampling):
    data = cv2.imencode(".jpg", np.asarray(photo), [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling])[1].tobytes()
    np.testing.assert_array_equal(decode(data), opencv(data))


@pytest.mark.parametrize("profile", [OFFICIAL, BICUBIC], ids=["official", "bicubic"])
def test_a_png_with_a_wrong_checksum_is_damaged_and_with_a_wrong_comment_it_is_not(photo, profile, capfd):
    data = saved(photo, "PNG")
    place = data.index(b"IDAT") + 2000
    refused(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], profile)
    assert capfd.readouterr().err == ""
    end = len(data) - 12
    decode(data[:end] + struct.pack(">I", 3) + b"tEXta\0b" + b"0000" + data[end:], OFFICIAL)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg"])
@pytest.mark.parametrize("profile", [OFFICIAL, BICUBIC], ids=["official", "bicubic"])
def test_a_tiff_of_which_a_strip_does_not_decompress_is_damaged(photo, compression, profile):
    data = saved(photo, "TIFF", compression=compression)
    np.testing.assert_array_equal(decode(data), opencv(data))
    refused(HARMS["5 % zeros"](data), profile)


def test_a_tiff_that_is_cut_behind_its_directory_is_damaged():
    pixels = bytes(range(256)) * 12
    head = struct.pack("<2sHIH", b"II", 42, 8, 9)
    tags = ((256, 32), (257, 32), (258, 8), (259, 1), (262, 1), (273, 122), (277, 1), (278, 32), (279, 1024))
    data = head + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags) + bytes(4) + pixels[:1024]
    assert decode(data).shape == (32, 32, 3)
    refused(data[:-100], OFFICIAL)


@pytest.mark.parametrize("format", ["WEBP", "GIF", "BMP", "JPEG2000", "PPM", "AVIF"])
@pytest.mark.parametrize("profile", [OFFICIAL, BICUBIC], ids=["official", "bicubic"])
def test_a_cut_file_of_another_format_is_no_picture(photo, format, profile):
    data = saved(photo, format)
    decode(data, profile)
    for length in (len(data) // 2, len(data) * 19 // 20):
        with pytest.raises(ImageError):
            decode(data[:length], profile)


def test_the_checksum_of_a_png_is_that_of_its_kind_and_content(photo):
    data = saved(photo, "PNG")
    place = data.index(b"IHDR")
    wide = data[: place + 4] + struct.pack(">I", 300) + data[place + 8 :]
    refused(wide, OFFICIAL)
    fixed = wide[: place + 17] + struct.pack(">I", zlib.crc32(wide[place : place + 17])) + wide[place + 21 :]
    with pytest.raises(ImageError, match="is broken"):
        decode(fixed, OFFICIAL)


@pytest.mark.parametrize("profile", ["official", "bicubic"])
def test_a_webp_that_says_it_is_longer_is_damaged(profile):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    data = cv2.imencode(".webp", pixels)[1].tobytes()
    decode(data, PIXEL_PROFILES[profile])
    longer = data[:4] + (len(data) + 8).to_bytes(4, "little") + data[8:]
    with pytest.raises(ImageError) as caught:
        decode(longer, PIXEL_PROFILES[profile])
    assert caught.value.cause in ("damaged image", "broken image")
