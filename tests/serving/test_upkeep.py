"""Processes that keep an index up to date: one at a time, ended politely, told of and repeated when they fail."""

import os
import signal
import sys
import time

import pytest

from ernie_vil2.serving.upkeep import Upkeep

POLITE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[1], "w").write("saved"), sys.exit(0)))
open(sys.argv[1] + ".ready", "w").close()
time.sleep(60)
"""


def wait_for(condition, seconds=20):
    last = time.monotonic() + seconds
    while not condition() and time.monotonic() < last:
        time.sleep(0.01)
    return condition()


@pytest.fixture
def keep():
    """Function (code, every) -> an Upkeep of a script that has started, and the sentences it told."""
    made = []

    def begin(code, *arguments, every=0.01, there=True):
        told, starts = [], []

        def command():
            starts.append(time.monotonic())
            return [sys.executable, "-S", "-c", code, *map(str, arguments)]

        upkeep = Upkeep(command, lambda: there, every, told.append)
        made.append(upkeep)
        upkeep.start()
        return upkeep, told, starts

    yield begin
    for upkeep in made:
        upkeep.stop()


def test_it_looks_again_and_again_until_it_is_stopped(keep):
    upkeep, told, starts = keep("")
    assert wait_for(lambda: len(starts) >= 3)
    upkeep.stop()
    count = len(starts)
    time.sleep(0.1)
    assert len(starts) == count and told == [] and upkeep.first == 0 and upkeep.pid is None


def test_stopping_lets_a_process_save(keep, tmp_path):
    upkeep, told, starts = keep(POLITE, tmp_path / "file")
    assert wait_for((tmp_path / "file.ready").exists)
    upkeep.stop()
    assert (tmp_path / "file").read_text() == "saved" and told == [] and len(starts) == 1


def test_a_process_that_does_not_end_is_killed(keep, monkeypatch, tmp_path):
    monkeypatch.setattr("ernie_vil2.serving.upkeep.PATIENCE", 0.1)
    code = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); open(sys.argv[1], 'w'); time.sleep(600)"
    upkeep, _, _ = keep(code, tmp_path / "ready")
    assert wait_for((tmp_path / "ready").exists)
    pid = upkeep.pid
    upkeep.stop()
    assert not os.path.exists(f"/proc/{pid}")


def test_a_killed_process_is_told_of_and_tried_again(keep):
    upkeep, told, starts = keep("import time; time.sleep(60)", every=0.1)
    assert wait_for(lambda: upkeep.pid)
    os.kill(upkeep.pid, signal.SIGKILL)
    assert wait_for(lambda: len(starts) == 2)
    assert len(told) == 1 and "was ended by SIGKILL; it is tried again" in told[0] and starts[1] - starts[0] >= 0.2


def test_failures_are_told_ever_more_rarely(keep):
    upkeep, told, starts = keep("import sys; sys.exit(1)", every=0.02)
    assert wait_for(lambda: len(starts) == 4) and upkeep.first == 1
    pauses = [after - before for before, after in zip(starts, starts[1:], strict=False)]
    assert pauses[0] >= 0.04 and pauses[1] >= 0.08 and pauses[2] >= 0.16 and "failed (status 1)" in told[0]


def test_what_cannot_be_started_does_not_end_the_server():
    told = []

    def command():
        raise PermissionError(13, "Permission denied")

    upkeep = Upkeep(command, lambda: True, 0.01, told.append)
    upkeep.start()
    assert wait_for(lambda: len(told) >= 2) and "no process can be started: PermissionError" in told[0]
    upkeep.stop()


def test_a_first_process_that_fails_without_an_index_is_the_last(keep):
    upkeep, told, starts = keep("import sys; sys.exit(3)", there=False)
    assert upkeep.begun() is False and upkeep.first == 3
    time.sleep(0.1)
    assert told == [] and len(starts) == 1


def test_an_index_that_is_begun_is_not_waited_for(keep):
    upkeep, _, _ = keep("import time; time.sleep(60)")
    assert upkeep.begun() is True and upkeep.first is None
