"""Servers as processes of their own, on a port that the system chooses."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from tests.conftest import ROOT

STARTED, ENDED = 120, 30
"""Most seconds until a server is ready, and until it has ended: limits of a test that would hang."""


class Server:
    """A process of `ernie-vil2 serve`; `address` once it is ready, `told` what it printed."""

    def __init__(self, indexes, *options, cache, environment=None):
        command = [sys.executable, "-m", "ernie_vil2.cli.main", "serve", str(indexes), *map(str, options)]
        if "--port" not in options:
            command += ["--port", "0"]
        self.told, self.address = [], None
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "XDG_CACHE_HOME": str(cache), **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            self.told.append(line)
            found = re.search(r"https?://[^\s/\"]+", line)
            if found and self.address is None:
                self.address = found[0]

    def wait(self):
        """Return once /ready says so; AssertionError with what it printed where that takes too long."""
        end = time.monotonic() + STARTED
        while time.monotonic() < end and self.process.poll() is None:
            if self.address and self._ready():
                return self
            time.sleep(0.1)
        raise AssertionError(f"the server is not ready, and said: {''.join(self.told)[-3000:]}")

    def _ready(self):
        try:
            with urllib.request.urlopen(f"{self.address}/ready", timeout=10) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    @property
    def port(self):
        return self.address.rpartition(":")[2]

    def kill(self):
        """End it at once, as a crash does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(ENDED)

    def stop(self):
        """End it in order."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(ENDED)
        except subprocess.TimeoutExpired:
            self.kill()
