"""The roll of a job: where every rank is, kept by rank 0 and asked for by the others, on sockets of their own.

Paddle's store cannot serve for it: a call on it blocks with rank 0, has no limit, and holds the interpreter's lock
while ranks are joined. A rank tells its place, a number that rises alike on all ranks, once a second from a thread of
its own. The roll meets at the port of Paddle's store before that is opened, and lets go of the port then.
"""

import contextlib
import selectors
import socket
import threading
import time

GREETING = b"ernie_vil2"
LONGEST = 64
"""Bytes of the longest line that a rank sends"""
ANSWER_SECONDS = 3.0
"""In which rank 0 must answer"""

Table = dict[int, tuple[int, float]]
"""{rank: (place, seconds since it told so)} of the ranks that were heard"""


class Keeper:
    """Rank 0's side: listens at a port, hears the places of all ranks and answers each with those of all.

    `whole` is set once every rank was here; nobody is let in after that. Raises OSError where the port is taken.
    """

    def __init__(self, port: int, size: int) -> None:
        self.size, self.whole = size, threading.Event()
        self.heard: dict[int, tuple[int, float]] = {}
        self.lock, self.partial = threading.Lock(), {}
        self.door = socket.socket()
        try:
            self.door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the store is to listen there too
            self.door.bind(("", port))
            self.door.listen(min(size, 1024))
        except OSError:
            self.door.close()
            raise
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.door, selectors.EVENT_READ)
        threading.Thread(target=self._serve, name="roll", daemon=True).start()

    def tell(self, place: int) -> Table:
        """Note rank 0's own place; the places of all."""
        self._note(0, place)
        return self.table()

    def table(self) -> Table:
        """The places of the ranks that were heard."""
        now = time.monotonic()
        with self.lock:
            return {rank: (place, now - when) for rank, (place, when) in self.heard.items()}

    def close(self) -> None:
        """Let nobody in any more."""
        self.door.close()

    def _note(self, rank: int, place: int) -> None:
        with self.lock:
            self.heard[rank] = (place, time.monotonic())

    def _serve(self) -> None:
        while True:
            for key, _ in self.selector.select(1.0):
                with contextlib.suppress(OSError):
                    self._let_in() if key.fileobj is self.door else self._hear(key.fileobj)
            if not self.whole.is_set() and len(self.table()) == self.size:
                self._begin()

    def _let_in(self) -> None:
        connection, _ = self.door.accept()
        connection.settimeout(ANSWER_SECONDS)
        self.partial[connection] = b""
        self.selector.register(connection, selectors.EVENT_READ)

    def _hear(self, connection: socket.socket) -> None:
        """Answer the lines of a rank; what is none ends the connection."""
        try:
            received = connection.recv(4096)
            *lines, rest = (self.partial[connection] + received).split(b"\n")
            if not received or len(rest) > LONGEST:
                raise ConnectionError
            self.partial[connection] = rest
            for line in lines:
                rank, place = parsed(line, self.size)
                self._note(rank, place)
            if lines:
                connection.sendall(written(self.table()))
        except (OSError, ValueError):
            self._hang_up(connection)

    def _hang_up(self, connection: socket.socket) -> None:
        self.selector.unregister(connection)
        del self.partial[connection]
        connection.close()

    def _begin(self) -> None:
        """All are here: tell all of them, since this process answers nothing while Paddle joins them; free the port."""
        self.selector.unregister(self.door)
        self.door.close()
        line = written(self.table())
        for connection in list(self.partial):
            try:
                connection.sendall(line)
            except OSError:
                self._hang_up(connection)
        self.whole.set()


class Member:
    """The side of another rank: tells its place to rank 0 and gets those of all."""

    def __init__(self, rank: int, size: int, host: str, port: int) -> None:
        self.rank, self.size, self.address = rank, size, (host, port)
        self.connection: socket.socket | None = None
        self.rest = b""

    def tell(self, place: int) -> Table | None:
        """Tell this rank's place; the places of all, None where rank 0 is not there or does not answer in seconds."""
        try:
            if self.connection is None:
                self.connection, self.rest = socket.create_connection(self.address, ANSWER_SECONDS), b""
            self.connection.sendall(b"%s %d %d %d\n" % (GREETING, self.size, self.rank, place))
            return self._answer()
        except TimeoutError:
            return None
        except (OSError, ValueError):
            self.close()
            return None

    def _answer(self) -> Table:
        """The newest answer there is; waits for one."""
        while b"\n" not in self.rest:
            received = self.connection.recv(65536)
            if not received:
                raise ConnectionError
            self.rest += received
        *lines, self.rest = self.rest.split(b"\n")
        numbers = [part.split(b":") for part in lines[-1].split()]
        return {int(rank): (int(place), int(tenths) / 10) for rank, place, tenths in numbers}

    def close(self) -> None:
        """Hang up."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def parsed(line: bytes, size: int) -> tuple[int, int]:
    """(rank, place) of a line of a job of `size`; ValueError where it is none."""
    greeting, told, rank, place = line[:LONGEST].split()
    if greeting != GREETING or int(told) != size or not 0 < int(rank) < size:
        raise ValueError
    return int(rank), int(place)


def written(table: Table) -> bytes:
    """A table as a line."""
    return b" ".join(b"%d:%d:%d" % (rank, place, 10 * age) for rank, (place, age) in table.items()) + b"\n"
