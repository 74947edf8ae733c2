"""Uploads of attackers: forms that are none, pictures that are none or far too large; memory stays where it was."""

import json
import struct
import threading
import zlib

import pytest

from tests.fuzz.worker import forget_peak, peak
from tests.serving.test_attacks import honest, port_of, refused
from tests.serving.wire import connected, exchange, parsed, request, rest

UPLOADS = "/api/indexes/photos/uploads"
FORM = "multipart/form-data; boundary=b"
HEAD = b'Content-Disposition: form-data; name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
MIB = 1 << 20
MOST_GROWTH = 200 * MIB
"""Of memory at any moment, over what the process held before: the largest upload is 64 MiB"""


class Memory:
    """What this process, and the server in it, holds beyond what it held when it was asked to forget."""

    def __init__(self):
        self.forget()

    def forget(self):
        forget_peak()
        self.before = peak()

    @property
    def growth(self):
        return peak() - self.before


@pytest.fixture
def memory(still):
    """A Memory, which a test that makes large bytes asks to forget them."""
    honest(still)
    return Memory()


@pytest.fixture
def server(still, memory):
    """A Running that still answers at the end, and whose memory stays within bounds meanwhile."""
    yield still
    assert memory.growth < MOST_GROWTH, f"{memory.growth / MIB:.0f} MiB more"
    honest(still)


def upload(server, body, kind="image/jpeg", **headers):
    return exchange(port_of(server), request("POST", UPLOADS, body, content_type=kind, **headers))


