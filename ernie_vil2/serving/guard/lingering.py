"""A connection that closes while its client still sends: the answer gets through first.

A socket that is closed with unread bytes resets the connection, and the client loses the sentence that says why. So the
sending side ends, what still comes is dropped, and a moment later, or when the client ends, the connection does.
"""

import asyncio
from collections.abc import Callable
from typing import Any


class LingeringTransport:
    """A transport whose `close` waits for a client that still sends. unread: whether it does."""

    def __init__(self, transport: asyncio.Transport, unread: Callable[[], bool], seconds: float) -> None:
        self._transport, self._unread, self._seconds = transport, unread, seconds
        self.lingers = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing more is to be sent."""
        return self.lingers or self._transport.is_closing()

    def close(self) -> None:
        """Send what is left, then end: at once where the client sends nothing more."""
        if self.is_closing():
            return
        if not self._unread() or not self._transport.can_write_eof():
            self._transport.close()
            return
        self.lingers = True
        self._transport.write_eof()
        self._transport.resume_reading()
        asyncio.get_running_loop().call_later(self._seconds, self._transport.abort)
