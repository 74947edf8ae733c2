"""How much of a body is read: no more than its kind may have, and than the memory set aside for all of the kind."""

from collections import Counter
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...data.images.limits import DEFAULT_LIMITS
from ..refusals import Refusal
from ..telemetry.metrics import Metrics

ENVELOPE = 2**20
"""Bytes of a multipart body beside the picture in it"""
WAIT = 1
"""Seconds after which a body may find memory again"""


@dataclass(frozen=True)
class BodyLimits:
    """Bytes: of a body with a picture, of any other, and of all of one of these kinds that are read or worked on at the
    same time. Kinds have memory of their own, so that uploads keep nobody from searching."""

    picture: int = DEFAULT_LIMITS.max_bytes + ENVELOPE
    plain: int = 2**20
    together: int = 4 * (DEFAULT_LIMITS.max_bytes + ENVELOPE)


def brings_picture(headers: Headers) -> bool:
    """Whether a request's body is a form with a file, or a picture itself."""
    return headers.get("content-type", "").lower().startswith(("multipart/form-data", "image/"))


class BodyLimit:
    """Middleware that refuses bodies over BodyLimits: by what they say of themselves, and while they are read."""

    def __init__(self, app: ASGIApp, limits: BodyLimits, metrics: Metrics) -> None:
        self.app, self.limits = app, limits
        self.held: Counter[bool] = Counter()
        metrics.body_bytes(self.held.total)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Refusal(415, "encoded_body")
        kind = brings_picture(headers)
        most = self.limits.picture if kind else self.limits.plain
        declared, read = int(headers.get("content-length", "0")), 0  # h11 lets digits pass alone, and 20 at most
        if declared > most:
            raise Refusal(413, "body_too_large", most=most)
        if self.held[kind] + declared > self.limits.together:
            raise Refusal(429, "busy", retry_after=WAIT, seconds=WAIT)

        async def limited_receive() -> Message:
            nonlocal read
            message = await receive()
            count = len(message.get("body", b""))
            read += count
            self.held[kind] += count
            if read > most:
                raise Refusal(413, "body_too_large", most=most)
            if count and self.held[kind] > self.limits.together:
                raise Refusal(429, "busy", retry_after=WAIT, seconds=WAIT)
            return message

        try:
            await self.app(scope, limited_receive, send)
        finally:
            self.held[kind] -= read
