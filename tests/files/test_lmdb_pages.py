"""A damaged lmdb is one sentence and never the end of the process, wherever it is damaged."""

import os
import pickle
import struct
import subprocess
import sys

import lmdb
import pytest

from ernie_vil2.data.sources import lmdb as source
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import DataError
from ernie_vil2.files import lmdb_pages
from ernie_vil2.files.lmdb_pages import check_lmdb
from ernie_vil2.files.text import ContentError
from tests.conftest import ROOT

PAGE = 4096
READ = """
import os, random, sys
import lmdb
from ernie_vil2.files import lmdb_pages
from ernie_vil2.files.lmdb_pages import check_lmdb
from ernie_vil2.files.text import ContentError
sys.path.insert(0, {root!r})
from tests.files.test_lmdb_pages import damaged
whole, place = open({file!r}, "rb").read(), {place!r}
refused = 0
for seed in range({first}, {first} + {count}):
    print(seed, flush=True)
    with open(os.path.join(place, "data.mdb"), "wb") as handle:
        handle.write(damaged(whole, random.Random(seed)))
    try:
        check_lmdb(os.path.join(place, "data.mdb"))
    except ContentError:
        refused += 1
        continue
    try:
        with lmdb.open(place, readonly=True, lock=False, create=False) as store, store.begin() as transaction:
            list(transaction.cursor())
            [transaction.get(str(number).encode()) for number in range(1200)]
    except lmdb.Error:
        pass
print("refused", refused)
"""


def write(folder, keys=600, long=9000, map_size=1 << 26):
    with lmdb.open(str(folder), map_size=map_size) as store:
        for first in range(0, keys, 200):
            with store.begin(write=True) as transaction:
                for number in range(first, first + 200):
                    transaction.put(str(number).encode(), bytes([number % 256]) * (60 if number % 20 else long))
        with store.begin(write=True) as transaction:
            for number in range(0, keys, 7):
                transaction.delete(str(number).encode())
    return folder / "data.mdb"


