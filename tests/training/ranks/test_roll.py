"""The roll on real sockets: everyone learns everyone's place, and strangers, silence and death harm nobody."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from ernie_vil2 import waiting
from ernie_vil2.errors import UserError
from ernie_vil2.training.ranks import roll as roll_module
from ernie_vil2.training.ranks.launch import Launch
from ernie_vil2.training.ranks.roll import Keeper, Member
from ernie_vil2.training.ranks.watch import LostRank, call_roll
from tests.conftest import ROOT
from tests.training.runs import environment


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def port():
    return free_port()


def places(table):
    return {rank: place for rank, (place, _) in (table or {}).items()}


def until(condition, seconds=10):
    last = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < last
        time.sleep(0.01)


def test_everyone_learns_everyones_place_and_the_port_is_free_again(port):
    members = [Member(rank, 3, "127.0.0.1", port) for rank in (1, 2)]
    assert members[0].tell(1) is None, "nobody listens yet"
    keeper = Keeper(port, 3)
    assert places(keeper.tell(1)) == {0: 1}
    assert places(members[0].tell(1)) == {0: 1, 1: 1} and not keeper.whole.is_set()
    assert places(members[1].tell(1)) == {0: 1, 1: 1, 2: 1}
    assert keeper.whole.wait(5)
    assert places(members[0].tell(1)) == {0: 1, 1: 1, 2: 1}
    with socket.socket() as store:  # as Paddle's store opens it, while the roll goes on
        store.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        store.bind(("127.0.0.1", port))
        store.listen()
        keeper.tell(5)
        until(lambda: places(members[0].tell(7)) == {0: 5, 1: 7, 2: 1})
        assert keeper.table()[2][1] > keeper.table()[1][1] >= 0, "and how long ago it was told"
        members[1].close()
        until(lambda: places(members[0].tell(8)) == {0: 5, 1: 8, 2: 1})


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\n",
        b"ernie_vil2 3 0 9\n",
        b"ernie_vil2 3 3 9\n",
        b"ernie_vil2 2 1 9\n",
        b"x" * 9999,
    ],
)
def test_strangers_are_hung_up_on(port, line):
    keeper, member = Keeper(port, 3), Member(2, 3, "127.0.0.1", port)
    keeper.tell(1)
    with socket.create_connection(("127.0.0.1", port), 5) as stranger, contextlib.suppress(ConnectionError):
        stranger.sendall(line)
        assert stranger.recv(100) == b""
    assert places(member.tell(4)) == {0: 1, 2: 4}
    keeper.close()


def test_a_keeper_that_is_stopped_does_not_hold_its_members(monkeypatch, port):
    monkeypatch.setattr(roll_module, "ANSWER_SECONDS", 0.3)
    code = (
        "import sys, time; from ernie_vil2.training.ranks.roll import Keeper; keeper = Keeper(int(sys.argv[1]), 2); "
        "keeper.tell(1); print('here', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(port)], cwd=ROOT, env=environment(), stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline()
        member = Member(1, 2, "127.0.0.1", port)
        until(lambda: places(member.tell(1)) == {0: 1, 1: 1})
        os.kill(process.pid, signal.SIGSTOP)
        until(lambda: member.tell(2) is None)
        os.kill(process.pid, signal.SIGCONT)
        until(lambda: places(member.tell(3)) == {0: 1, 1: 3})
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    until(lambda: member.tell(4) is None)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_nobody_joins_tells_it_and_ends(monkeypatch, caplog, port, rank):
    monkeypatch.setattr(waiting, "FIRST", 0.2)
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "2")
    with pytest.raises(LostRank) as caught:
        call_roll(Launch(rank, 2, "127.0.0.1", port), 1.0)
    missing = f"rank {1 - rank} (not there)"
    told = str(caught.value)
    assert told.startswith(f"{missing} has not come at 127.0.0.1:{port} since ") and len(told) <= 480
    assert "train.patience (1 s)" in told and "unset PADDLE_TRAINERS_NUM" in told
    first, *later = caplog.messages
    assert first.startswith(f"waiting for {missing} at 127.0.0.1:{port} since ") and "unset PADDLE_TRAINERS" in first
    assert 1 <= len(later) <= 3, "it is told ever more rarely"


def test_a_taken_port_is_told(monkeypatch, port):
    monkeypatch.setattr(waiting, "FIRST", 0.1)
    with socket.socket() as other:
        other.bind(("", port))
        other.listen()
        with pytest.raises(UserError, match=f"cannot listen at port {port} .*unset"):
            call_roll(Launch(0, 2, "127.0.0.1", port), 1.0)
