"""What killed processes leave: removed and named at the next writing, put back where it is the last good version."""

import errno
import os
import subprocess
import sys
import time

import pytest

from ernie_vil2.errors import CheckpointError
from ernie_vil2.files import atomic, leftovers
from ernie_vil2.files.atomic import atomic_directory, atomic_file, replace_directory, reported
from ernie_vil2.files.json_files import write_json


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def left(path, ending, process, where=None):
    """A leftover of a file, with the place of this process or without one, as earlier releases wrote it."""
    found = path.with_name(f"{path.name}{ending}{process}" + (f"-{where}" if where else ""))
    found.write_text("half")
    return found


@pytest.mark.parametrize("where", [None, leftovers.place()])
def test_the_next_writer_removes_and_names_what_a_dead_one_left(tmp_path, caplog, dead, where):
    target = tmp_path / "out.json"
    gone = [
        left(target, ending, dead, where)
        for ending in (".tmp-", ".unchecked.tmp-", ".join.tmp-", ".replaced-", ".unchecked.tmp-1.tmp-")
    ]
    target.write_text("older")
    kept = [left(tmp_path / "out.jsonl", ".tmp-", dead, where), left(tmp_path / "my-out.json", ".tmp-", dead, where)]
    write_json(target, {"new": 1})
    assert sorted(tmp_path.iterdir()) == sorted([target, *kept])
    assert all(f"removed {path}, left by a process that was killed" in caplog.text for path in gone)


def test_a_writer_that_runs_is_left_alone_and_an_unrelated_process_is_not(tmp_path):
    target = tmp_path / "out"
    python = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    other = subprocess.Popen(["sleep", "60"])
    try:
        alive, own = left(target, ".tmp-", python.pid), left(target, ".tmp-", os.getpid(), leftovers.place())
        reused = left(target, ".tmp-", other.pid)
        assert leftovers.clear_leftovers(target) == [f"removed {reused}, left by a process that was killed"]
        assert alive.exists() and own.exists()
    finally:
        python.kill(), other.kill(), python.wait(), other.wait()


def test_a_number_that_was_given_again_is_that_of_a_dead_process(tmp_path, monkeypatch):
    target = tmp_path / "out"
    old = left(target, ".tmp-", os.getpid())
    monkeypatch.setattr(leftovers, "last_change", lambda path: time.time() - 30 * 86400)
    assert leftovers.clear_leftovers(target) and not old.exists()


def test_a_day_decides_about_the_process_of_another_machine(tmp_path, monkeypatch, dead):
    target = tmp_path / "out"
    far = left(target, ".tmp-", dead, "elsewhere_7")
    assert leftovers.clear_leftovers(target) == [] and far.exists()
    now = time.time()
    monkeypatch.setattr(leftovers.time, "time", lambda: now + 86500)
    assert leftovers.clear_leftovers(target) and not far.exists()


def test_what_stepped_aside_comes_back_before_anything_is_written(tmp_path, dead):
    target = tmp_path / "model"
    older = tmp_path / f"model.replaced-{dead}"
    older.mkdir()
    (older / "weights").write_text("good")
    with pytest.raises(RuntimeError), atomic_directory(target) as made:
        made.mkdir()
        raise RuntimeError
    assert (target / "weights").read_text() == "good" and os.listdir(tmp_path) == ["model"]


def test_a_folder_of_ones_own_is_cleared_as_a_whole(tmp_path, dead):
    for name in ("checkpoints.json", "log.jsonl", "vocab.txt"):
        left(tmp_path / name, ".tmp-", dead)
    os.rename(left(tmp_path / "step-1", ".replaced-", dead), tmp_path / f"step-1.replaced-{dead}")
    (tmp_path / "mine.tmp").write_text("mine")
    assert len(leftovers.clear_leftovers_in(tmp_path)) == 4
    assert sorted(os.listdir(tmp_path)) == ["mine.tmp", "step-1"]
    assert leftovers.clear_leftovers_in(tmp_path / "none") == []


def test_an_older_directory_that_is_being_removed_is_not_put_back(tmp_path, monkeypatch):
    for name in ("new", "path"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    removed = []
    monkeypatch.setattr(atomic.shutil, "rmtree", lambda path, **options: removed.append(path.name))
    replace_directory(tmp_path / "new", tmp_path / "path")
    assert (tmp_path / "path/file").read_text() == "new"
    assert not [name for name in os.listdir(tmp_path) if leftovers.ASIDE in name]


def test_a_full_disk_leaves_the_older_version_and_says_so(tmp_path):
    path = tmp_path / "out.json"
    for words in ("nothing incomplete was left in its place", f"{path} is as it was before"):
        with pytest.raises(CheckpointError, match="No space left.*free some space") as caught:
            with reported(path), atomic_file(path) as handle:
                handle.write(b"half")
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        assert words in str(caught.value)
        assert [item.read_text() for item in tmp_path.iterdir()] in ([], ["older"])
        path.write_text("older")


def test_a_temporary_folder_goes_with_its_block_and_after_a_kill_at_the_next(tmp_path, monkeypatch, dead, capsys):
    monkeypatch.setattr(leftovers.tempfile, "tempdir", str(tmp_path))
    other = left(tmp_path / "ernie-vil2-doctors", ".tmp-", dead)
    gone = left(tmp_path / "ernie-vil2-doctor", ".tmp-", dead)
    with leftovers.scratch_folder("doctor") as folder:
        assert folder.parent == tmp_path and sorted(tmp_path.iterdir()) == sorted([folder, other])
    assert list(tmp_path.iterdir()) == [other] and f"removed {gone}" in capsys.readouterr().err
