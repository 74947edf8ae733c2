"""The index of a tar is trusted only as far as the tar bears it out; many tars are one source, with few open files."""

import json
import os
import pickle
import struct
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.sources.tar import descriptors
from ernie_vil2.data.sources.tar import index as tar_index
from ernie_vil2.data.sources.tar.source import TarSource
from ernie_vil2.errors import DataError
from tests.data.sources.tar.tars import contents, notes, pairs, wanted, write_tar


@pytest.fixture
def sound(tmp_path):
    return write_tar(tmp_path / "sound.tar", pairs(12))


# The index


def test_the_second_opening_reads_no_header_of_the_tar(sound, monkeypatch):
    first = contents(open_source(sound))
    assert Path(f"{sound}.index").stat().st_size < 12 * 36 + 500
    monkeypatch.setattr(tar_index, "scan", lambda path: pytest.fail("the tar is scanned again"))
    assert contents(open_source(sound)) == first


def test_an_index_of_another_tar_or_a_damaged_one_is_made_anew(tmp_path, sound):
    open_source(sound)
    index = Path(f"{sound}.index")
    good = index.read_bytes()
    for bad in (
        b"",
        good[:-1],
        good[:20],
        b"x" + good[1:],
        good.replace(b'"count": 12', b'"count": "2'),
        b"\0" * 99,
        good.replace(b'"stamp": [', b'"stamp": [1'),
    ):
        index.write_bytes(bad)
        assert contents(open_source(sound)) == wanted(range(12)) and index.read_bytes() == good
    write_tar(sound, pairs(5))
    assert contents(open_source(sound)) == wanted(range(5))


ABSENT, INFINITE = object(), float("inf")


def with_head(good, gap=0, **changed):
    """The bytes of an index file with other fields in its head; it declares `gap` bytes more, and then ends."""
    length = struct.unpack_from("<Q", good, 8)[0]
    head = {**json.loads(good[16 : 16 + length]), **changed}
    raw = json.dumps({key: value for key, value in head.items() if value is not ABSENT}).encode()
    return good[:8] + struct.pack("<Q", len(raw) + gap) + raw + (b"" if gap else good[16 + length :])


@pytest.mark.parametrize(
    "gap, changed",
    [
        (0, {"stamp": ABSENT}),
        (0, {"stamp": 5}),
        (0, {"stamp": [INFINITE, INFINITE]}),
        (0, {"count": INFINITE}),
        (0, {"findings": {"x": [INFINITE, []]}}),
        (0, {"findings": {"x": [float("nan"), []]}}),
        (36, {"count": -1}),
    ],
)
def test_an_index_with_fields_that_cannot_be_is_made_anew(sound, gap, changed):
    open_source(sound)
    index = Path(f"{sound}.index")
    good = index.read_bytes()
    assert with_head(good) == good
    index.write_bytes(with_head(good, gap, **changed))
    assert contents(open_source(sound)) == wanted(range(12)) and index.read_bytes() == good


def test_texts_of_a_foreign_index_are_shown_as_escapes(sound):
    open_source(sound)
    index = Path(f"{sound}.index")
    hostile = "\x1b[2J\n\ud800" + "x" * 9999
    index.write_bytes(with_head(index.read_bytes(), findings={hostile: [1, [hostile]]}, cut=hostile))
    source = open_source(sound)
    assert contents(source) == wanted(range(12)) and len(source.notes) == 2
    for note in source.notes:
        assert note.isprintable() and "\\x1b[2J\\n\\ud800" in note and len(note) < 2000


def test_an_index_that_lies_is_an_error_and_never_other_bytes(sound):
    open_source(sound)
    index = Path(f"{sound}.index")
    data = bytearray(index.read_bytes())
    data[-36:-28] = (513).to_bytes(8, "little")
    index.write_bytes(data)
    source = open_source(sound)
    assert source[0].texts == ("第0张",)
    with pytest.raises(DataError, match="byte 513 is not the member.*delete .*index"):
        source[11]