def part(content=b"x", head=HEAD):
    return b"--b\r\n" + head + content + b"\r\n"


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height):
    """A PNG of white, with the first million bytes of its pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    rows = zlib.compress(b"\xff" * 10**6, 9)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg(width, height, filled=99):
    """A JPEG that is far larger by its header than its pixels, of which there are so many bytes."""
    quantised = b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([16] * 64)
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    table = b"\xff\xc4" + struct.pack(">HB", 20, 0) + bytes([0, 1] + [0] * 14) + b"\x00"
    return (
        b"\xff\xd8"
        + quantised
        + frame
        + table
        + b"\xff\xda"
        + struct.pack(">H", 8)
        + b"\x01\x01\x00\x00\x3f\x00"
        + bytes(filled)
        + b"\xff\xd9"
    )


NO_PICTURES = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://evil.example/"/><script>alert(1)</script></svg>',
    "svg with entities": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
    "pdf": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
    "html": b"<!doctype html><script>fetch('/api/session')</script>",
    "html that begins as a gif": b"GIF89a/*<script>*/=1;alert(1)//",
    "zip": b"PK\x03\x04" + bytes(100),
    "gzip": b"\x1f\x8b\x08" + bytes(100),
    "elf": b"\x7fELF" + bytes(100),
    "video": b"\0\0\0\x18ftypmp42" + bytes(100),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) run",
    "a path": b"/etc/passwd",
    "an address": b"http://127.0.0.1/secret.png",
    "words": b"push graphic-context\nviewbox 0 0 1 1\nfill 'url(https://evil.example/x.jpg\"|ls \"-la)'",
    "nothing": b"\0",
}
LARGE = {
    "jpeg of 300 megapixels": lambda: jpeg(17_321, 17_321),
    "jpeg of all that fits": lambda: jpeg(65_535, 65_535),
    "png of a billion pixels": lambda: png(32_000, 32_000),
    "png wide": lambda: png(2**31 - 1, 1)[:2000],
    "gif": lambda: (
        b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + b"," + bytes(4) + b"\xff\xff\xff\xff\0\2\0;"
    ),
    "bmp": lambda: (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(99)
    ),
    "bytes over the limit": lambda: bytes(64 * MIB + 1),
}


@pytest.mark.parametrize("form", [False, True])
def test_what_is_no_picture_is_refused_whatever_it_is_called(server, form):
    for name, content in NO_PICTURES.items():
        answer = upload(server, part(content) + b"--b--\r\n", FORM) if form else upload(server, content)
        assert refused(answer) == "image", name
        assert b"evil" not in answer.body and b"alert" not in answer.body


@pytest.mark.parametrize("name", LARGE)
def test_pictures_that_are_far_too_large_are_refused(server, memory, name):
    data = LARGE[name]()
    head = request("POST", UPLOADS, content_length=str(len(data)), content_type="image/jpeg")
    memory.forget()
    answer = exchange(port_of(server), head, data)
    if refused(answer) != "body_too_large":
        assert json.loads(answer.body)["error"]["values"]["cause"] in ("too large", "broken image"), name


FORMS = {
    "no boundary": (part() + b"--b--\r\n", "multipart/form-data"),
    "an empty boundary": (part() + b"--b--\r\n", "multipart/form-data; boundary="),
    "a boundary of 5,000": (part() + b"--b--\r\n", "multipart/form-data; boundary=" + "b" * 5000),
    "another boundary": (part() + b"--b--\r\n", "multipart/form-data; boundary=c"),
    "no end": (part(), FORM),
    "no part": (b"--b--\r\n", FORM),
    "nothing": (b"", FORM),
    "a thousand parts": (part() * 1000 + b"--b--\r\n", FORM),
    "a hundred thousand fields": (part(b"", b'Content-Disposition: form-data; name="a"\r\n\r\n') * 100_000, FORM),
    "headers without end": (b"--b\r\n" + b"X-Long: " + b"y" * 2 * MIB, FORM),
    "a million headers": (b"--b\r\n" + b"X: y\r\n" * 300_000, FORM),
    "nested": (part(part().replace(b"--b", b"--c"), HEAD.replace(b"image/jpeg", b"multipart/mixed; boundary=c")), FORM),
    "a name that climbs": (part(head=HEAD.replace(b"a.jpg", b"../../../../tmp/evil.jpg")) + b"--b--\r\n", FORM),
    "a name of zero bytes": (part(head=HEAD.replace(b"a.jpg", b"a\0.jpg")) + b"--b--\r\n", FORM),
    "a name with returns": (part(head=HEAD.replace(b"a.jpg", b"a\rX-Evil: 1")) + b"--b--\r\n", FORM),
    "another field": (part(head=HEAD.replace(b'"image"', b'"key"')) + b"--b--\r\n", FORM),
    "two names": (part(head=HEAD.replace(b'name="image"', b'name="a"; name="image"')) + b"--b--\r\n", FORM),
    "an encoded name": (part(head=HEAD.replace(b'name="image"', b"name*=utf-8''image")) + b"--b--\r\n", FORM),
    "base64 transfer": (part(b"eA==", HEAD[:-2] + b"Content-Transfer-Encoding: base64\r\n\r\n") + b"--b--\r\n", FORM),
    "boundaries alone": (b"--b\r\n" * 300_000, FORM),
    "returns alone": (part(b"\r\n--" * 500_000) + b"--b--\r\n", FORM),
    "another type": (b"x", "application/octet-stream"),
    "no type": (b"x", ""),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_that_are_none_are_refused(server, name):
    body, kind = FORMS[name]
    refused(upload(server, body, kind))


def test_a_body_that_never_ends_is_cut_at_the_limit(server):
    with connected(port_of(server)) as connection:
        connection.sendall(request("POST", UPLOADS, content_type="image/jpeg", transfer_encoding="chunked"))
        piece = b"%x\r\n" % MIB + bytes(MIB) + b"\r\n"
        for _ in range(80):
            connection.sendall(piece)
        assert refused(parsed(rest(connection))) == "body_too_large"


def test_compressed_bodies_are_not_read(server):
    bomb = zlib.compressobj(9, wbits=31)
    body = bomb.compress(bytes(32 * MIB)) + bomb.flush()
    for path, kind in ((UPLOADS, "image/jpeg"), ("/api/indexes/photos/search", "application/json")):
        sent = request("POST", path, body, content_type=kind, content_encoding="gzip")
        assert refused(exchange(port_of(server), sent)) == "encoded_body"


def test_many_attackers_at_once_are_refused_one_by_one(server):
    data, codes = jpeg(17_321, 17_321, 2 * MIB), []

    def attack():
        answer = upload(server, data)
        codes.append(refused(answer, (422, 429)))

    threads = [threading.Thread(target=attack) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(codes) == 12 and set(codes) <= {"image", "busy"} and "image" in codes
