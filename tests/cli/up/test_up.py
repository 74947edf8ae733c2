"""`up` as a person has it: pictures are there soon, what changes is taken up, and nothing outlives it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from ernie_vil2.cli.up import main as tool
from ernie_vil2.cli.up.folder_index import FolderIndex
from ernie_vil2.errors import UserError
from ernie_vil2.search.store.check import check
from tests.conftest import ROOT
from tests.search.scan.conftest import draw
from tests.training.runs import environment


def wait_for(found, seconds=60):
    """What found() gives as soon as it is true."""
    last = time.monotonic() + seconds
    while time.monotonic() < last:
        if value := found():
            return value
        time.sleep(0.02)
    raise AssertionError("it did not come")


class Up:
    """The command in a process of its own."""

    def __init__(self, folder, *options):
        self.said = folder / "said.txt"
        command = [sys.executable, "-W", "ignore", ROOT / "tools/up.py", "photos", "--no-open", "--port", "0", *options]
        with open(self.said, "w") as said:
            self.process = subprocess.Popen(
                list(map(str, command)), cwd=folder, env=environment(), stdout=said, stderr=said, start_new_session=True
            )
        self.address = wait_for(self.announced)

    def announced(self):
        assert self.process.poll() is None, self.said.read_text()
        found = re.search(r"photos\.index: (http://127\.0\.0\.1:\d+/) ", self.said.read_text())
        return found and found[1]

    def pictures(self):
        with urllib.request.urlopen(f"{self.address}api/indexes", timeout=20) as answer:
            return json.load(answer)["indexes"][0]["pictures"]

    def child(self):
        """The process that looks at the folder, None between two looks."""
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            for pid in (task / "children").read_text().split():
                if "attached" in Path(f"/proc/{pid}/cmdline").read_text():
                    return int(pid)
        return None


@pytest.fixture
def up(place):
    started = []

    def start(*options):
        started.append(Up(place, *options))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()


def test_pictures_come_and_go_while_it_serves_and_no_process_outlives_it(up, place):
    running = up("--model", "model", "--every", "1")
    wait_for(lambda: running.pictures() == 10)
    os.unlink("photos/0/0.png")
    draw(place / "photos/new.png", 77)
    draw(place / "photos/newer.png", 78)
    wait_for(lambda: running.pictures() == 11)
    os.kill(wait_for(running.child), signal.SIGKILL)
    wait_for(lambda: "was ended by SIGKILL; it is tried again in 2 s" in running.said.read_text())
    child = wait_for(running.child)
    running.process.kill()
    running.process.wait()
    wait_for(lambda: not os.path.exists(f"/proc/{child}"))
    assert check(place / "photos.index") == [] and "Traceback" not in running.said.read_text()

    again = up()
    wait_for(lambda: again.pictures() == 11)
    again.process.terminate()
    assert again.process.wait(60) == 0
    assert len([line for line in again.said.read_text().splitlines() if not line.startswith("{")]) == 1


def test_a_model_that_cannot_be_loaded_is_one_sentence_and_nothing_is_served(place, monkeypatch, capfd):
    (place / "model/model.safetensors").write_bytes(b"damaged")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert tool.main(["photos", "--model", "model", "--port", "0", "--no-open"]) == 1
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("error: ") and not os.path.exists("photos.index")


def test_a_first_process_that_is_killed_is_one_sentence(place, monkeypatch):
    killed = [sys.executable, "-S", "-c", "import os; os.kill(os.getpid(), 9)"]
    monkeypatch.setattr(FolderIndex, "command", lambda index: killed)
    with pytest.raises(UserError, match="photos.index: making the index was ended by SIGKILL, .* again$"):
        tool.main(["photos", "--model", "model", "--port", "0", "--no-open"])
    assert not os.path.exists("photos.index")


def test_the_next_free_port_is_taken_and_told(place, monkeypatch, capsys):
    import ernie_vil2.serving.app as app
    import ernie_vil2.serving.server as server
    from ernie_vil2.serving.upkeep import Upkeep

    served = []
    monkeypatch.setattr(app, "create_app", lambda settings: settings)
    monkeypatch.setattr(server, "serve", lambda app, bound, ready: served.append((app.port, bound.getsockname()[1])))
    monkeypatch.setattr(Upkeep, "start", lambda upkeep: None)
    monkeypatch.setattr(Upkeep, "begun", lambda upkeep: True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert tool.main(["photos", "--model", "model", "--port", str(port), "--no-open"]) is None
    (told, listening), said = served[0], capsys.readouterr().err
    assert told == listening > port and f"port {port} is taken, so it is {listening}" in said
