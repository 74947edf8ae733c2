"""Embeddings kept on the disk come back bit for bit, by the content of the image alone."""

import pickle
import resource
from pathlib import Path

import numpy as np
import pytest

from ernie_vil2.data.batches.image_embeddings import ImageEmbeddings
from ernie_vil2.errors import DataError


def digest(number, tail=0):
    return (number.to_bytes(8, "little") + tail.to_bytes(8, "little")).hex()


@pytest.fixture
def kept(tmp_path):
    """(ImageEmbeddings of two blocks, {digest: row}); two digests agree in their first half, some are very large."""
    names = [digest(2**64 - 1 - number) for number in range(5)] + [digest(7), digest(7, 1), digest(3)]
    rows = dict(zip(names, np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32), strict=True))
    found = ImageEmbeddings(tmp_path / "kept", 4)
    for part in (names[:3], names[3:]):
        found.write(part, [rows[name] for name in part])
    found.read()
    return found, rows


def test_what_was_written_is_found_in_other_processes_too(kept):
    embeddings, rows = kept
    for found in (embeddings, pickle.loads(pickle.dumps(embeddings))):
        assert len(found) == 8
        assert all(np.array_equal(found.find(name), row) for name, row in rows.items())
        assert found.find(digest(7, 2)) is None and found.find(digest(8)) is None


def test_an_empty_folder_has_nothing(tmp_path):
    found = ImageEmbeddings(tmp_path / "none", 4)
    assert len(found) == 0 and found.find(digest(1)) is None and found.remove_damaged() == []


@pytest.mark.parametrize("damage", ["cut", "changed", "emptied"])
def test_a_damaged_block_goes_and_the_others_stay(kept, damage):
    embeddings, rows = kept
    path = max(embeddings.folder.iterdir(), key=lambda path: path.stat().st_size)
    content = path.read_bytes()
    path.write_bytes({"cut": content[:-3], "changed": content[:-1] + bytes([content[-1] ^ 1]), "emptied": b""}[damage])
    assert embeddings.remove_damaged() == [path.name] and not path.exists()
    left = [name for name in rows if embeddings.find(name) is not None]
    assert len(left) == len(embeddings) == 3 and all(np.array_equal(embeddings.find(name), rows[name]) for name in left)


def test_a_file_of_objects_or_of_another_width_is_passed_over(kept):
    embeddings, rows = kept
    np.save(embeddings.folder / "objects.npy", np.array([{}], object), allow_pickle=True)
    ImageEmbeddings(embeddings.folder, 8).write([digest(1)], [np.zeros(8)])
    embeddings.read()
    assert len(embeddings) == len(rows)


def test_folders_of_the_same_images_have_one_mark(kept, tmp_path):
    embeddings, rows = kept
    other = ImageEmbeddings(tmp_path / "other", 4)
    other.write(list(rows), list(rows.values()))
    other.read()
    assert other.mark == embeddings.mark != ImageEmbeddings(tmp_path / "none", 4).mark


def test_there_may_be_more_blocks_than_files_open(tmp_path):
    found, count = ImageEmbeddings(tmp_path / "kept", 4), 60
    for number in range(count):
        found.write([digest(number)], [np.full(4, number)])
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + count // 2, limits[1]))
    try:
        found.read()
        assert [found.find(digest(number))[0] for number in range(count)] == list(range(count))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("left", [None, 130])
def test_a_block_that_goes_while_it_is_used_is_told(kept, left):
    embeddings, rows = kept
    for path in embeddings.folder.iterdir():
        path.write_bytes(path.read_bytes()[:left]) if left else path.unlink()
    with pytest.raises(DataError, match="kept embeddings are gone; go on with --resume auto"):
        embeddings.find(next(iter(rows)))
