"""The process of a server: it answers until it is told to end, and ends in order."""

import asyncio
import gc
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from ..runtime import import_paddle
from .binding import address_of
from .guard.request_line import HEAD
from .guard.slow_clients import protocol
from .settings import ServerSettings

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Server(uvicorn.Server):
    """uvicorn's server, which a signal ends as its work is done: running requests are answered within the grace, and
    the process goes on to its own end. ready: called with the server once it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]):
        super().__init__(config)
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """While it serves, signals ask for the end; uvicorn would raise them again after it. Outside the main thread,
        which alone gets signals, nothing is changed."""
        here = threading.current_thread() is threading.main_thread()
        before = {one: signal.signal(one, self.handle_exit) for one in SIGNALS if here and is_heard(one)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, number: int, frame: FrameType | None) -> None:
        """The first signal asks for an orderly end, a second Ctrl-C for one at once."""
        if self.should_exit and number == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close what is open; uvicorn does not tell the application where requests are no longer waited for."""
        await super().shutdown(sockets)
        if self.force_exit:
            await self.lifespan.shutdown()


def is_heard(number: int) -> bool:
    """Whether a signal is not ignored, as nohup and jobs in the background have it."""
    return signal.getsignal(number) != signal.SIG_IGN


def serve(app: FastAPI, bound: socket.socket, ready: Callable[[str], object] = lambda address: None) -> None:
    """Serve an application until SIGTERM or Ctrl-C, which is no error: it returns when running requests are answered.

    bound: where it listens; left open. ready: called with the address once it can be asked. In the main thread alone
    signals are heard.
    """
    import_paddle()  # here, since the main thread alone can take SIGTERM back from it
    settings: ServerSettings = app.state.services.settings
    server = Server(configuration(app, settings), lambda: ready(address_of(bound)))
    gc.freeze()  # or a request of many lists has all that the libraries hold looked through, again and again
    try:
        asyncio.run(server.serve([bound]))
    finally:
        gc.unfreeze()


def configuration(app: FastAPI, settings: ServerSettings) -> uvicorn.Config:
    """How uvicorn serves an application."""
    return uvicorn.Config(
        app,
        http=protocol(settings.connections, app.state.services.metrics),
        h11_max_incomplete_event_size=HEAD,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, round(settings.grace)),
    )
