"""A process that is attached to another one: it ends with it, however that ends, and is the last to be served."""

import os
import signal
import subprocess
import sys
import time

from tests.conftest import ROOT
from tests.training.runs import environment

PARENT = """
import os, subprocess, sys, time
command = [sys.executable, "-c", sys.argv[1], str(os.getpid())]
print(subprocess.Popen(command, start_new_session=True).pid, flush=True)
time.sleep(60)
"""
CHILD = """
import os, signal, sys, time
from ernie_vil2.cli.up.attached import attach

def end(number, frame):
    open(os.environ["TOLD"], "w").write("asked")
    os._exit(0)

signal.signal(signal.SIGTERM, end)
assert attach(int(sys.argv[1]))
open(os.environ["TOLD"] + ".ready", "w").close()
time.sleep(60)
"""


def wait_for(condition, seconds=20):
    last = time.monotonic() + seconds
    while not condition() and time.monotonic() < last:
        time.sleep(0.01)
    return condition()


def test_it_is_asked_to_end_when_its_parent_is_killed(tmp_path):
    told = tmp_path / "told"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD],
        cwd=ROOT,
        env=environment(TOLD=str(told)),
        stdout=subprocess.PIPE,
        text=True,
    )
    child = int(parent.stdout.readline())
    try:
        assert wait_for((tmp_path / "told.ready").exists)
        parent.kill()
        parent.wait()
        assert wait_for(told.exists) and wait_for(lambda: not os.path.exists(f"/proc/{child}"))
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
        if os.path.exists(f"/proc/{child}"):
            os.kill(child, signal.SIGKILL)


def attached(*arguments, parent=None):
    command = [sys.executable, "-m", "ernie_vil2.cli.up.attached", str(parent or os.getpid()), *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)


def test_a_verb_runs_in_it_as_anywhere(tmp_path):
    done = attached("index", "info", str(tmp_path / "missing"))
    assert (
        done.returncode == 1 and done.stderr.startswith("error: ") and "is no folder, so it is no index" in done.stderr
    )


def test_nothing_is_done_for_a_parent_that_has_ended(tmp_path):
    done = attached("index", "info", str(tmp_path / "missing"), parent=1 << 22)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
