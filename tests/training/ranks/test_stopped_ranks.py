"""Two gloo processes of which one is stopped: the other says whom it waits for, since when, and ends in a sentence."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT
from tests.training.ranks.test_roll import free_port
from tests.training.runs import environment

JOB = """
import os, signal, sys

import ernie_vil2
from ernie_vil2.runtime import import_paddle

import_paddle()
from ernie_vil2 import waiting
from ernie_vil2.errors import run_tool
from ernie_vil2.training import distributed
from ernie_vil2.training.ranks import roll, watch

roll.ANSWER_SECONDS = 0.5
watch.TICK, waiting.FIRST, watch.SILENT, watch.GRACE = 0.1, 0.5, 1.0, 0.5


def main(argv):
    what, stopped, patience = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    if what == "join" and os.environ["PADDLE_TRAINER_ID"] == str(stopped):
        distributed._join = lambda *launch: os.kill(os.getpid(), signal.SIGSTOP)
    ranks = distributed.join_ranks(patience)
    assert ranks.sum([ranks.rank, 1]).tolist() == [1, 2]
    ranks.wait()
    print("here", flush=True)
    if ranks.rank == stopped:
        os.kill(os.getpid(), signal.SIGSTOP)
    if what == "wait":
        ranks.wait()
    if what == "sum":
        ranks.sum([1])
    ranks.leave()
    print("left", flush=True)


run_tool(main)
"""


def pair(*arguments):
    """The two processes of a job."""
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    return [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", JOB, *map(str, arguments)],
            cwd=ROOT,
            env=environment(
                PADDLE_TRAINERS_NUM="2",
                PADDLE_TRAINER_ID=str(rank),
                PADDLE_CURRENT_ENDPOINT=addresses[1 + rank],
                PADDLE_TRAINER_ENDPOINTS=",".join(addresses[1:]),
                PADDLE_MASTER=addresses[0],
                PADDLE_DISTRI_BACKEND="gloo",
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]


def end(processes):
    for process in processes:
        process.kill()
        process.communicate()


def is_stopped(process):
    with open(f"/proc/{process.pid}/stat") as handle:
        return handle.read().rpartition(")")[2].split()[0] == "T"


CASES = [("wait", 0), ("sum", 1), ("leave", 1)]


@pytest.fixture(scope="module")
def jobs():
    """{case: the processes of its job}, side by side; a join may take Paddle three seconds more on a busy machine."""
    started = {case: pair(*case, 6) for case in [*CASES, ("join", 1)]}
    yield started
    for processes in started.values():
        end(processes)


@pytest.mark.parametrize("case", CASES)
def test_a_stopped_rank_is_named_and_not_waited_for_without_end(jobs, case):
    stopped = case[1]
    waiting = jobs[case][1 - stopped]
    output, told = waiting.communicate(timeout=60)
    assert waiting.returncode == 1 and "left" not in output, told
    rank = rf"rank {stopped} \((stopped or out of reach|at work elsewhere)\)"
    assert re.search(rf"waiting for {rank} since \d\d:\d\d:\d\d \(", told), told
    assert re.search(rf"^error: {rank} has not come since .*train\.patience \(6 s\)", told, re.MULTILINE), told
    assert "Traceback" not in told


def test_a_rank_that_stops_while_paddle_joins_them_is_told_of_and_ends_the_others(jobs):
    """Rank 0 is in a call of Paddle's then that holds the interpreter's lock."""
    waiting, _ = jobs["join", 1]
    output, told = waiting.communicate(timeout=60)
    assert waiting.returncode == -signal.SIGKILL and output == "", told
    assert re.search(
        r"^all ranks were here, but Paddle has not joined them since \d\d:\d\d:\d\d \(", told, re.MULTILINE
    )
    assert re.search(r"^error: all ranks were here, .*longer than train\.patience \(6 s\)", told, re.MULTILINE), told


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="asks /proc whether a process is stopped")
def test_a_rank_that_goes_on_in_time_was_only_waited_for():
    processes = pair("wait", 1, 0)
    try:
        last = time.monotonic() + 60
        while not is_stopped(processes[1]):
            assert time.monotonic() < last
            time.sleep(0.05)
        time.sleep(2.5)
        os.kill(processes[1].pid, signal.SIGCONT)
        output, told = processes[0].communicate(timeout=60)
        assert processes[0].returncode == 0 and output.split() == ["here", "left"], told
        assert "waiting for rank 1 (stopped or out of reach) since" in told and "as long as it takes" in told
        output, told = processes[1].communicate(timeout=60)
        assert processes[1].returncode == 0 and output.split() == ["here", "left"], told
    finally:
        end(processes)
