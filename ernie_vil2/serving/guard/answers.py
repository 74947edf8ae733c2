"""What a request is answered for which something was raised: a refusal in one sentence, or that the server failed."""

import traceback

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..faults import answer_of
from ..refusals import Refusal
from ..telemetry.log import Log
from ..telemetry.metrics import Metrics
from ..telemetry.requests import request_id


def has_body(headers: Headers) -> bool:
    """Whether a request says that a body follows."""
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


class Answers:
    """Middleware that answers what is raised below it, and closes connections of which a body is left unread.

    Refusals are counted by their code. Of any other exception the client learns nothing, and the log all.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, log: Log) -> None:
        self.app, self.metrics, self.log = app, metrics, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        unread, begun = has_body(headers), False

        async def noted_receive() -> Message:
            nonlocal unread
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body"):
                unread = False
            return message

        async def closing_send(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                if unread:
                    MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        try:
            await self.app(scope, noted_receive, closing_send)
        except ClientDisconnect:
            return
        except Exception as error:
            refusal = error if isinstance(error, Refusal) else Refusal(500, "failed", request=request_id(scope))
            self.metrics.refused(refusal.code)
            if refusal is not error:
                self.log.write("failed", id=request_id(scope), traceback=traceback.format_exc())
            if begun:
                return  # what was promised cannot be sent any more: uvicorn ends the connection, and the client sees it
            response = answer_of(refusal, headers.get("accept-language", ""))
            await response(scope, noted_receive, closing_send)
