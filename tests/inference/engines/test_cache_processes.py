"""Processes that build the same engine at once, are killed in the middle of it, fork, or have no room."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ernie_vil2.inference.engines.cache import EngineCache
from tests.conftest import ROOT

BUILD = """
import logging, os, sys, time
from pathlib import Path

from ernie_vil2.inference.engines.cache import EngineCache

logging.basicConfig(format="%(message)s", stream=sys.stdout)
model, go = Path(sys.argv[1]), Path(sys.argv[2])


def build(folder):
    (folder / "graph.xml").write_text(str(os.getpid()))
    print("builds", folder.name, flush=True)
    while not go.exists():
        time.sleep(0.01)
    (folder / "weights.bin").write_bytes(bytes(100_000))


cache = EngineCache(model, model.parent / "user")
made = cache.entry("image", cache.facts(), build)
print("has", (made / "graph.xml").read_text(), flush=True)
"""
SMALL = """
import resource, sys
from pathlib import Path

from ernie_vil2.inference.engines.cache import EngineCache, NoRoom

resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))


def build(folder):
    try:
        (folder / "weights.bin").write_bytes(bytes(1 << 20))
    except OSError:
        raise RuntimeError("the library does not say why") from None


cache = EngineCache(sys.argv[1], Path(sys.argv[1]).parent / "user")
try:
    cache.entry("image", cache.facts(), build)
except NoRoom as error:
    print(error)
"""


KILLED = """
import os, signal
from ernie_vil2.inference.engines.cache import EngineCache

for number in range(3):
    cache = EngineCache(None)
    cache.entry("image", cache.facts(), lambda folder: (folder / "graph.xml").write_text("x"))
    globals()[f"kept{number}"] = cache
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    return tmp_path / "model"


@pytest.fixture
def start(model, tmp_path):
    """Function () -> a process that builds until the file `go` is there."""
    running = []

    def begin(code=BUILD):
        command = [sys.executable, "-c", code, model, tmp_path / "go"]
        running.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.communicate(timeout=30)


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_of_two_processes_one_builds_and_the_other_waits_and_uses_it(start, model, tmp_path):
    first = start()
    assert first.stdout.readline().startswith("builds ")
    second = start()
    assert "another process or thread builds this engine; waiting for it" in second.stdout.readline()
    (tmp_path / "go").touch()
    ends = [process.communicate(timeout=30)[0] for process in (first, second)]
    assert ends == [f"has {first.pid}\n"] * 2
    assert names(model / "engines") == ["image", "image.lock"]


def test_a_build_that_is_killed_again_and_again_leaves_nothing_to_the_next(start, model, tmp_path):
    for killed in range(2):
        process = start()
        while not (line := process.stdout.readline()).startswith("builds "):
            assert killed and "left by a process that was killed" in line
        process.kill()
        process.wait()
        assert len(names(model / "engines")) == 2 and not (model / "engines" / "image").exists()
    (tmp_path / "go").touch()
    last = start()
    assert last.communicate(timeout=30)[0].endswith(f"has {last.pid}\n")
    assert names(model / "engines") == ["image", "image.lock"]


def test_a_process_that_waits_takes_over_from_a_killed_one(start, model, tmp_path):
    first = start()
    first.stdout.readline()
    second = start()
    assert "waiting" in second.stdout.readline()
    first.kill()  # the lock is free before all of the process has gone
    (tmp_path / "go").touch()
    assert second.communicate(timeout=30)[0].endswith(f"has {second.pid}\n")
    assert names(model / "engines") == ["image", "image.lock"]


def test_no_room_anywhere_is_told_though_the_library_does_not_say_so(start, model):
    told = start(SMALL).communicate(timeout=30)[0]
    assert told.startswith("no place takes the engine image (") and told.count("File too large") >= 2
    assert names(model / "engines") == ["image.lock"]


def test_a_fork_leaves_the_temporary_engines_of_its_parent(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cache = EngineCache(None)

    def build(folder):
        (folder / "graph.xml").write_text(str(os.getpid()))

    made = cache.entry("image", cache.facts(), build)
    child = os.fork()
    if not child:
        signal.alarm(30)
        own = cache.entry("image", cache.facts(), build)
        right = own != made and (own / "graph.xml").read_text() == str(os.getpid())
        del cache
        os._exit(0 if right and made.exists() and not own.exists() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (made / "graph.xml").read_text() == str(os.getpid())


def test_temporary_engines_of_a_killed_process_go_with_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    variables = {**os.environ, "TMPDIR": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", KILLED], cwd=ROOT, env=variables).returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 3
    cache = EngineCache(None)
    made = cache.entry("image", cache.facts(), lambda folder: (folder / "graph.xml").write_text("x"))
    assert names(tmp_path) == [made.parent.name]


def test_the_lock_of_a_killed_build_does_not_delay(start, model, tmp_path):
    process = start()
    process.stdout.readline()
    process.kill()
    process.wait()
    began = time.monotonic()
    cache = EngineCache(model)
    cache.entry("image", cache.facts(), lambda folder: (folder / "graph.xml").write_text("x"))
    assert time.monotonic() - began < 10
