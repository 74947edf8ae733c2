"""A server in a thread of the test's process, and requests to it over a real connection."""

import asyncio
import http.client
import io
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from ernie_vil2.runtime import import_paddle
from ernie_vil2.serving.app import create_app
from ernie_vil2.serving.binding import address_of, bound_socket
from ernie_vil2.serving.server import Server, configuration
from ernie_vil2.serving.settings import ServerSettings

LONGEST = 60
"""Seconds that a test waits for what should take a moment"""


@dataclass
class Reply:
    """What was answered."""

    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """(code, sentence) of a refusal."""
        return self.json["error"]["code"], self.json["error"]["message"]


class Running:
    """A server that runs. address: with / at its end; services: what its handlers share."""

    def __init__(self, app, bound, server):
        self.app, self.services, self.address, self.server = app, app.state.services, address_of(bound), server

    def ask(self, method, path, content=None, language="en", **headers):
        """The Reply to one request, over a connection of its own; content: what becomes JSON, or bytes as they are."""
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=LONGEST)
        try:
            body, sent = content, {"accept-language": language}
            if content is not None and not isinstance(content, bytes):
                body, sent = json.dumps(content).encode(), {**sent, "content-type": "application/json"}
            connection.request(method, quote(path, safe="/?=&%"), body, {**sent, **headers})
            reply = connection.getresponse()
            return Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def search(self, index, language="en", **asked):
        return self.ask("POST", f"/api/indexes/{index}/search", asked, language)

    def get(self, path, language="en"):
        return self.ask("GET", path, language=language)


@contextmanager
def running(folder, **settings):
    """A Running that serves a folder, once all is open."""
    import_paddle()  # as a server's main thread does
    told = ServerSettings(**{"folder": folder, "port": 0, "grace": 2.0, "cache": folder.parent / "cache", **settings})
    app = create_app(told)
    app.state.services.log.stream = io.StringIO()  # or what it says after its test is said on standard error
    with bound_socket(told.host, told.port) as bound:
        server = Server(configuration(app, told), lambda: None)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([bound])), daemon=True)
        thread.start()
        try:
            found = Running(app, bound, server)
            until(lambda: found.get("/ready").status == 200)
            yield found
        finally:
            server.should_exit = True
            thread.join(LONGEST)
    assert not thread.is_alive()


def until(true):
    """Wait until a function says so."""
    last = time.monotonic() + LONGEST
    while not true():
        assert time.monotonic() < last, "it did not come in time"
        time.sleep(0.02)
