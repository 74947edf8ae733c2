"""Bodies without a picture: read as a whole before anything else, and JSON that is read alike by everybody."""

import json
import re
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..refusals import Refusal
from .answers import has_body
from .body_limit import brings_picture

JSON = re.compile(r"application/(?:[\w.-]+\+)?json\s*(?:;|$)", re.ASCII | re.IGNORECASE)
HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""Half of a pair of surrogates, as JSON escapes it: alone it is no text"""


MOST_MEMBERS = 1000
"""Of an object; each that no schema knows would be told apart from the others, in vain"""


def few_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The dictionary of an object's keys and values; ValueError where there are more than anything here has."""
    if len(pairs) > MOST_MEMBERS:
        raise ValueError(len(pairs))
    return dict(pairs)


def refuse_constant(name: str) -> None:
    """JSON knows no NaN and no infinity, though Python's reader does."""
    raise ValueError(name)


def check_json(body: bytes) -> None:
    """Raise Refusal 400 for what is no JSON in UTF-8, holds what no JSON can, or is nested beyond what can be read."""
    try:
        value = json.loads(body.decode(), parse_constant=refuse_constant, object_pairs_hook=few_members)
        if HALF.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # bytes, text, numbers of too many digits, surrogates
        raise Refusal(400, "json") from None


class PlainBodies:
    """Middleware that hands on bodies without a picture in one message, after a look at what calls itself JSON."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if not has_body(headers) or brings_picture(headers):
            await self.app(scope, receive, send)
            return
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            more = message.get("more_body", False)
        whole = bytes(body)
        if whole and JSON.match(headers.get("content-type", "")):
            check_json(whole)
        handed = False

        async def replay() -> Message:
            nonlocal handed
            if handed:
                return await receive()
            handed = True
            return {"type": "http.request", "body": whole, "more_body": False}

        await self.app(scope, replay, send)
