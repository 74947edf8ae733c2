"""Locks: one holder at a time among threads and processes, freed by its end whatever that is, and lost in a fork."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from ernie_vil2.files import locks
from ernie_vil2.files.locks import exclusive, is_held
from tests.conftest import ROOT

HOLDER = """
import os, sys, time
from ernie_vil2.files.locks import exclusive, is_held

with exclusive(sys.argv[1], lambda: None):
    if sys.argv[2] == "alone" or not os.fork():  # the child itself says that it is there
        print(os.getpid(), flush=True)
    time.sleep(60)
"""


def is_free(path):
    """Whether nobody has a lock, asked in a way that does not wait."""
    told = []

    def stop():
        told.append("held")
        raise InterruptedError

    try:
        with exclusive(path, stop):
            pass
    except InterruptedError:
        pass
    return not told


def test_threads_take_turns_and_a_waiting_one_says_so_once(tmp_path):
    path, order, waits = tmp_path / "lock", [], []
    entered, leave = threading.Event(), threading.Event()

    def first():
        with exclusive(path, lambda: None):
            entered.set()
            leave.wait(10)
            order.append("first")

    def second():
        with exclusive(path, lambda: (waits.append(1), leave.set())):
            order.append("second")

    threads = [threading.Thread(target=work) for work in (first, second)]
    threads[0].start()
    assert entered.wait(10)
    threads[1].start()
    for thread in threads:
        thread.join(10)
    assert order == ["first", "second"] and waits == [1] and is_free(path) and not locks._held


@pytest.mark.parametrize("forks", ["alone", "forks"])
def test_a_killed_holder_frees_it_though_a_process_that_it_forked_lives(tmp_path, forks):
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, path, forks], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        child = int(holder.stdout.readline())
        assert not is_free(path)
        holder.kill()
        holder.wait()
        assert is_free(path)
        if forks == "forks":
            os.kill(child, 0)  # and lives
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
        if forks == "forks":
            os.kill(child, signal.SIGKILL)


def test_a_child_that_is_forked_inside_leaves_the_lock_to_its_parent(tmp_path):
    path = tmp_path / "lock"
    with exclusive(path, lambda: None):
        child = os.fork()
        if not child:
            os._exit(is_free(path))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 and not is_free(path)
    child = os.fork()
    if not child:
        os._exit(not is_free(path))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_fork_while_a_thread_holds_it_can_wait_for_it(tmp_path):
    path, entered, leave = tmp_path / "lock", threading.Event(), threading.Event()

    def hold():
        with exclusive(path, lambda: None):
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert entered.wait(10)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(30)
        with exclusive(path, lambda: os.write(write, b"waits")):
            os._exit(0)
    assert os.read(read, 5) == b"waits"
    leave.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    thread.join(10)
    os.close(read), os.close(write)


def test_what_is_a_link_is_no_lock(tmp_path):
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError), exclusive(tmp_path / "lock", lambda: None):
        pass
    assert not (tmp_path / "elsewhere").exists() and not locks._held


def test_it_is_seen_from_outside_whether_somebody_has_it(tmp_path):
    path = tmp_path / "lock"
    assert not is_held(path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path, "alone"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        holder.stdout.readline()
        (tmp_path / "another").touch()
        assert is_held(path) and not is_held(tmp_path / "another")
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert path.exists() and not is_held(path)
