"""Embeddings kept on the disk come back bit for bit, by the content of the image alone."""

import errno
import os
import pickle
import resource
from itertools import islice

import numpy as np
import pytest

from ernie_vil2.data.batches.image_embeddings import MAPPED, ImageEmbeddings
from ernie_vil2.errors import CheckpointError


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


@pytest.fixture
def few_files():
    """A limit of open files that leaves a few more than may be mapped."""
    limits, opened = resource.getrlimit(resource.RLIMIT_NOFILE), set(map(int, os.listdir("/proc/self/fd")))
    free = (number for number in range(limits[0]) if number not in opened)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next(islice(free, MAPPED + 10, None)), limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_more_blocks_than_open_files_are_all_found(tmp_path, few_files):
    found = ImageEmbeddings(tmp_path / "kept", 4)
    count = MAPPED + 40
    for number in range(count):
        found.write([digest(number)], [np.full(4, number)])
    found.read()
    for _ in range(2):
        assert [found.find(digest(number))[0] for number in range(count)] == list(range(count))


def test_a_block_is_not_passed_over_where_the_system_has_no_more_open_files(kept, monkeypatch):
    embeddings, _ = kept

    def refuse(*given, **named):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(np, "load", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        embeddings.read()


def test_an_image_that_two_runs_wrote_counts_once(kept, tmp_path):
    embeddings, rows = kept
    mark, name = embeddings.mark, next(iter(rows))
    embeddings.write([name, digest(50)], [rows[name], np.ones(4)])
    embeddings.read()
    assert len(embeddings) == 9 and np.array_equal(embeddings.find(name), rows[name])
    embeddings.write(list(rows)[1:4], [rows[name] for name in list(rows)[1:4]])
    embeddings.read()
    assert len(embeddings) == 9 and embeddings.mark != mark
    other = ImageEmbeddings(tmp_path / "other", 4)
    other.write([*rows, digest(50)], [*rows.values(), np.ones(4)])
    other.read()
    assert other.mark == embeddings.mark


def test_what_a_killed_writer_left_goes(kept):
    embeddings, _ = kept
    left = embeddings.folder / "abc.npy.tmp-999999999"
    left.write_bytes(b"half")
    assert embeddings.remove_damaged() == [] and not left.exists() and len(embeddings) == 8


def test_a_damaged_block_that_cannot_be_removed_is_an_error(kept, monkeypatch):
    embeddings, _ = kept
    path = next(embeddings.folder.iterdir())
    path.write_bytes(path.read_bytes()[:-1] + b"!")

    def refuse(self, missing_ok=False):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(path), "unlink", refuse)
    with pytest.raises(CheckpointError, match="Permission denied"):
        embeddings.remove_damaged()


def test_a_folder_that_was_removed_meanwhile_is_told_in_a_sentence(kept):
    embeddings, rows = kept
    for path in embeddings.folder.iterdir():
        path.unlink()
    with pytest.raises(CheckpointError, match="--resume auto"):
        embeddings.find(next(iter(rows)))


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
