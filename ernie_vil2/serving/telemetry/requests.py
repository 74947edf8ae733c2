"""Every request with an id, timed, counted, and one line of the log."""

import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .log import REQUEST, Log
from .metrics import METHODS, OTHER, Metrics

HEADER = "X-Request-ID"
GIVEN = re.compile(r"[\w.-]{1,64}", re.ASCII)
"""An id of a client that a line of the log may hold beside ours"""
GONE = 499
"""The status of a request whose client went away before there was an answer; others call it so, too"""


def request_id(scope: Scope) -> str:
    """The id of a request."""
    return scope["state"]["request_id"]


def route_of(scope: Scope) -> str | None:
    """The template of the path that answers a request; None where no route does."""
    return getattr(scope.get("route"), "path", None)


class Requests:
    """Middleware around everything else: the id in X-Request-ID, metrics and log of what comes and how it ends."""

    def __init__(self, app: ASGIApp, metrics: Metrics, log: Log) -> None:
        self.app, self.metrics, self.log = app, metrics, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        own = scope.setdefault("state", {})["request_id"] = secrets.token_hex(8)
        began, status, sent = time.perf_counter(), GONE, 0
        self.metrics.began()

        async def counted_send(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = own
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, counted_send)
        finally:
            seconds, method = time.perf_counter() - began, scope["method"]
            self.metrics.answered(route_of(scope), method, status, seconds, sent)
            given = Headers(scope=scope).get(HEADER, "")
            self.log.write(
                REQUEST,
                id=own,
                **({"given_id": given} if GIVEN.fullmatch(given) else {}),
                method=method if method in METHODS else OTHER,
                route=route_of(scope),
                status=status,
                ms=round(1000 * seconds, 1),
                bytes=sent,
                client=(scope.get("client") or [None])[0],
            )
