"""Raw bytes over a connection: what no client of HTTP would send, and what comes back."""

import json
import socket
import time
from dataclasses import dataclass

LONGEST = 60
"""Seconds that a test waits for what should take a moment"""


@dataclass
class Wired:
    """What came back: status 0 where the connection ended without an answer."""

    status: int
    headers: dict
    body: bytes

    @property
    def code(self):
        return json.loads(self.body)["error"]["code"]


def connected(port, **options):
    """A connection to a server of this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=LONGEST, **options)


def request(method="GET", path="/", body=b"", **headers):
    """The bytes of a request; headers by their names with _ for -, None for one that shall not be there."""
    given = {"host": "127.0.0.1", "connection": "close", **headers}
    if body and "content_length" not in headers and "transfer_encoding" not in headers:
        given["content_length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in given.items() if value is not None]
    return "\r\n".join((*lines, "", "")).encode("utf-8", "surrogateescape") + body


def rest(connection):
    """All that still comes until the server ends the connection; b"" where it is reset."""
    found = bytearray()
    try:
        while data := connection.recv(1 << 16):
            found += data
    except ConnectionError:
        pass
    return bytes(found)


def parsed(data):
    """The first answer in bytes, whose body is all that follows, or what Content-Length says."""
    if not data:
        return Wired(0, {}, b"")
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Wired(int(first.split(" ")[1]), headers, body[: int(headers.get("content-length", len(body)))])


def exchange(port, *pieces, pause=0.0):
    """The Wired answer to bytes that are sent piece by piece; a server that ends early is no error."""
    with connected(port) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
        except ConnectionError:
            pass
        return parsed(rest(connection))
