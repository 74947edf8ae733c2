"""A connection that is kept open, for many requests one after the other: HTTP/1.1, and no time of a library."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

CLOSED = (OSError, asyncio.IncompleteReadError)


@dataclass(frozen=True)
class Reply:
    """What was answered. headers: names in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """Requests to a server, over one connection until it is closed, then over a new one."""

    def __init__(self, address: str, key: str = ""):
        split = urlsplit(address)
        self._host, self._port = split.hostname, split.port
        self._head = f"Host: {split.netloc}\r\n" + (f"Authorization: Bearer {key}\r\n" if key else "")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str, body: bytes | None = None) -> Reply:
        """The Reply to GET, or with a body to POST of JSON. A connection that the server closed meanwhile is opened
        anew, once; raises OSError or IncompleteReadError."""
        fresh = self._streams is None
        try:
            return await self._asked(path, body)
        except CLOSED:
            await self.close()
            if fresh:
                raise
            return await self._asked(path, body)

    async def _asked(self, path, body):
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        kind = "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\n{self._head}{kind}\r\n"
        writer.write(head.encode() + (body or b""))
        lines = str(await reader.readuntil(b"\r\n\r\n"), "latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection", "").lower() == "close":
            await self.close()
        return Reply(int(lines[0].split()[1]), headers, content)

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
