"""A server that is told to end: what it has open is closed, also where running requests are not waited for."""

import asyncio
import gc
import logging
import signal
from contextlib import asynccontextmanager

import pytest
import uvicorn
from fastapi import FastAPI

from ernie_vil2.serving.app import create_app
from ernie_vil2.serving.binding import bound_socket
from ernie_vil2.serving.server import Server, serve
from ernie_vil2.serving.settings import ServerSettings


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT], [signal.SIGINT, signal.SIGINT]])
def test_what_is_open_is_closed_without_a_word(signals, caplog):
    steps = []

    @asynccontextmanager
    async def lifespan(app):
        steps.append("opened")
        yield
        steps.append("closed")

    def ready():
        steps.append("ready")
        for number in signals:
            server.handle_exit(number, None)

    config = uvicorn.Config(FastAPI(lifespan=lifespan), log_config=None, log_level="warning", lifespan="on")
    server = Server(config, ready)
    with bound_socket("127.0.0.1", 0) as bound, caplog.at_level(logging.WARNING):
        asyncio.run(server.serve([bound]))
    assert steps == ["opened", "ready", "closed"] and caplog.text == ""


def test_what_libraries_hold_is_not_looked_through_for_every_request(indexes):
    counts = []
    app = create_app(ServerSettings(folder=indexes, port=0))
    with bound_socket("127.0.0.1", 0) as bound:
        serve(app, bound, lambda address: counts.append(gc.get_freeze_count()) or signal.raise_signal(signal.SIGTERM))
    assert counts[0] > 100_000 and not gc.get_freeze_count()
