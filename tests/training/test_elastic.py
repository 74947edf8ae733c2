"""With an etcd master Paddle's launcher starts killed ranks again, and the run ends with the bits of a straight one."""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.training.runs import arrays, begin, different, kill_ranks, rank_of, train, write_config

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("etcd"), reason="no etcd on the PATH (Debian: apt-get install etcd-server)"),
    pytest.mark.skipif(not importlib.util.find_spec("etcd3"), reason="no Python package etcd3 (pip install etcd3)"),
]
STEPS = 12
RUN = {"train__steps": STEPS, "train__keep": STEPS, "train__sharding": 1}


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    """Every array of the last checkpoint of an undisturbed run on two ranks."""
    folder = tmp_path_factory.mktemp("straight")
    done = train("-c", write_config(folder, **RUN), processes=2, log_dir=folder / "launch")
    assert done.returncode == 0, done.stdout[-3000:]
    return arrays(folder, STEPS)


@pytest.fixture
def etcd(tmp_path):
    """Address of an etcd server of this test's own, which answers."""
    client, peer = (f"http://127.0.0.1:{port}" for port in free_ports(2))
    log = tmp_path / "etcd.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [
                "etcd",
                "--data-dir",
                tmp_path / "etcd",
                "--listen-client-urls",
                client,
                "--advertise-client-urls",
                client,
                "--listen-peer-urls",
                peer,
                "--initial-advertise-peer-urls",
                peer,
                "--initial-cluster",
                f"default={peer}",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: healthy(client), [server], log.read_text)
        yield client.replace("http", "etcd", 1)
    finally:
        server.kill()
        server.wait(30)


@pytest.fixture
def launch(etcd, tmp_path):
    """Function (configuration, name of a log folder, processes, *options) -> Popen of a launcher under etcd."""
    started, logs = [], []
    variables = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(importlib.util.find_spec("etcd3").origin).parents[1])]),
        "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python",
    }

    def start(path, name, processes, *options):
        logs.append(tmp_path / name)
        started.append(
            begin(
                "-c",
                path,
                "--resume",
                "auto",
                processes=processes,
                log_dir=logs[-1],
                variables=variables,
                launcher=["--master", etcd, "--job_id", "test", "--elastic_level", 1, *options],
            )
        )
        return started[-1]

    yield start
    for launcher in started:
        launcher.kill()
    for log in logs:
        kill_ranks(log)
    for launcher in started:
        launcher.communicate(timeout=30)


def free_ports(count):
    """Ports of 127.0.0.1 that nobody listens on, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def healthy(address):
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
            return b"true" in answer.read()
    except OSError:
        return False


def until(holds, processes, told, seconds=120):
    """Return as soon as holds(); fail with told() when one of the processes ends before, or after `seconds`."""
    end = time.monotonic() + seconds
    while not holds():
        assert all(process.poll() is None for process in processes) and time.monotonic() < end, told()
        time.sleep(0.005)


def kill_after(step, folder, *launchers):
    """kill -9 rank 1, whoever of `launchers` has it, as soon as the run in `folder` has the checkpoint of a step."""
    saved = folder / f"run/checkpoints/step-{step:07d}"
    until(saved.exists, launchers, lambda: logs_below(folder))
    for launcher in launchers:
        with contextlib.suppress(AssertionError):
            return os.kill(rank_of(launcher.pid, 1), signal.SIGKILL)
    raise AssertionError(logs_below(folder))


def logs_below(folder):
    return "\n".join(path.read_text()[-2000:] for path in sorted(folder.glob("*/workerlog.*")))


def test_killed_ranks_start_again_by_themselves(wanted, launch, tmp_path):
    launcher = launch(write_config(tmp_path, **RUN), "launch", 2)
    kill_after(3, tmp_path, launcher)
    output = launcher.communicate(timeout=120)[0]
    assert launcher.returncode == 0, output[-3000:]
    assert "Pod failed" in output and "going on from" in output
    assert different(arrays(tmp_path, STEPS), wanted) == []


def test_a_rank_killed_on_one_of_two_nodes_starts_both_again(wanted, launch, tmp_path):
    path = write_config(tmp_path, **RUN)
    nodes = [launch(path, f"node{node}", 1, "--nnodes", 2) for node in range(2)]
    kill_after(3, tmp_path, *nodes)
    outputs = [node.communicate(timeout=120)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], "\n".join(output[-3000:] for output in outputs)
    assert all("going on from" in output for output in outputs)
    assert different(arrays(tmp_path, STEPS), wanted) == []


def test_after_the_last_restart_a_failure_ends_the_job(wanted, launch, tmp_path):
    path = write_config(tmp_path, **RUN)
    launcher = launch(path, "launch", 2, "--max_restart", 0)  # Paddle counts from -1: this allows one
    kill_after(3, tmp_path, launcher)
    kill_after(7, tmp_path, launcher)
    output = launcher.communicate(timeout=120)[0]
    assert launcher.returncode != 0 and output.count("Pod failed") == 2, output[-3000:]
    assert not (tmp_path / f"run/checkpoints/step-{STEPS:07d}").exists()
    done = train("-c", path, "--resume", "auto", processes=2, log_dir=tmp_path / "launch")
    assert done.returncode == 0, done.stdout[-3000:]
    assert different(arrays(tmp_path, STEPS), wanted) == []
