"""Small files that would take the machine are refused by their header, before a decoder sees them; large photographs
are decoded smaller."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from ernie_vil2.config.model import PIXEL_PROFILES
from ernie_vil2.data.images import decode as decoding
from ernie_vil2.data.images import jpeg
from ernie_vil2.data.images.decode import decode, decode_for
from ernie_vil2.data.images.formats.work import burden
from ernie_vil2.data.images.headers import image_size
from ernie_vil2.data.images.limits import Limits
from ernie_vil2.data.images.pixels import preprocess
from ernie_vil2.errors import ImageError

OFFICIAL, BICUBIC = PIXEL_PROFILES["official"], PIXEL_PROFILES["bicubic"]


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, *chunks, bits=8, colour=0, content=None):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    rows = zlib.compress(bytes(height * (width + 1))) if content is None else content
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bmp(width, height, body):
    palette = bytes(1024)
    head = struct.pack("<IHHI", 54 + 1024 + len(body), 0, 0, 54 + 1024)
    return (
        b"BM" + head + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0) + palette + body
    )


def tiff(changes=(), extra=b"", big=60_000):
    """A grey TIFF of 100 x 100 with other tags than its own: {tag: (type, count, value)}, None for none."""
    tags = {256: 100, 257: 100, 258: 8, 259: 1, 262: 1, 273: big, 277: 1, 278: 100, 279: 10_000}
    tags = {tag: (4, 1, value) for tag, value in tags.items()} | dict(changes)
    entries = sorted((tag, *value) for tag, value in tags.items() if value)
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    return (
        (head + b"".join(struct.pack("<HHII", *entry) for entry in entries)).ljust(big, b"\0") + bytes(10_000) + extra
    )


def webp(canvas, animated):
    """A WebP whose canvas is said to be small, around a picture of 16,383 pixels a side."""
    inner = b"VP8L" + struct.pack("<I", 10) + b"\x2f\xff\xff\xff\x0f" + bytes(5)
    head = b"VP8X" + struct.pack("<I", 10) + bytes([2 * animated, 0, 0, 0]) + (canvas - 1).to_bytes(3, "little") * 2
    if animated:
        frame = bytes(6) + (canvas - 1).to_bytes(3, "little") * 2 + bytes(4) + inner
        inner = b"ANIM" + struct.pack("<I", 6) + bytes(6) + b"ANMF" + struct.pack("<I", len(frame)) + frame
    return b"RIFF" + struct.pack("<I", 4 + len(head) + len(inner)) + b"WEBP" + head + inner


def gif(*frames):
    head = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + bytes(6)
    return (
        head + b"".join(b"," + struct.pack("<4HB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\0" for frame in frames) + b";"
    )


def scans(count):
    """A progressive JPEG of 4000 x 4000 whose last scan is there so many times."""
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    data = cv2.imencode(".jpg", np.zeros((4000, 4000, 3), np.uint8), options)[1].tobytes()
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + data[-2:]


def codestream(place, value):
    """A JPEG 2000 codestream of 3000 x 3000 with other bytes behind a marker."""
    data = saved(Image.new("RGB", (3000, 3000)), "JPEG2000", no_jp2=True)
    marker, offset = place
    at = data.index(marker) + offset
    return data[:at] + value + data[at + len(value) :]


def precincts():
    data = saved(Image.new("RGB", (3000, 3000)), "JPEG2000", no_jp2=True)
    at = data.index(b"\xff\x52")
    (length,), levels = struct.unpack_from(">H", data, at + 2), data[at + 9]
    body = data[at + 5 : at + 2 + length] + bytes(levels + 1)
    return data[: at + 2] + struct.pack(">H", length + levels + 1) + b"\1" + body + data[at + 2 + length :]


def ico(inner, side=16):
    return b"\0\0\1\0\1\0" + bytes([side, side, 0, 0]) + struct.pack("<HHII", 1, 32, len(inner), 22) + inner


SIZ = b"\xff\x4f\xff\x51"
TILED = {273: None, 278: None, 279: None, 324: (4, 1, 60_000), 325: (4, 1, 10_000)}
BOMBS = {
    "a chunk of 4 GB": lambda: png(1, 1)[:33] + struct.pack(">I", 0xFFFF_FFF0) + b"tEXta\0b" + bytes(4),
    "a chunk of 4 GB before an end": lambda: png(1, 1)[:33] + b"\xff\xff\xff\xf0tEXt" + chunk(b"IEND", b""),
    "a high picture": lambda: png(1, 99_000_000, content=zlib.compress(bytes(1 << 20))),
    "more pixels than data can hold": lambda: png(9000, 9000, content=bytes(1000)),
    "a frame larger than its picture": lambda: png(9, 9, chunk(b"fcTL", struct.pack(">5I6x", 0, 60_000, 60_000, 0, 0))),
    "many chunks": lambda: png(9, 9, chunk(b"abCd", b"") * 100_001),
    "runs over a wide bitmap": lambda: bmp(8_388_608, 8, b"\0\1"),
    "runs over a large bitmap": lambda: bmp(9000, 9000, b"\0\1"),
    "a canvas smaller than its picture": lambda: webp(100, False),
    "an animation smaller than its frame": lambda: webp(100, True),
    "a frame larger than its screen": lambda: gif((60_000, 60_000)),
    "values longer than the file": lambda: tiff({40_000 + n: (7, 50_000, 10_000) for n in range(1000)}),
    "strips that are one": lambda: tiff(
        {257: (4, 1, 5000), 273: (4, 5000, 10_000), 278: (4, 1, 1), 279: (4, 5000, 30_000)},
        big=10_000,
        extra=struct.pack("<5000I", *[50_000] * 5000) * 2,
    ),
    "a tag of 4 billion values": lambda: tiff({273: (4, 0xFFFF_FFFF, 8)}),
    "many samples": lambda: tiff({256: (4, 1, 9000), 257: (4, 1, 9000), 277: (3, 1, 60_000)}),
    "a large tile": lambda: tiff({**TILED, 322: (4, 1, 65_520), 323: (4, 1, 65_520)}),
    "a tile beyond 32 bits": lambda: tiff({**TILED, 322: (4, 1, 0xFFFF_FFF0), 323: (4, 1, 0xFFFF_FFF0)}),
    "many tiles": lambda: codestream((SIZ, 24), struct.pack(">II", 8, 8)),
    "many components": lambda: codestream((SIZ, 40), b"\x40\0"),
    "precincts of a pixel": precincts,
    "many scans": lambda: scans(3000),
    "many segments": lambda: b"\xff\xd8" + b"\xff\xe1\0\2" * 50_000 + saved(Image.new("L", (9, 9)), "JPEG")[2:],
    "stray bytes without end": lambda: b"\xff\xd8\xff" + bytes(20 << 20),
    "numbers as text": lambda: b"P3\n4000 4000\n255\n" + b"1 " * 10_000,
    "floats": lambda: b"PF\n8000 8000\n-1.0\n" + bytes(10_000),
    "a picture larger than its icon": lambda: ico(png(30_000, 30_000, content=bytes(1 << 20))),
}


def second_size():
    """A TIFF whose second width is that of a small picture, which readers take or not."""
    entries = sorted([*[(tag, 4, 1, value) for tag, value in ((257, 9), (258, 8), (259, 1), (262, 1), (273, 200))]])
    entries = [(256, 4, 1, 60_000), (256, 4, 1, 9), *entries]
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    return head + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(1000)


def decoy():
    """A JP2 with the header of a small codestream in a box that no reader looks into."""
    data = saved(Image.new("RGB", (6000, 6000)), "JPEG2000")
    inner = bytes(16) + saved(Image.new("RGB", (9, 9)), "JPEG2000", no_jp2=True)[:60]
    at = data.index(b"jp2h") - 4
    return data[:at] + struct.pack(">I4s", 8 + len(inner), b"uuid") + inner + data[at:]


def exif():
    """EXIF of 100 kB of which a thousand entries say that they are all of it."""
    entries = [(tag, 7, 99_000, 14_000) for tag in range(1000, 2000)]
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    return (head + b"".join(struct.pack("<HHII", *entry) for entry in entries)).ljust(120_000, b"\0")


def exif_jpeg():
    parts = (exif()[at : at + 60_000] for at in range(0, 120_000, 60_000))
    segments = (b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in parts)
    return b"\xff\xd8" + b"".join(segments) + saved(Image.new("CMYK", (9, 9)), "JPEG")[2:]


BOMBS |= {
    "two widths": second_size,
    "the size of another codestream": decoy,
    "a comment like a size": lambda: b"#?RADIANCE\n-Y 9 +X 9\n\n-Y 60000 +X 60000\n" + bytes(99),
    "a size that is said twice": lambda: (
        b"P7\nWIDTH 9\nHEIGHT 9\nWIDTH 60000\nHEIGHT 60000\nDEPTH 3\nENDHDR\n" + bytes(99)
    ),
    "EXIF of a PNG": lambda: png(9, 9, chunk(b"eXIf", exif())),
    "EXIF of a JPEG": exif_jpeg,
    "comments of a GIF": lambda: (
        b"GIF89a\5\0\5\0\0\0\0\x21\xfe"
        + (b"\xff" + bytes(255)) * 9000
        + b"\0"
        + saved(Image.new("P", (5, 5)), "GIF")[13:]
    ),
}


def refused(data, profile, cause=("too large", "broken image", "truncated image", "not an image", "damaged image")):
    with pytest.raises(ImageError) as caught:
        decode(data, profile)
    assert caught.value.cause in cause and len(str(caught.value)) <= 480 and "; " in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_before_a_decoder_sees_them(name, monkeypatch):
    def seen(*args, **options):
        raise AssertionError("a decoder sees the file")

    data = BOMBS[name]()
    for module, function in ((cv2, "imdecode"), (Image, "open"), (decoding, "jpeg_pixels"), (jpeg, "attempt")):
        monkeypatch.setattr(module, function, seen)
    for profile in (OFFICIAL, BICUBIC):
        refused(data, profile)


def test_an_avif_is_as_large_as_its_pictures_say_themselves():
    data = saved(Image.new("RGB", (1000, 700)), "AVIF", speed=10)
    at = data.index(b"ispe") + 8
    assert image_size(data[:at] + struct.pack(">II", 10, 10) + data[at + 8 :]) == (1000, 700)


def test_ordinary_pictures_do_not_meet_the_limits():
    photo = Image.effect_mandelbrot((640, 480), (-3, -2.5, 2, 2.5), 40).convert("RGB")
    for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF"):
        for profile in (OFFICIAL, BICUBIC):
            assert decode(saved(photo, kind), profile).shape == (480, 640, 3)
    assert decode(saved(photo, "JPEG", progressive=True, subsampling=0)).shape == (480, 640, 3)
    assert decode(scans(0)).shape == (4000, 4000, 3)
    assert decode(png(5000, 5000), BICUBIC).shape == (5000, 5000, 3)  # 25 million pixels in 24 kB


@pytest.mark.parametrize(
    "kind, mode, options",
    [
        ("TIFF", "1", {"compression": "group4"}),
        ("TIFF", "L", {"compression": "tiff_adobe_deflate"}),
        ("PNG", "1", {"optimize": True}),
        ("WEBP", "RGB", {"lossless": True}),
        ("JPEG", "L", {}),
    ],
    ids=str,
)
def test_a_blank_page_or_screen_is_read(kind, mode, options):
    sides = (7680, 4320) if kind == "WEBP" else (4960, 7016)  # 8K, and A4 at 600 dpi
    white = saved(Image.new(mode, sides, "white"), kind, **options)
    for profile in (OFFICIAL, BICUBIC):
        rgb = decode(white, profile)
        assert rgb.shape == (*sides[::-1], 3) and rgb.min() == 255


def test_what_pillow_does_not_know_is_told_without_an_object_of_python():
    radiance = cv2.imencode(".hdr", np.ones((8, 8, 3), np.float32))[1].tobytes()
    with pytest.raises(ImageError, match="of no kind that Pillow knows") as error:
        decode(radiance, BICUBIC)
    assert "object at" not in str(error.value)


@pytest.mark.parametrize("name, value", [("max_side", 99), ("max_expansion", 0), ("max_work", 100), ("max_pixels", 9)])
def test_every_limit_is_told_by_its_name(name, value):
    with pytest.raises(ImageError, match=f"over the limit of {value}.* raise {name}$"):
        decode(png(6001, 6000), limits=Limits(**{name: value}))


@pytest.mark.parametrize("profile", [OFFICIAL, BICUBIC], ids=["official", "bicubic"])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_photograph_over_the_limit_is_decoded_smaller(profile, mode):
    small = Limits(max_pixels=1_000_000)
    photo = Image.effect_mandelbrot((1300, 1200), (-3, -2.5, 2, 2.5), 40).convert(mode)
    data = saved(photo, "JPEG", quality=95)
    rgb, sides = decode_for(data, None, profile, small)
    assert rgb.shape == (600, 650, 3) and sides == (1200, 1300)
    wanted = cv2.resize(decode(data, profile), (650, 600), interpolation=cv2.INTER_AREA)
    assert np.abs(rgb.astype(int) - wanted).mean() < 3
    assert np.abs(preprocess(data, profile, small) - preprocess(data, profile)).mean() < 0.2
    with pytest.raises(ImageError, match="max_pixels"):
        decode(data, profile, Limits(max_pixels=100_000))  # 325 x 300 would do, but is less than a model may read
    assert decode(data, profile).shape == (1200, 1300, 3)


def test_a_turned_photograph_keeps_its_sides():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.new("RGB", (1300, 1200)), "JPEG", exif=exif)
    rgb, sides = decode_for(data, None, OFFICIAL, Limits(max_pixels=1_000_000))
    assert rgb.shape == (650, 600, 3) and sides == (1300, 1200)


def test_a_pil_image_that_was_not_read_yet_is_looked_at(tmp_path):
    (tmp_path / "a.bmp").write_bytes(bmp(3900, 3900, b"\0\1"))
    for image in (Image.open(tmp_path / "a.bmp"), Image.open(io.BytesIO(scans(3000)))):
        with pytest.raises(ImageError, match="max_work"):
            decode(image)
        assert isinstance(image, ImageFile.ImageFile) and image.tile
    good = Image.open(io.BytesIO(saved(Image.new("RGB", (30, 20)), "JPEG")))
    assert decode(good).shape == decode(good).shape == (20, 30, 3)


def test_text_and_profiles_in_a_png_are_neither_inflated_nor_printed(capfd):
    comments = [chunk(kind, b"a\0\0" + zlib.compress(bytes(80 << 20), 1)) for kind in (b"zTXt", b"iCCP")]
    data = png(30, 20, *comments)
    for profile in (OFFICIAL, BICUBIC):
        assert decode(data, profile).shape == (20, 30, 3)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("brands", [b"heic\0\0\0\0mif1heic", b"mif1\0\0\0\0mif1heic", b"hevc\0\0\0\0msf1hevc"])
def test_heic_is_told_by_its_name(brands):
    for profile in (OFFICIAL, BICUBIC):
        assert "HEIC" in refused(struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + bytes(99), profile)


def test_an_avif_counts_every_item_of_it():
    data = saved(Image.new("RGB", (1000, 700)), "AVIF", speed=10)
    (once, fault), at = burden("AVIF", data, (1000, 700)), data.index(b"iloc")
    assert fault == "" and once == 2 * 1000 * 700
    size = int.from_bytes(data[at - 4 : at], "big")
    head, item = data[at + 4 : at + 10], data[at + 12 : at - 4 + size]
    many = struct.pack(">I4s", 16 + 50 * len(item), b"iloc") + head + struct.pack(">H", 50) + item * 50
    assert burden("AVIF", data + many, (1000, 700))[0] == (1 + 50) * 1000 * 700
