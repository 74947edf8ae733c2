"""A small index on disk, and a model that needs no weights: a text or a file is known by what it says."""

import zlib

import numpy as np
import pytest

from ernie_vil2.search.store.columns import TextRow
from ernie_vil2.search.store.manifest import Manifest
from ernie_vil2.search.store.writer import open_writer
from tests.search.rows import COUNT, GONE, row_of

WIDTH = 16


def vector_of(name, width=WIDTH):
    """The unit vector of a name."""
    vector = np.random.default_rng(zlib.crc32(str(name).encode())).standard_normal(width).astype(np.float32)
    return vector / np.linalg.norm(vector)


class NamedModel:
    """What an index needs of a Model; it counts what it encodes."""

    def __init__(self, width=WIDTH):
        self.embed_dim, self.encoded = width, 0

    def encode_text(self, texts):
        self.encoded += len(texts)
        return np.stack([vector_of(text, self.embed_dim) for text in texts])

    encode_image = encode_text


@pytest.fixture
def photos(tmp_path):
    """Folder with a file for every picture of the index but the last ten."""
    folder = tmp_path / "photos"
    for number in range(COUNT - 10):
        path = folder / row_of(number, 1).key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


@pytest.fixture
def made(tmp_path, photos):
    """Folder of an index of COUNT pictures, of which those of GONE were removed, with captions and one tag."""
    folder = tmp_path / "index"
    with open_writer(folder, Manifest(width=WIDTH, model={"digest": "known", "path": "no such model"})) as writer:
        root = writer.root("photos", str(photos), "folder")
        texts = [TextRow("caption", f"第 {number} 张") for number in range(COUNT)] + [TextRow("tag", "猫")]
        ids = writer.add_texts(texts, np.stack([vector_of(row.text) for row in texts]))
        rows = [
            row_of(number, root, (int(ids[number]), *([int(ids[-1])] if number % 5 == 0 else [])))
            for number in range(COUNT)
        ]
        writer.add(rows[:40], np.stack([vector_of(number) for number in range(40)]))
        writer.commit()
        writer.add(rows[40:], np.stack([vector_of(number) for number in range(40, COUNT)]))
        writer.remove(GONE)
        writer.set_threshold("same", {"threshold": 0.9})
        writer.set_threshold("alike", {"threshold": 0.5, "of": "image-image"})
        writer.commit()
    return folder
