"""The end of a server that works: what runs is answered, what is new is refused, and the process leaves with 0."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import pytest

from ernie_vil2.serving.searches import found
from tests.conftest import ROOT
from tests.serving.running import LONGEST, running, until

SERVING = re.compile(r"http://127\.0\.0\.1:(\d+)/")


@contextlib.contextmanager
def process(folder, *arguments):
    """(the process, its port) of `ernie-vil2 serve`, which is ready."""
    command = [sys.executable, str(ROOT / "tools/serve.py"), str(folder), "--port", "0", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder.parent / "cache")}
    with (
        open(folder.parent / "said.txt", "w+b") as said,
        subprocess.Popen(command, stdout=said, stderr=said, env=environment) as server,
    ):
        try:
            until(lambda: SERVING.search(told(folder)) or server.poll() is not None)
            port = int(SERVING.search(told(folder))[1])
            until(lambda: status_of(port) == 200)
            yield server, port
        finally:
            server.kill()


def told(folder):
    return (folder.parent / "said.txt").read_text()


def status_of(port):
    with contextlib.suppress(OSError):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST)
        connection.request("GET", "/ready")
        return connection.getresponse().status


def test_an_end_under_load_answers_what_runs(indexes):
    """Every request that was sent gets a whole answer, or finds nobody who listens: none is cut."""
    with process(indexes) as (server, port):
        cut, answered, ended = [], [], threading.Event()

        def ask(seed):
            turn = 0
            while not ended.is_set():
                turn += 1
                body = json.dumps({"parts": [{"text": f"第 {seed} 号的第 {turn} 句"}], "k": 60})
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST)
                try:
                    connection.connect()
                except OSError:
                    return
                try:
                    connection.request("POST", "/api/indexes/photos/search", body, {"content-type": "application/json"})
                    reply = connection.getresponse()
                    answered.append((reply.status, len(json.loads(reply.read()).get("hits", []))))
                except (OSError, http.client.HTTPException) as error:
                    cut.append(repr(error))
                finally:
                    connection.close()

        threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        until(lambda: sum(status == 200 for status, _ in answered) > 40)
        server.terminate()
        status = server.wait(LONGEST)
        ended.set()
        for thread in threads:
            thread.join()
        assert status == 0 and {one for one in answered if one[0] == 200} == {(200, 57)}
        assert len(cut) <= len(threads)  # connections that nobody had taken up when the socket was closed
        assert not any("IncompleteRead" in one or "JSON" in one for one in cut)
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))
        assert "Traceback" not in told(indexes)


def test_an_idle_connection_does_not_hold_the_end_up(indexes):
    with running(indexes / "vectors", grace=30.0) as server:
        idle = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=LONGEST)
        idle.request("GET", "/health")
        idle.getresponse().read()
        began = time.monotonic()
    assert time.monotonic() - began < 20  # what runs has more, and nothing does
    idle.close()


@pytest.fixture
def held(monkeypatch):
    """(set when a search has begun, to be set when it may go on)."""
    begun, free = threading.Event(), threading.Event()

    def slow(*given):
        begun.set()
        free.wait(LONGEST)
        return found(*given)

    monkeypatch.setattr("ernie_vil2.serving.api.search.found", slow)
    yield begun, free
    free.set()


def asked(server, replies):
    """A thread that asks for a search, and notes what was answered."""

    def ask():
        try:
            replies.append(server.search("vectors").status)
        except (OSError, http.client.HTTPException):
            replies.append("cut")

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def refuses(server):
    try:
        socket.create_connection((urlsplit(server.address).hostname, urlsplit(server.address).port), LONGEST).close()
    except ConnectionError:
        return True
    return False


def test_a_request_that_runs_is_answered_and_a_new_one_refused(indexes, held):
    (begun, free), replies = held, []
    with running(indexes / "vectors", grace=LONGEST) as server:
        thread = asked(server, replies)
        assert begun.wait(LONGEST)
        server.server.handle_exit(signal.SIGTERM, None)
        until(lambda: refuses(server))
        time.sleep(0.5)  # a server that does not wait for it is gone by now
        assert replies == []
        free.set()
        thread.join()
    assert replies == [200]


def test_a_request_that_takes_longer_than_the_grace_is_given_up(indexes, held):
    (begun, free), replies = held, []
    with running(indexes / "vectors", grace=1.0) as server:
        thread = asked(server, replies)
        assert begun.wait(LONGEST)
        server.server.handle_exit(signal.SIGTERM, None)
        thread.join()
    assert replies in (["cut"], [500], [503]) and not free.is_set()
