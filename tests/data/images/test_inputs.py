"""An image is a path, a data: URI, bytes, an open file, a PIL image or an array: the same pixels, or one sentence."""

import base64
import gzip
import io
import mmap
import os
import tempfile
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from ernie_vil2.config.model import PIXEL_PROFILES
from ernie_vil2.data.images.decode import decode
from ernie_vil2.data.images.inputs import held
from ernie_vil2.data.images.limits import DEFAULT_LIMITS, Limits
from ernie_vil2.errors import ImageError

BICUBIC = PIXEL_PROFILES["bicubic"]


@pytest.fixture
def pixels(random_image):
    return random_image(20, 30)


@pytest.fixture
def data(pixels, image_bytes):
    return image_bytes(pixels)


class Trickle:
    """A stream that gives three bytes at a time and cannot be set back."""

    def __init__(self, data):
        self.stream = io.BytesIO(data)

    def read(self, count):
        return self.stream.read(min(3, count))


class Broken:
    def __init__(self, error):
        self.error = error

    def read(self, count):
        raise self.error


def uris(data):
    plain = base64.b64encode(data).decode()
    lines = "\n".join(plain[at : at + 76] for at in range(0, len(plain), 76))
    url_safe = base64.urlsafe_b64encode(data).decode().rstrip("=")
    yield from (f"data:image/png;base64,{text}" for text in (plain, lines, url_safe, plain.replace("+", "%2B")))
    yield f"  DATA:;base64,{plain}\n"
    yield f"data:image/png;name=a.png;charset=utf-8;base64,{plain}"
    yield "data:image/png," + "".join(f"%{byte:02X}" for byte in data)


def test_open_files_are_read_from_their_start(pixels, data, tmp_path):
    (tmp_path / "a.png").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", data)
    (tmp_path / "a.gz").write_bytes(gzip.compress(data))
    spool = tempfile.SpooledTemporaryFile()
    spool.write(data)
    written = io.BytesIO()
    written.write(data)
    opened = open(tmp_path / "a.png", "rb")
    member = zipfile.ZipFile(tmp_path / "a.zip").open("a.png")
    for file in (io.BytesIO(data), written, opened, spool, member, gzip.open(tmp_path / "a.gz"), Trickle(data)):
        for _ in range(1 if isinstance(file, Trickle) else 2):
            np.testing.assert_array_equal(decode(file), pixels)
    opened.seek(5)
    np.testing.assert_array_equal(decode(opened, BICUBIC), pixels)
    opened.close()


def test_a_pipe_is_read_to_its_end(pixels, data):
    reader, writer = os.pipe()
    with open(reader, "rb") as pipe, open(writer, "wb") as end:
        end.write(data)
        end.close()
        np.testing.assert_array_equal(decode(pipe), pixels)


def test_one_file_may_be_read_by_many_threads(pixels, data):
    file, wrong = io.BytesIO(data), []

    def work():
        for _ in range(50):
            wrong.extend([] if np.array_equal(decode(file), pixels) else [1])

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not wrong


def test_data_uris(pixels, data, tmp_path, monkeypatch):
    for uri in uris(data):
        np.testing.assert_array_equal(decode(uri), pixels)
        assert held(uri, DEFAULT_LIMITS) == data
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data:notes.png").write_bytes(data)
    np.testing.assert_array_equal(decode("data:notes.png"), pixels)  # no comma: a name


def test_what_cannot_be_read_is_one_sentence(data, tmp_path):
    (tmp_path / "a.png").write_bytes(data)
    closed = open(tmp_path / "a.png", "rb")
    closed.close()
    with open(tmp_path / "a.png") as text, open(tmp_path / "b", "wb") as only_written, open("/dev/zero", "rb") as zeros:
        cases = {
            "open for text": (text, io.StringIO("x"), io.StringIO("")),
            "closed file": (closed,),
            "mode 'rb'": (only_written, Broken(KeyError("x")), Broken(EOFError()), io.BytesIO),
            "over the limit": (zeros,),
            "is empty": (io.BytesIO(), "data:image/png;base64,", open(os.devnull, "rb")),
            "not base64": ("data:image/png;base64,@@@@", "data:;base64,a"),
            "not an image": (io.BytesIO(b"hello"), "data:text/plain,hello"),
        }
        for words, images in cases.items():
            for image in images:
                with pytest.raises(ImageError, match=words) as caught:
                    decode(image, limits=Limits(max_bytes=1 << 20))
                assert len(str(caught.value)) < 300 and "; " in str(caught.value)


def test_a_long_uri_is_refused_by_its_length(data):
    for uri in ("data:;base64," + "A" * 5000, "data:," + "A" * 5000):
        with pytest.raises(ImageError, match="over the limit of 1000"):
            decode(uri, limits=Limits(max_bytes=1000))


def test_pil_images_and_arrays_are_as_before(pixels):
    np.testing.assert_array_equal(decode(Image.fromarray(pixels)), pixels)
    assert held(pixels, DEFAULT_LIMITS) is pixels


def test_a_map_of_a_file_is_read_from_its_start_every_time(pixels, data, tmp_path):
    (tmp_path / "a.jpg").write_bytes(data)
    with open(tmp_path / "a.jpg", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for _ in range(2):
            assert np.array_equal(decode(mapped), pixels)


@pytest.mark.parametrize("address", ["http://example.org/a.jpg", "s3://bucket/a.jpg", "file:///a.jpg"])
def test_an_address_is_no_path(address):
    with pytest.raises(ImageError, match="is an address, and none is fetched here; download the image"):
        decode(address)
    with pytest.raises(ImageError, match="^the path is empty; give"):
        decode("")
