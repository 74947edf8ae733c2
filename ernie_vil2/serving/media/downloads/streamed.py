"""An answer whose body comes piece by piece from what blocks, a file for example, and ends with whoever asked."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

Pieces = Generator[bytes, None, None]


class StreamedResponse(StreamingResponse):
    """A thread takes the next piece when the one before is sent, so that a slow client holds none.

    pieces: the body; empty ones are passed over. ended: called once afterwards, also where the client went away.
    """

    def __init__(
        self, pieces: Pieces, ended: Callable[[], object], status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(self._sent(), status, headers)
        self._pieces, self._ended, self._lock = pieces, ended, threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            try:
                asyncio.get_running_loop().run_in_executor(None, self._close)
            except RuntimeError:  # the server ends, and its threads have
                self._close()

    async def _sent(self) -> AsyncIterator[bytes]:
        while (piece := await asyncio.to_thread(self._next)) is not None:
            if piece:
                yield piece

    def _next(self):
        with self._lock:
            return next(self._pieces, None)

    def _close(self):
        """End the body; a thread that still takes a piece, for a client that is gone, is waited for."""
        with self._lock:
            self._pieces.close()
            self._ended()
