"""Pickles changed by their instructions, and zips around them by their fields."""

import io
import pickletools
import random
import struct
import warnings
import zipfile

from tests.fuzz.damage import EXTREMES, damaged

GLOBALS = (b"os\nsystem", b"builtins\neval", b"torch\nFloatStorage", b"torch._utils\n_rebuild_tensor_v2",
    b"collections\nOrderedDict",
           b"numpy\ndtype", b"numpy\nndarray", b"numpy.core.multiarray\n_reconstruct",
           b"numpy._core.multiarray\n_reconstruct",
           b"torch.nn.parameter\nParameter", b"torch._utils\n_rebuild_parameter", b"paddle\nTensor",
           b"_codecs\nencode", b"torch\nSize",
           b"copyreg\n_reconstructor", b"builtins\nbytearray", b"\xff\xff\n\xff", b"x" * 900 + b"\ny")  # fmt: skip
PIECES = (
    b"(", b".", b"0", b"1", b"2", b"N", b"}", b"]", b")", b"t", b"l", b"d", b"s", b"u", b"a", b"e", b"b", b"R", b"Q",
    b"\x81", b"\x85", b"\x86",
    b"\x87", b"\x88", b"\x89", b"\x8f", b"\x90", b"\x91", b"\x93", b"\x92", b"\x94", b"q\x00", b"h\x00",
    b"r\xff\xff\xff\xff",
    b"j\xff\xff\xff\x7f", b"p99999999999999999999\n", b"g-1\n", b"I01\n", b"I" + b"9" * 5000 + b"\n",
    b"L" + b"9" * 5000 + b"L\n", b"F1e999\n",
    b"Vtext\\ud800\n", b"S'text'\n", b"S\"\n", b"U\xff", b"C\x01b", b"X\xff\xff\xff\xff",
    b"\x8d" + b"\xff" * 7 + b"\x7f", b"\x8e\x00\x00\x00\x00\x01\x00\x00\x00",
    b"\x8b\xff\xff\xff\x7f", b"\x8b\x00\x00\x00\x80", b"\x8a\xff", b"\x8a\x00", b"\x95" + b"\xff" * 8, b"\x80\x05",
    b"\x80\xff", b"\x97", b"\x98",
    b"\x96\xff\xff\xff\xff\x00\x00\x00\x00", b"G\x7f\xf8" + bytes(6), b"P1\n", b"K\x00", b"M\xff\xff",
    b"J\xff\xff\xff\xff",
    b"\x82\x01", b"i" + b"os\nsystem\n", b"o", b"]" * 3000, b"(" * 3000, b"N" + b"\x85" * 3000, b"(((NtQ",
    b"\x8c\x02\xff\xff",
)  # fmt: skip
"""Instructions, many of which mean nothing where they come to stand"""
HEADERS = (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07")
FIELDS = {
    b"PK\x03\x04": ((4, "H"), (6, "H"), (8, "H"), (14, "I"), (18, "I"), (22, "I"), (26, "H"), (28, "H")),
    b"PK\x01\x02": (
        (6, "H"),
        (8, "H"),
        (10, "H"),
        (16, "I"),
        (20, "I"),
        (24, "I"),
        (28, "H"),
        (30, "H"),
        (32, "H"),
        (34, "H"),
        (42, "I"),
    ),
    b"PK\x05\x06": ((4, "H"), (6, "H"), (8, "H"), (10, "H"), (12, "I"), (16, "I"), (20, "H")),
    b"PK\x06\x06": ((4, "Q"), (24, "Q"), (32, "Q"), (40, "Q"), (48, "Q")),
    b"PK\x06\x07": ((8, "Q"), (16, "I")),
}
NAMES = (
    "../data.pkl",
    "/data.pkl",
    "archive/data.pkl",
    "archive/data/0",
    "archive/data/../0",
    "a\x00b",
    "",
    "x" * 5000,
    "archive/byteorder",
    "archive/data.pkl/",
)


def spoilt_pickle(rng: random.Random, data: bytes) -> bytes:
    """A pickle with one to three instructions changed, doubled, taken out, exchanged or added."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = one_instruction(rng, data)
    return data


def one_instruction(rng: random.Random, data: bytes) -> bytes:
    starts = starts_of(data)
    if len(starts) < 3:
        return damaged(rng, data)
    at = rng.randrange(len(starts) - 1)
    start, end = starts[at], starts[at + 1]
    way = rng.randrange(8)
    if way == 0:
        return data[:start] + data[end:]
    if way == 1:
        return data[:end] + data[start:end] * rng.choice((1, 2, 40)) + data[end:]
    if way < 4:
        return data[:start] + rng.choice(PIECES) + data[start:]
    if way == 4:
        return data[:start] + rng.choice(PIECES) + data[end:]
    if way == 5:
        other = rng.randrange(len(starts) - 1)
        return data[:start] + data[starts[other] : starts[other + 1]] + data[end:]
    if way == 6:
        places = [
            place for place, following in zip(starts, starts[1:], strict=False) if data[place : place + 1] == b"c"
        ]
        if places:
            place = rng.choice(places)
            return data[:place] + b"c" + rng.choice(GLOBALS) + b"\n" + data[starts[starts.index(place) + 1] :]
    inside = data[start + 1 : end]
    changed = damaged(rng, inside) if way == 7 else struct.pack("<I", rng.choice(EXTREMES) & 0xFFFFFFFF)[: len(inside)]
    return data[: start + 1] + changed + data[end:]


def starts_of(data: bytes) -> list[int]:
    """Where each instruction begins, as far as they can be told apart."""
    starts: list[int] = []
    stream = io.BytesIO(data)
    while True:
        base = stream.tell()
        found = []
        try:
            found.extend(place for _, _, place in pickletools.genops(stream))
        except Exception:
            return starts + [place for place in found if place is not None]
        starts += found
        if stream.tell() in (base, len(data)):
            return [*starts, stream.tell()]


def spoilt_zip(rng: random.Random, data: bytes) -> bytes:
    """A zip with one field of one header made extreme."""
    kind = rng.choice(HEADERS)
    places = [place for place in range(len(data) - 22) if data.startswith(kind, place)] if kind in data else []
    if not places:
        kind = HEADERS[0]
        places = [place for place in range(len(data) - 30) if data.startswith(kind, place)]
    if not places:
        return damaged(rng, data)
    place, (offset, code) = rng.choice(places), rng.choice(FIELDS[kind])
    size = struct.calcsize(code)
    value = rng.choice((*EXTREMES, *range(10), len(data))) & ((1 << 8 * size) - 1)
    return data[: place + offset] + struct.pack("<" + code, value) + data[place + offset + size :]


def zipped_again(rng: random.Random, members: dict[str, bytes]) -> bytes:
    """A zip, checksums right, of members of which one has another name, content or compression, or comes twice."""
    members = list(members.items())
    at, way = rng.randrange(len(members)), rng.randrange(6)
    name, content = members[at]
    if way == 0:
        del members[at]
    elif way == 1:
        members.append((name, damaged(rng, content)))
    elif way == 2:
        members[at] = (rng.choice(NAMES), content)
    elif way == 3:
        members[at] = (name, damaged(rng, content))
    elif way == 4:
        members[at] = (name, content + bytes(rng.choice((1, 4, 100))))
    method = zipfile.ZIP_DEFLATED if way == 5 else zipfile.ZIP_STORED
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that come twice
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return buffer.getvalue()
