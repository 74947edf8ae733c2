"""A server in a process of its own, as `serve` runs it, at a port that the system chooses."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...device import proc_sizes
from ...errors import UserError
from ...plugins import load_plugins

START = "from ernie_vil2.studies.serving import server_process; server_process.main()"
LISTENS = 60.0
READY = 900.0
"""Seconds until a server listens, and until models are loaded; the first time they are compiled"""
GRACE = 60.0
LOOKS = 0.1
"""Seconds for which a server may take its leave, and between two looks at one that is not ready"""


class ServerProcess:
    """A server that runs; a context, at whose end it ends by SIGTERM. settings: of `ServerSettings`. log: file of what
    it writes. plugins: modules that it is given. UserError where it stops, or is not ready in time."""

    def __init__(self, settings: Mapping[str, Any], log: Path, plugins: Sequence[str] = ()):
        self._log = log
        with open(log, "wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", START, json.dumps(settings), *plugins],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        try:
            self.address = str(self._process.stdout.readline(), "ascii").strip()
            self._wait()
        except BaseException:
            self._process.kill()
            self.close()
            raise

    def _wait(self):
        last = time.monotonic() + READY
        while self.address and time.monotonic() < last and self._process.poll() is None:
            connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=LISTENS)
            try:
                connection.request("GET", "/ready")
                if connection.getresponse().status == 200:
                    return
            finally:
                connection.close()
            time.sleep(LOOKS)
        raise UserError(f"the server is not ready: {self.last_words()}")

    def memory(self) -> dict[str, float]:
        """{now, most: MiB that are resident}; UserError where it has stopped."""
        try:
            sizes = proc_sizes(f"/proc/{self._process.pid}/status")
            return {"now": sizes["VmRSS"], "most": sizes["VmHWM"]}
        except (OSError, KeyError):
            raise UserError(f"the server stopped: {self.last_words()}") from None

    def last_words(self) -> str:
        """The last line that it wrote."""
        lines = str(self._log.read_bytes()[-2000:], "utf-8", "replace").strip().split("\n")
        return lines[-1] or "it gave no reason"

    def close(self) -> int:
        """Have it end in order; its status."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._process.stdout.close()

    def __enter__(self) -> "ServerProcess":
        return self

    def __exit__(self, *error: object) -> None:
        status = self.close()
        if status and not any(error):
            raise UserError(f"the server ended with status {status}: {self.last_words()}")


def main() -> None:
    """The process of the server: its settings are the first argument, plugins the others; its address is the first line
    that it prints."""
    from ...serving.app import create_app
    from ...serving.binding import bound_socket
    from ...serving.server import serve
    from ...serving.settings import ServerSettings

    settings = ServerSettings(**json.loads(sys.argv[1]))
    load_plugins(sys.argv[2:])
    with bound_socket(settings.host, settings.port) as bound:
        serve(create_app(settings), bound, lambda address: print(address, flush=True))
