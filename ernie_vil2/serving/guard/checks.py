"""What is asked of every request before its body is read."""

import inspect
from collections.abc import Awaitable, Callable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

Check = Callable[[Scope], Awaitable[None] | None]
"""Raises a Refusal where a request must not go on"""


class Checks:
    """Middleware that lets pass what every check lets pass."""

    def __init__(self, app: ASGIApp, checks: Sequence[Check]) -> None:
        self.app, self.checks = app, checks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for check in self.checks:
                found = check(scope)
                if inspect.isawaitable(found):
                    await found
        await self.app(scope, receive, send)
