"""Ctrl-C and SIGTERM: a command says what is left and how to go on, leaves nothing half-written, and can go on."""

import os
import signal
import subprocess
import sys
import time
import weakref

import numpy as np
import pytest

from ernie_vil2.cli import stopping
from ernie_vil2.errors import run_tool
from ernie_vil2.inference import writer
from ernie_vil2.inference.model import Model
from ernie_vil2.stop import Stopped
from tests.cli.commands import FILES, FOLDERS, call, content, place, run

CASES = [(FILES, name) for name in FILES] + [(FOLDERS, name) for name in FOLDERS]
KEPT = ("shard", "encode")
"""Commands that go on where they were stopped."""


def stop_at(monkeypatch, owner, name, number, count=1):
    """Send this process a signal at call `count` of a function."""
    before, calls = getattr(owner, name), []

    def function(*args, **named):
        calls.append(name)
        if len(calls) == count:
            os.kill(os.getpid(), number)
        return before(*args, **named)

    monkeypatch.setattr(owner, name, function)


@pytest.mark.parametrize("number, by", [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
@pytest.mark.parametrize("cases, name", CASES)
def test_a_stopped_command_leaves_nothing_half_written_and_says_how_to_go_on(
    here, monkeypatch, cases, name, number, by
):
    target = place(name) + (".pdparams" if name == "convert" and cases is FILES else "")
    before, handlers = content(here), [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    with monkeypatch.context() as patched, pytest.raises(Stopped) as stopped:
        stop_at(patched, os, "fsync", number)
        call(cases, name, target)
    left = stopping.KEPT if name in KEPT else stopping.NOTHING
    assert str(stopped.value).startswith(f"stopped by {by}; {left}") and stopped.value.status == 128 + number
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers
    if name not in KEPT:
        assert content(here) == before
    assert not [path for path in here.rglob("*") if "tmp-" in path.name]
    call(cases, name, target)
    assert (here / target).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_encoding_commits_the_rows_at_hand_and_goes_on_with_the_same_bytes(here, monkeypatch, number):
    monkeypatch.setattr(writer, "CHUNK", 1)
    run("encode --model a --input pairs.jsonl --output whole")
    with monkeypatch.context() as patched, pytest.raises(Stopped):
        stop_at(patched, Model, "encode_text", number, 2)
        run("encode --model a --input pairs.jsonl --output out")
    done = []
    encode_text = Model.encode_text
    monkeypatch.setattr(Model, "encode_text", lambda *args, **named: done.append(1) or encode_text(*args, **named))
    run("encode --model a --input pairs.jsonl --output out")
    assert len(done) == 2
    np.testing.assert_array_equal(np.load("out/text.npy"), np.load("whole/text.npy"))


def test_a_second_interrupt_does_not_wait_for_the_rows(here, monkeypatch):
    stop_at(monkeypatch, Model, "encode_text", signal.SIGINT)
    stop_at(monkeypatch, Model, "encode_image", signal.SIGINT)
    with pytest.raises(Stopped, match="go on with"):
        run("encode --model a --input pairs.jsonl --output out")
    monkeypatch.undo()
    assert (here / "out.partial").exists() and not (here / "out").exists()


def test_the_line_names_the_command_and_the_status_is_that_of_a_shell(monkeypatch, capsys):
    for argv, named in (
        (["tools/data.py", "check", "a b"], "python tools/data.py check 'a b'"),
        (["ernie-vil2 data", "data", "check"], "ernie-vil2 data check"),
    ):
        monkeypatch.setattr("sys.argv", argv)
        assert stopping.command() == named
    for number, status, said in ((signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")):

        @stopping.stoppable()
        def main(argv, number=number):
            os.kill(os.getpid(), number)

        with pytest.raises(SystemExit) as leaving:
            run_tool(main)
        assert leaving.value.code == status
        assert capsys.readouterr().err == f"stopped by {said}; {stopping.NOTHING}ernie-vil2 data check\n"


def test_ctrl_c_on_the_way_out_changes_nothing():
    script = (
        "import atexit, os, signal; from ernie_vil2.errors import run_tool; "
        "atexit.register(os.kill, os.getpid(), signal.SIGINT); run_tool(lambda argv: 3)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (3, "")


def test_a_signal_is_not_lost_while_an_object_is_finalized(tmp_path):
    class Held:
        pass

    def dropped():
        held = Held()
        weakref.finalize(held, os.kill, os.getpid(), signal.SIGTERM)
        del held
        time.sleep(5)
        return "not stopped"

    with pytest.raises(Stopped):
        stopping.stoppable()(dropped)()