def damaged(whole, rng):
    """One kind of damage at a random place."""
    data, pages = bytearray(whole), len(whole) // PAGE
    kind, at = rng.randrange(5), rng.randrange(pages) * PAGE
    if kind == 0:
        return data[: rng.randrange(len(data))]
    if kind == 1:
        for _ in range(rng.randrange(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == 2:
        for _ in range(rng.randrange(1, 6)):
            data[at + rng.randrange(200)] = rng.randrange(256)
    elif kind == 3:
        data[at : at + PAGE] = rng.randbytes(PAGE) if rng.randrange(2) else bytes(PAGE)
    else:
        data[at : at + PAGE] = whole[(other := rng.randrange(pages) * PAGE) : other + PAGE]
    return data


def test_no_damage_ends_the_process(tmp_path):
    file = write(tmp_path / "whole")
    (tmp_path / "place").mkdir()
    code = READ.format(root=str(ROOT), file=str(file), place=str(tmp_path / "place"), first=0, count=150)
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert child.returncode == 0, (child.returncode, child.stdout[-20:], child.stderr[-2000:])
    assert int(child.stdout.split()[-1]) > 20


@pytest.mark.parametrize("keys, long", [(200, 10), (600, 9000), (20000, 40)])
def test_a_whole_lmdb_is_right_whatever_its_size(tmp_path, keys, long):
    check_lmdb(write(tmp_path, keys, long))


def test_an_empty_lmdb_and_one_of_large_pages_are_right(tmp_path):
    with lmdb.open(str(tmp_path), map_size=1 << 20):
        pass
    check_lmdb(tmp_path / "data.mdb")


def set_at(offset, form, *values):
    return lambda data: data[:offset] + struct.pack(form, *values) + data[offset + struct.calcsize(form) :]


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda data: b"", "the file is empty"),
        (lambda data: data[:100], "ends after 100 bytes, within its first pages"),
        (lambda data: data[: 8 * PAGE], "pages are there|beyond the end of the file"),
        (lambda data: data[: len(data) // 2 + 100], "pages are there|beyond the end of the file"),
        (lambda data: b"not lmdb" * 2000, "does not begin as an lmdb does"),
        (set_at(16, ">I", 0xBEEFC0DE), "of a machine of another kind"),
        (set_at(16, "<II", 0xBEEFC0DE, 7), "has version 7"),
        (set_at(40, "<I", 0), "a page has 0 bytes"),
        (lambda data: set_at(PAGE + 128, "<Q", 10**9)(set_at(128, "<Q", 10**9)(data)), "needs page 1,000,000,000"),
        (lambda data: set_at(PAGE + 120, "<Q", 10**9)(set_at(120, "<Q", 10**9)(data)), "has 1,000,000,000 keys"),
        (lambda data: set_at(PAGE + 94, "<H", 900)(set_at(94, "<H", 900)(data)), "has 900 levels"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, damage, words):
    file = write(tmp_path)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ContentError, match=words):
        check_lmdb(file)


@pytest.fixture
def pairs(tmp_path):
    for name, content in (("imgs", b"AAAA"), ("pairs", pickle.dumps(("7", "1", "一只猫")))):
        with lmdb.open(str(tmp_path / name), map_size=1 << 24) as store, store.begin(write=True) as transaction:
            transaction.put(b"num_samples" if name == "pairs" else b"num_images", b"1")
            transaction.put(b"0" if name == "pairs" else b"7", content)
    yield tmp_path
    source._leave_to_parent()


@pytest.mark.parametrize("folder", ["imgs", "pairs"])
@pytest.mark.parametrize("damage", ["cut", "empty", "folder", "gone", "pipe", "in use"])
def test_a_source_says_in_one_sentence_what_is_wrong_with_it(pairs, folder, damage):
    file = pairs / folder / "data.mdb"
    store = None
    if damage == "cut":
        os.truncate(file, 2 * PAGE + 100)
    elif damage == "empty":
        os.truncate(file, 0)
    elif damage == "in use":
        store = lmdb.open(str(pairs / folder), map_size=1 << 24)
    else:
        file.unlink()
        if damage != "gone":
            os.mkdir(file) if damage == "folder" else os.mkfifo(file)
    with pytest.raises(DataError) as caught:
        open_source(pairs)
    assert f"{pairs / folder}: " in str(caught.value) and "; " in str(caught.value)
    if store is not None:
        assert "close it there first" in str(caught.value)
        store.close()


def test_a_file_is_walked_once_and_again_when_it_changes(pairs, monkeypatch):
    walked = []
    monkeypatch.setattr(source, "check_lmdb", walked.append)
    open_source(pairs)
    source._leave_to_parent()  # as in a process that was forked
    open_source(pairs)
    assert len(walked) == 2
    source._leave_to_parent()
    os.utime(pairs / "imgs" / "data.mdb", ns=(1, 1))
    open_source(pairs)
    assert len(walked) == 3


def test_a_folder_that_cannot_be_written_is_read_without_a_lock(pairs):
    for folder in ("imgs", "pairs"):
        (pairs / folder / "lock.mdb").unlink()
    assert open_source(pairs)[0].texts == ("一只猫",)
    assert not list(pairs.rglob("lock.mdb"))


def test_an_lmdb_that_is_written_meanwhile_is_told_so(tmp_path, monkeypatch):
    file = write(tmp_path, keys=200)
    walked = lmdb_pages.Walk.run

    def written_and_walked(walk):
        for number in range(40):
            with lmdb.open(str(tmp_path), map_size=1 << 26) as store, store.begin(write=True) as transaction:
                for key in range(40):
                    transaction.put(str(key + 7 * number).encode(), bytes(50 + number))
        walked(walk)

    monkeypatch.setattr(lmdb_pages.Walk, "run", written_and_walked)
    with pytest.raises(ContentError, match="another program is writing to it; wait until it has ended"):
        check_lmdb(file)
    monkeypatch.undo()
    check_lmdb(file)
