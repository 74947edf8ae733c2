"""Small indexes of a small model, which is loaded as a user's is, and a server of them."""

import numpy as np
import pytest

from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.inference.identity import model_digest
from ernie_vil2.search.store.columns import TextRow
from ernie_vil2.search.store.manifest import Manifest
from ernie_vil2.search.store.writer import open_writer
from tests.conftest import tiny_model_config, write_tiny_vocab
from tests.search.rows import COUNT, GONE, row_of
from tests.serving.running import running

WIDTH = 32


def vectors_of(count, seed, width=WIDTH):
    """float32 [count, width]: unit vectors."""
    vectors = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_index(folder, photos, model, seed=0, captions=True):
    """An index of COUNT pictures, of which those of GONE were removed. model: a folder, or None for vectors alone."""
    record = {"digest": model_digest(model), "path": str(model), "system": "ernie_vil2"} if model else {}
    with open_writer(folder, Manifest(width=WIDTH, model=record)) as writer:
        root = writer.root("photos", str(photos), "folder")
        ids = [()] * COUNT
        if captions:
            texts = [TextRow("caption", f"第 {number} 张") for number in range(COUNT)] + [TextRow("tag", "猫")]
            found = [int(one) for one in writer.add_texts(texts, vectors_of(len(texts), seed + 100))]
            ids = [(found[number], *found[-1:] * (number % 5 == 0)) for number in range(COUNT)]
        rows = [row_of(number, root, ids[number]) for number in range(COUNT)]
        writer.add(rows, vectors_of(COUNT, seed))
        writer.commit()
        writer.remove(GONE)
        writer.set_threshold("alike", {"threshold": 0.1, "of": "image-image"})
        writer.set_threshold("fits", {"threshold": 0.2, "of": "text-image", "precision": 90.0, "recall": 80.0})
        writer.commit()
    return folder


def write_model(folder, seed=0):
    """Write a small model of random weights into a new folder."""
    config, rng = tiny_model_config(), np.random.default_rng(seed)
    state = {key: rng.normal(0, 0.3, shape).astype(np.float32) for key, shape in manifest(config).items()}
    save_model(folder, state, config, write_tiny_vocab(folder.with_name("tiny_vocab.txt")))
    return folder


def write_indexes(folder):
    """Write the indexes `photos` and `again` of one model, `other` of another and `vectors` of none; their folder."""
    (folder / "pictures").mkdir()
    first, second = write_model(folder / "model"), write_model(folder / "model2", 1)
    for seed, (name, model) in enumerate({"photos": first, "again": first, "other": second, "vectors": None}.items()):
        make_index(folder / "indexes" / name, folder / "pictures", model, seed, captions=name == "photos")
    return folder / "indexes"


@pytest.fixture
def make_model(tmp_path):
    """Function (name, seed) -> folder of a model of random weights."""
    return lambda name, seed=0: write_model(tmp_path / name, seed)


@pytest.fixture
def indexes(tmp_path):
    """Folder of the indexes of `write_indexes`; models lie beside it."""
    return write_indexes(tmp_path)


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """A Running of the same indexes for all tests of a module, which change nothing in them."""
    with running(write_indexes(tmp_path_factory.mktemp("still"))) as found:
        yield found


@pytest.fixture
def server(indexes):
    """A Running of them."""
    with running(indexes) as found:
        yield found
