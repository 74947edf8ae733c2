"""HTTP as uvicorn speaks it, to clients that are slow, too many, or no clients of HTTP at all.

Uvicorn waits for ever for the rest of a header or a body and for whoever does not read its answer, and each of them
holds a connection.
"""

import asyncio
import sys
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..faults import answer_of
from ..refusals import Refusal
from ..telemetry.metrics import Metrics
from .connections import ConnectionLimits, Connections, Debt
from .headers import HEADERS
from .lingering import LingeringTransport

WAIT = 5
"""Seconds after which a connection may be had again"""


def spoken(refusal: Refusal) -> bytes:
    """The whole answer to what never became a request, so that there is no header to tell its language."""
    response = answer_of(refusal, "")
    named = [*response.raw_headers, *((name.encode(), text.encode()) for name, text in HEADERS.items())]
    lines = [f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}".encode(), b"Connection: close"]
    lines += [name + b": " + text for name, text in named]
    return b"\r\n".join((*lines, b"", bytes(response.body)))


class WatchedProtocol(H11Protocol):
    """One connection, looked at each period of its limits. `protocol` gives it those."""

    counts: Connections
    metrics: Metrics

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._limits, self._refused = self.counts.limits, False
        lingering = LingeringTransport(transport, self._unread, self._limits.linger)
        super().connection_made(lingering)
        self._address = self.client[0] if self.client else ""
        self._body, self._reading = Debt(self._limits), Debt(self._limits)
        self._received = self._left = self._drained = 0
        self._head_since: float | None = self.loop.time()
        self._look_again()
        if not self.counts.enter(self._address):
            self._refuse(Refusal(503, "connections", retry_after=WAIT, seconds=WAIT))

    def connection_lost(self, exc: Exception | None) -> None:
        self._looking.cancel()
        self.counts.leave(self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self._received += len(data)
            super().data_received(data)

    def resume_writing(self) -> None:
        self._drained += HIGH_WATER_LIMIT // 2
        super().resume_writing()

    def shutdown(self) -> None:
        if self.transport.lingers:
            self.transport.abort()
        elif not self.transport.is_closing():
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP: h11 says whether it is wrong, or only too much."""
        status = getattr(sys.exc_info()[1], "error_status_hint", 400)
        self._refuse(Refusal(431, "headers") if status == 431 else Refusal(400, "no_http"))

    def _should_upgrade(self) -> bool:
        return False

    def _unread(self) -> bool:
        return self._refused or self.conn.their_state is h11.SEND_BODY

    def _look_again(self) -> None:
        self._looking = self.loop.call_later(self._limits.period, self._look)

    def _look(self) -> None:
        self._look_again()
        if self._not_reading():
            self.transport.abort()
        elif not self.transport.is_closing() and (self._slow_head() or self._slow_body()):
            self._refuse(Refusal(408, "slow"))

    def _not_reading(self) -> bool:
        left = self.transport.get_write_buffer_size()
        moved = max(self._drained, self._left - left)
        self._left, self._drained = left, 0
        if not left:
            self._reading.clear()
        return bool(left) and self._reading.hopeless(moved)

    def _slow_head(self) -> bool:
        begun = self.cycle is None or self.conn.trailing_data[0]
        if self.conn.their_state is not h11.IDLE or not begun:
            self._head_since = None
            return False
        self._head_since = self._head_since or self.loop.time()
        return self.loop.time() - self._head_since > self._limits.head

    def _slow_body(self) -> bool:
        moved, self._received = self._received, 0
        if self.conn.their_state is not h11.SEND_BODY or self.flow.read_paused:
            self._body.clear()
            return False
        return self._body.hopeless(moved)

    def _refuse(self, refusal: Refusal) -> None:
        """Say why, and end; without a word where an answer was begun."""
        self._refused = True
        self.metrics.refused(refusal.code)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.abort()
                return
        self.transport.write(spoken(refusal))
        self.transport.close()


def protocol(limits: ConnectionLimits, metrics: Metrics) -> type[H11Protocol]:
    """The class of connections for `uvicorn.Config(http=...)`, which share limits, counts and metrics."""
    shared: dict[str, Any] = {"counts": Connections(limits), "metrics": metrics}
    metrics.connections(lambda: len(shared["counts"]))
    return type("LimitedProtocol", (WatchedProtocol,), shared)
