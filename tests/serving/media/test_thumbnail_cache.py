"""Thumbnails on the disk: whole or none, never over the bound, the ones that were shown last."""

import errno
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from ernie_vil2.files.locks import exclusive
from ernie_vil2.serving.media import thumbnail_cache as module
from ernie_vil2.serving.media.thumbnail_cache import ThumbnailCache, is_thumbnail, with_comment
from tests.serving.media.conftest import colours, encoded

JPEG = encoded(colours(1), "JPEG")


def key(number):
    return f"{number:032x}"


def padded(count):
    """A JPEG of about so many bytes."""
    return JPEG + bytes(count - len(JPEG))


def taken(folder):
    return sum(path.stat().st_size for path in folder.rglob("*.jpg"))


def test_what_was_put_is_there_for_another_server_too(tmp_path):
    data = ThumbnailCache(tmp_path, 10**6).put(key(1), JPEG)
    other = ThumbnailCache(tmp_path, 10**6)
    assert other.get(key(1)) == data and other.get(key(2)) is None
    assert (simplejpeg.decode_jpeg(data) == simplejpeg.decode_jpeg(JPEG)).all()


@given(place=st.integers(0, len(JPEG) + 60), value=st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_another_byte_anywhere_is_noticed(place, value):
    data = bytearray(with_comment(key(7), JPEG))
    data[place % len(data)] ^= value
    assert not is_thumbnail(key(7), bytes(data))


@pytest.mark.parametrize("wrong", [b"", JPEG, with_comment(key(2), JPEG), with_comment(key(1), JPEG)[:-1]])
def test_damaged_and_foreign_files_count_as_none_and_are_replaced(tmp_path, wrong):
    cache = ThumbnailCache(tmp_path, 10**6)
    data = cache.put(key(1), JPEG)
    (path,) = tmp_path.rglob("*.jpg")
    path.write_bytes(wrong)
    assert cache.get(key(1)) is None
    assert cache.put(key(1), JPEG) == data == cache.get(key(1))
    assert taken(tmp_path) == len(data)


@pytest.mark.parametrize("make", [lambda path, to: path.symlink_to(to), lambda path, to: os.mkfifo(path)])
def test_links_and_pipes_in_the_cache_are_not_followed(tmp_path, make):
    cache = ThumbnailCache(tmp_path / "cache", 10**6)
    cache.put(key(1), JPEG)
    (path,) = tmp_path.rglob("*.jpg")
    path.rename(tmp_path / "elsewhere")
    make(path, tmp_path / "elsewhere")
    assert cache.get(key(1)) is None
    cache.put(key(1), JPEG)
    assert cache.get(key(1)) is not None and not path.is_symlink()


@given(sizes=st.lists(st.tuples(st.integers(0, 12), st.integers(len(JPEG), 3000)), max_size=30))
@settings(max_examples=25, deadline=None)
def test_the_bound_is_never_exceeded_by_two_servers(tmp_path_factory, sizes):
    folder, most = tmp_path_factory.mktemp("cache"), 8000
    caches = ThumbnailCache(folder, most), ThumbnailCache(folder, most)
    for place, (number, size) in enumerate(sizes):
        data = caches[place % 2].put(key(number), padded(size))
        assert taken(folder) <= most and caches[1 - place % 2].get(key(number)) == data


def test_the_ones_that_were_shown_last_stay(tmp_path):
    cache = ThumbnailCache(tmp_path, 10_000)
    for number in range(9):
        cache.put(key(number), padded(1000))
        os.utime(cache._path(key(number)), (1000 + number, 1000 + number))
    assert cache.get(key(0)) is not None
    cache.put(key(9), padded(1000))
    assert cache.get(key(0)) is not None and cache.get(key(9)) is not None and cache.get(key(1)) is None


def test_a_clock_that_was_set_back_makes_no_thumbnail_stay_for_ever(tmp_path):
    cache = ThumbnailCache(tmp_path, 10_000)
    for number in range(9):
        cache.put(key(number), padded(1000))
        years = 1 if number < 2 else 0
        os.utime(cache._path(key(number)), (time.time() + years * 3e7 - number,) * 2)
    assert cache.get(key(0)) is not None
    for number in range(9, 30):
        cache.put(key(number), padded(1000))
    assert cache.get(key(0)) is None and cache.get(key(1)) is not None


def test_a_thumbnail_over_the_bound_is_shown_and_not_kept(tmp_path):
    cache = ThumbnailCache(tmp_path, 500)
    assert is_thumbnail(key(1), cache.put(key(1), padded(900))) and cache.get(key(1)) is None
    assert is_thumbnail(key(1), ThumbnailCache(None, 10**6).put(key(1), JPEG))


@pytest.mark.parametrize("content", [b"", b"x" * 16, b"\0" * 16, b"1234567"])
def test_a_torn_count_is_counted_anew(tmp_path, content):
    cache = ThumbnailCache(tmp_path, 5000)
    for number in range(3):
        cache.put(key(number), padded(1200))
    (tmp_path / module.TOTAL).write_bytes(content)
    cache.put(key(3), padded(1200))
    cache.put(key(4), padded(1200))
    assert taken(tmp_path) <= 5000 and cache.get(key(4)) is not None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_full_or_broken_disk_is_no_error_and_leaves_nothing(tmp_path, monkeypatch, number):
    cache = ThumbnailCache(tmp_path, 10**6)
    cache.put(key(1), JPEG)

    def full(*any):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", full)
    assert is_thumbnail(key(2), cache.put(key(2), JPEG))
    assert cache.get(key(2)) is None and cache.get(key(1)) is not None and not (tmp_path / module.NEW).exists()


def test_a_server_that_was_halted_while_it_writes_keeps_no_other(tmp_path):
    cache = ThumbnailCache(tmp_path, 10**6)
    cache.put(key(1), JPEG)
    with exclusive(tmp_path / module.LOCK, lambda: None):
        assert is_thumbnail(key(2), cache.put(key(2), JPEG)) and cache.get(key(2)) is None
        assert cache.get(key(1)) is not None
    cache.put(key(2), JPEG)
    assert cache.get(key(2)) is not None


def test_a_folder_that_somebody_removes_is_made_again(tmp_path):
    cache = ThumbnailCache(tmp_path / "cache", 10**6)
    cache.put(key(1), JPEG)
    shutil.rmtree(tmp_path / "cache")
    assert cache.get(key(1)) is None
    cache.put(key(1), JPEG)
    assert cache.get(key(1)) is not None


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    cache = ThumbnailCache(tmp_path / "file" / "cache", 10**6)
    assert is_thumbnail(key(1), cache.put(key(1), JPEG)) and cache.get(key(1)) is None


def test_threads_that_read_and_write_see_whole_thumbnails_or_none(tmp_path):
    caches, wrong = [ThumbnailCache(tmp_path, 20_000) for _ in range(4)], []
    barrier = threading.Barrier(4)

    def work(place):
        barrier.wait()
        for number in range(60):
            one = key((number * (place + 1)) % 17)
            found = caches[place].get(one)
            if found is None:
                found = caches[place].put(one, padded(1500))
            wrong.extend([one] if not is_thumbnail(one, found) or taken_now(tmp_path) > 20_000 else [])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert wrong == []


def taken_now(folder):
    """Bytes in a folder from which others remove files."""
    total = 0
    for path in folder.rglob("*.jpg"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            pass
    return total
