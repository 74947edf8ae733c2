"""Whoever encodes a source uses the same rows: `encode`, `eval --input`, and validation by any number of ranks."""

import hashlib
import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ernie_vil2.data.sources.base import RowError, Sample, Source
from ernie_vil2.errors import DataError
from ernie_vil2.evaluation.embeddings import read_embeddings
from ernie_vil2.evaluation.encoding import encode_source
from ernie_vil2.evaluation.retrieval import evaluate
from ernie_vil2.inference import writer
from ernie_vil2.training.validation import Unmeasured, share_of, validate

DIM = 6


@pytest.fixture(autouse=True, scope="module")
def fast_disk():
    """Nothing is killed here, so nothing has to wait for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


class Hashing:
    """Stands for a model: an embedding depends on the item alone; images that begin with `broken` cannot be used."""

    embed_dim = DIM

    def encode_text(self, texts, *, on_error, batch_size=None):
        return self.encode([text.encode() for text in texts])

    def encode_image(self, images, *, on_error, batch_size=None):
        return self.encode(images)

    @staticmethod
    def encode(items):
        rows = [np.frombuffer(hashlib.sha256(item).digest()[:DIM], np.uint8) / 255 - 0.5 for item in items]
        broken = [(place, "it is broken; mend it") for place, item in enumerate(items) if item.startswith(b"broken")]
        return np.array(rows, np.float32).reshape(-1, DIM), broken


class Rows(Source):
    """Rows (id, image, texts); None stands for a row that cannot be read."""

    name = "rows.tsv"

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def load(self, index):
        if self.rows[index] is None:
            raise RowError(self.where(index), "bad row", "the row is bad", "mend the row")
        key, image, texts = self.rows[index]
        return Sample(key, image, texts, (), self.where(index))


class FakeRanks:
    """One of several ranks that are threads: what each gives in a collective is seen by all."""

    def __init__(self, rank, size, barrier, table):
        self.rank, self.size, self.main, self.barrier, self.table = rank, size, rank == 0, barrier, table

    def wait(self):
        pass

    def any(self, *flags):
        return self.all_rows(np.array([flags])).any(0).tolist()

    def all_rows(self, array):
        self.table[self.rank] = array
        self.barrier.wait(20)
        rows = np.concatenate([self.table[rank] for rank in range(self.size)])
        self.barrier.wait(20)
        return rows


def validated(rows, size):
    """(metrics, Embeddings) of rank 0 of `size` ranks."""
    barrier, table = threading.Barrier(size), {}
    with ThreadPoolExecutor(size) as pool:
        parts = [
            pool.submit(validate, Hashing(), Rows(rows), FakeRanks(rank, size, barrier, table)) for rank in range(size)
        ]
        return parts[0].result()


def written(rows):
    """Embeddings that `encode` has written."""
    with tempfile.TemporaryDirectory() as folder:
        writer.encode_source(Hashing(), Rows(rows), Path(folder) / "out", {"model": "m"})
        found = read_embeddings(Path(folder) / "out")
        found.image, found.text = np.array(found.image), np.array(found.text)
        found.image_ids = tuple((Path(folder) / "out" / "image_ids.txt").read_text(encoding="utf-8").split())
        return found


IMAGES = st.sampled_from([b"1", b"1", b"1", b"2", b"broken", b"broken too"])
TEXTS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3).map(tuple)
ROW = st.none() | st.tuples(st.sampled_from(["A", "B", "C", "a\nb"]), IMAGES, TEXTS)
BROKEN, ONE, TWO = (("A", image, ("t",)) for image in (b"broken", b"1", b"2"))


@settings(max_examples=100, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=14), st.integers(1, 6), st.integers(1, 4))
@example([BROKEN, ONE, ("B", b"1", ("u",))], 256, 1)
@example([BROKEN, BROKEN, BROKEN, ONE], 2, 2)
@example([ONE, TWO, TWO, ONE], 1, 2)
@example([None, TWO, ONE, TWO], 4, 4)
@example([None, None, None, BROKEN, ONE], 256, 3)
def test_encoding_evaluation_and_validation_use_the_same_rows(rows, window, ranks):
    normal, writer.CHUNK = writer.CHUNK, window
    try:
        try:
            wanted = written(rows)
        except DataError:
            with pytest.raises(DataError, match="no usable pair"):
                encode_source(Hashing(), Rows(rows), skip_broken=True, window=window)
            with pytest.raises(Unmeasured, match="no usable pair"):
                validated(rows, ranks)
            return
    finally:
        writer.CHUNK = normal
    found = encode_source(Hashing(), Rows(rows), skip_broken=True, window=window)
    metrics, together = validated(rows, ranks)
    for other in (found, together):
        for part in ("image", "text", "text_image", "text_keys"):
            assert np.array_equal(getattr(other, part), getattr(wanted, part)), part
        assert [rows[row][1] for row in other.image_rows] == [rows[row][1] for row in found.image_rows]
        assert [rows[row][2][number] for row, number in other.text_rows] == [
            text for row in sorted({row for row, _ in found.text_rows.tolist()}) for text in rows[row][2]
        ]
    assert found.image_ids == wanted.image_ids and found.left_out == together.left_out
    assert metrics == evaluate(wanted, "standard")["standard"]


def test_a_range_of_rows_is_a_share_of_all():
    assert [list(share_of(7, rank, 3)) for rank in range(3)] == [[0, 1], [2, 3], [4, 5, 6]]


def test_two_pictures_of_an_id_name_both_rows():
    rows = [("B", b"3", ("t",)), ONE, TWO, TWO]
    with pytest.raises(DataError, match=r"^rows.tsv:3: the id 'A' has another picture at rows.tsv:2; give each"):
        encode_source(Hashing(), Rows(rows))
    notes = encode_source(Hashing(), Rows(rows), skip_broken=True).notes
    assert notes[0].startswith("samples left out: 2, the first: rows.tsv:3: the id 'A' has another picture at rows.ts")
    notes = validated(rows, 2)[1].notes
    assert notes[0].startswith("samples left out: 2, the first: rows.tsv:3: the id 'A' has another picture at rows.ts")


def test_what_other_ranks_leave_out_is_told():
    notes = validated([ONE, ("B", b"3", ("u",)), None, BROKEN], 2)[1].notes
    assert notes == ("samples left out by other processes: 2",)
    notes = validated([None, ONE, ("B", b"3", ("u",)), ("B", b"3", ("u",))], 2)[1].notes
    assert notes[0] == "samples left out: 1, the first: rows.tsv:1: the row is bad; mend the row (by cause: 1 bad row)"
    assert notes[1].startswith("1 of 3 texts repeat an earlier one")