def test_the_index_may_vanish_or_have_no_place(sound, tmp_path, monkeypatch):
    source = open_source(sound)
    Path(f"{sound}.index").unlink()
    descriptors.OPEN.__init__()
    assert contents(source) == wanted(range(12))
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    os.mkdir(f"{sound}.index")  # nothing can be written there, whoever the user is
    assert contents(open_source(sound)) == wanted(range(12)) and len(list(cache.rglob("*.index"))) == 1
    monkeypatch.setenv("XDG_CACHE_HOME", str(sound))
    source = pickle.loads(pickle.dumps(open_source(sound)))
    assert contents(source) == wanted(range(12)) and list(sound.parent.glob("*.tmp-*")) == []


def test_a_tar_that_changes_under_the_reader_is_an_error(sound):
    source = open_source(sound)
    assert source[3].texts
    write_tar(sound, pairs(14))
    with pytest.raises(DataError, match="changed"):
        source[4]


def test_a_sample_takes_36_bytes_of_memory(tmp_path):
    index = tar_index.scan(write_tar(tmp_path / "x.tar", pairs(100)))
    assert index.rows.nbytes == 36 * 100


# Many tars


@pytest.fixture
def shards(tmp_path):
    """A folder of 100 tars of 4 samples."""
    folder = tmp_path / "shards"
    folder.mkdir()
    for number in range(100):
        write_tar(folder / f"{number:05d}.tar", pairs(4, start=4 * number))
    return folder


def check_all(source):
    order = np.random.default_rng(os.getpid()).permutation(len(source))
    return all(source[index].texts == (f"第{index}张",) for index in order)


def test_shards_are_shared_by_threads_forks_and_pickles_with_few_open_files(shards):
    source = open_source(shards)
    assert len(source) == 400 and source.shard_sizes() == [4] * 100
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(check_all, [source] * 4))
    assert (
        sum(
            os.readlink(f"/proc/self/fd/{name}").startswith(str(shards))
            for name in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{name}")
        )
        <= 64
    )
    assert len(pickle.dumps(source)) < 40_000 and check_all(pickle.loads(pickle.dumps(source)))
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        assert all(pool.map(check_all, [source] * 2))


def test_a_glob_a_folder_and_a_list_are_the_same(shards):
    folder = contents(open_source(shards))
    assert folder == contents(open_source(f"{shards}/*.tar")) == contents(open_source({"kind": "tar", "path": shards}))
    listed = open_source([shards / "00000.tar", shards / "00001.tar"])
    assert contents(listed) == folder[:8] and listed.shard_sizes() == [4, 4]
    assert isinstance(open_source(f"{shards}/*.tar"), TarSource)


def test_equal_stems_in_different_tars_are_different_images(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for shard in range(2):
            write_tar(tmp_path / name / f"{shard}.tar", pairs(2))
    joined = open_source([tmp_path / "a", tmp_path / "b"])
    assert len({sample.id for sample in joined}) == 8
    assert [joined.key(index) for index in range(8)] == [sample.id for sample in joined]
    nested = open_source(f"{tmp_path}/**/*.tar")
    assert isinstance(nested, TarSource) and len({sample.id for sample in nested}) == 8
    assert nested[0].id == "a/0/00000"


def test_a_new_users_folder_with_a_cut_tar_and_a_climbing_name(shards):
    cut = shards / "00003.tar"
    cut.write_bytes(cut.read_bytes()[:5000])
    write_tar(shards / "00007.tar", [*pairs(4, start=28), ("../x", b"x")])
    source = open_source(shards)
    assert len(source) == 398 and source.shard_sizes()[3] == 2 and len(source.notes) == 2
    assert "00003.tar: only the first 4,096 of 5,000 bytes" in notes(source) and "copy or write" in notes(source)
    assert "00007.tar:../x" in notes(source) and "rename them" in notes(source)


def test_many_cut_tars_do_not_flood_the_screen(shards):
    for path in shards.glob("0*.tar"):
        path.write_bytes(path.read_bytes()[:5000])
    source = open_source(shards)
    assert len(source.notes) == 21 and "80 more tars" in notes(source) and len(list(source.faults())) == 100


def test_a_tar_that_cannot_be_opened_is_named(shards):
    (shards / "00005.tar").unlink()
    (shards / "00005.tar").symlink_to(shards / "nowhere.tar")
    with pytest.raises(DataError, match=r"00005\.tar: cannot be read \(No such file"):
        open_source(shards)
