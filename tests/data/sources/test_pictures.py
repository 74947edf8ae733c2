"""What counts as the same picture: the same path or the same content, told by all of it or by a probe."""

import numpy as np
import pytest

from ernie_vil2.data.sources.base import Sample
from ernie_vil2.data.sources.pictures import PROBED, content_digest, picture_of, probe
from ernie_vil2.errors import ImageError


def of(image):
    return Sample("a", image, ("t",), (), "x.tsv:1")


@pytest.mark.parametrize("digest", [content_digest, probe])
@pytest.mark.parametrize("size", [0, 1, PROBED, 2 * PROBED + 1, 50 * PROBED])
def test_content_decides_wherever_it_lies(tmp_path, digest, size):
    data = np.random.default_rng(0).bytes(size)
    path = tmp_path / "1"
    path.write_bytes(data)
    assert digest(of(data)) == digest(of(path)) == digest(of(bytearray(data)))
    assert digest(of(data)) != digest(of(data + b"x"))
    for place in {0, size // 2, size - 1} if size else ():
        other = bytearray(data)
        other[place] ^= 1
        assert digest(of(data)) != digest(of(other)), place


@pytest.mark.parametrize("digest", [content_digest, probe])
def test_arrays_of_other_shapes_and_orders_are_other_pictures(digest):
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert digest(of(pixels)) == digest(of(np.asfortranarray(pixels)))
    assert digest(of(pixels)) != digest(of(pixels.reshape(4, 2, 3)))


@pytest.mark.parametrize("digest", [content_digest, probe])
def test_a_file_that_went_away_is_named(tmp_path, digest):
    with pytest.raises(ImageError, match="1: cannot be read .*put the file back"):
        digest(of(tmp_path / "1"))


def test_the_same_path_is_the_same_picture_without_reading_it(tmp_path):
    (tmp_path / "1").write_bytes(b"x")
    first = picture_of(of(tmp_path / "1"), 3)
    (tmp_path / "1").unlink()
    assert first.shown_by(of(tmp_path / "1")) and first.shown_by(of(b"x")) and not first.shown_by(of(b"y"))
