"""Downloads by processes that are killed, interrupted or meet each other.

The name is a real one, and the mirror has the file whenever it is asked, so no other address ever is; a proxy that
does not exist makes sure of it.
"""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.checkpoints.download.http_server import Reply, running
from tests.conftest import ROOT

NAME = "ViT_base_patch16_224"
FILE = f"{NAME}_pretrained.pdparams"
CONTENT = b"\x80\x04" + bytes(range(256)) * 4000 + b"."


@pytest.fixture
def server():
    with running() as server:
        yield server


@pytest.fixture
def start(server, tmp_path):
    """Function () -> a running process of the tool that fetches NAME from the server."""
    running_now = []

    def begin():
        command = [sys.executable, "-m", "tools.download", NAME, "--output", str(tmp_path), "--mirror", server.url]
        nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
        variables = {**os.environ, **nowhere, "no_proxy": "127.0.0.1", "OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        running_now.append(subprocess.Popen(command, cwd=ROOT, env=variables, **pipes))
        return running_now[-1]

    yield begin
    for process in running_now:
        process.kill()
        process.communicate(timeout=30)


def has_arrived(folder, size):
    """Wait until the part holds `size` bytes."""
    deadline = time.monotonic() + 60
    while sum(path.stat().st_size for path in folder.glob("*.part")) < size:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("stop", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
@pytest.mark.parametrize("arrived", [1, 300_000])
def test_a_stopped_process_leaves_what_the_same_command_goes_on_from(server, start, tmp_path, stop, status, arrived):
    server.serve(f"/{FILE}", CONTENT, Reply(sent=arrived, then_stall=True), Reply())
    process = start()
    assert server.stalling.wait(60)
    has_arrived(tmp_path / NAME, arrived)
    process.send_signal(stop)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == status and "Traceback" not in errors
    assert not (tmp_path / NAME / FILE).exists()
    again = start()
    output, errors = again.communicate(timeout=60)
    assert (again.returncode, errors) == (0, "") and "bytes are here" in output
    assert (tmp_path / NAME / FILE).read_bytes() == CONTENT
    assert server.ranges()[-1] == f"bytes={arrived}-"


def test_a_process_that_waited_goes_on_from_what_a_killed_one_left(server, start, tmp_path):
    server.serve(f"/{FILE}", CONTENT, Reply(sent=1000, then_stall=True), Reply())
    first = start()
    assert server.stalling.wait(60)
    has_arrived(tmp_path / NAME, 1000)
    second = start()
    assert "another process is at work here" in second.stdout.readline()
    first.kill()
    second.communicate(timeout=60)
    assert second.returncode == 0 and (tmp_path / NAME / FILE).read_bytes() == CONTENT
    assert server.ranges()[-1] == "bytes=1000-"


def test_two_processes_share_one_download(server, start, tmp_path):
    server.serve(f"/{FILE}", CONTENT)
    for process in [start(), start()]:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert (tmp_path / NAME / FILE).read_bytes() == CONTENT
    assert [path for path, _ in server.requests].count(f"/{FILE}") == 1
