"""The judge of indexes can fail: what a kill may not do to one is named; and a trial of one verb of the product."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from ernie_vil2.search.store.writer import open_writer
from tests.conftest import ROOT
from tests.kills import forked, judge_index
from tests.kills.forked import COMMITS, Forked, apart
from tests.search.store.indexes import manifest, pictures, unit


@pytest.fixture
def pair(tmp_path):
    """(folder of a job that ended, that of the straight run), each with the same index."""
    for name in ("killed", "straight"):
        with open_writer(tmp_path / name / "out", manifest()) as writer:
            writer.root("图", "/图", "folder")
            for number in range(3):
                writer.add(pictures([number]), unit([number]))
                writer.commit()
    return tmp_path / "killed", tmp_path / "straight"


def torn(pair, there=True, older=False):
    return judge_index.torn(*pair, there, older)


def note(folder, **commit):
    (folder / COMMITS).write_text(f"{json.dumps(commit)}\n")


def test_equal_indexes_have_no_fault(pair):
    note(pair[0], sequence=3, living=3)
    assert torn(pair) == [] and judge_index.wrong(*pair) == []


def test_rows_that_differ_are_named(pair):
    with open_writer(pair[0] / "out") as writer:
        writer.remove([0])
        writer.change([1], pictures([1], caption="b"))
        writer.add(pictures([9]), unit([9]))
        writer.add(pictures([2]), unit([8]))
        writer.remove([2])
        writer.commit()
    assert judge_index.wrong(*pair) == [
        "image /图 图/0.jpg is missing",
        "image /图 图/1.jpg: caption 'b' and not caption ''",
        "image /图 图/2.jpg has another vector",
        "image /图 图/9.jpg is one too many",
    ]


def test_a_commit_that_is_lost_is_found(pair):
    note(pair[0], sequence=4, living=4)
    assert torn(pair) == ["the commit 4 is lost: 3 is what lies there"]
    note(pair[0], sequence=3, living=4)
    assert torn(pair) == ["4 pictures were committed, and 3 are there"]


def test_an_index_that_is_gone_or_damaged_is_found(pair):
    file = next((pair[0] / "out/segments").glob("*/images.f16"))
    file.write_bytes(file.read_bytes()[:-2] + b"ab")
    assert "checksum" in torn(pair)[0] and "checksum" in judge_index.wrong(*pair)[0]
    shutil.rmtree(pair[0] / "out")
    assert torn(pair) == ["the index is gone"] and torn(pair, there=False) == []
    assert judge_index.wrong(*pair) == ["there is no index"]


def test_an_index_in_the_place_of_another_is_one_of_both(pair):
    killed, straight = pair
    shutil.copytree(killed / "out", killed / "older")
    with open_writer(straight / "out") as writer:
        writer.remove([0])
        writer.commit()
    assert torn(pair, older=True) == []
    os.rename(killed / "out", killed / "out.replaced-1")
    assert torn(pair, older=True) == []
    with open_writer(killed / "out.replaced-1") as writer:
        writer.remove([1])
        writer.commit()
    assert torn(pair, older=True) == ["it is neither the old nor the new"]


def test_what_no_manifest_names_is_found(pair):
    out = pair[0] / "out"
    (out / "segments/0000099").mkdir()
    (out / "removed-0000007.npy").write_bytes(b"")
    (out / "bad.jsonl").write_text("{}\n")
    found = judge_index.wrong(*pair)
    assert "removed-0000007.npy is of no index" in found and "segments/0000099 is of no index" in found
    assert any(fault.startswith("bad.jsonl lists 1 files") for fault in found)


def test_work_apart_gives_back_what_it_found():
    assert apart(sorted, "ba") == ["a", "b"]
    with pytest.raises(RuntimeError, match="int failed apart"):
        apart(int, "a")


@pytest.mark.parametrize("ends", ["at once", "late"])
def test_a_fork_that_is_interrupted_never_goes_on_as_this_process(tmp_path, monkeypatch, ends):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(forked, "load", lambda: None)
    if ends == "late":
        monkeypatch.setattr(forked, "run", interrupted)
    with open(tmp_path / "output.txt", "ab") as output:
        process = Forked(["index"], output, lambda: os.kill(os.getpid(), signal.SIGINT))
        assert process.wait() in (1, 130)


@pytest.mark.slow
def test_a_few_kills_of_an_index(tmp_path):
    command = [sys.executable, "-W", "ignore", "-m", "tests.kills", "--job", "index", "--kills", "8", "--seed", "3"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and ", 0 wrong trials, " in done.stdout, done.stdout + done.stderr
