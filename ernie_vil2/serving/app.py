"""The application: its handlers, what every request passes through, and what is opened first and closed last."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from ..versions import __version__
from .answers import Answer
from .api import (
    duplicates,
    embeddings,
    exports,
    health,
    indexes,
    labels,
    page,
    pictures,
    search,
    session,
    similarity,
    uploads,
)
from .faults import add_faults
from .guard.stack import stack
from .schemas.errors import FAULTS
from .services import Services
from .settings import ServerSettings

ROUTERS = (
    duplicates.router,
    embeddings.router,
    exports.router,
    health.router,
    indexes.router,
    labels.router,
    page.router,
    pictures.router,
    search.router,
    session.router,
    similarity.router,
    uploads.router,
)


def create_app(settings: ServerSettings) -> FastAPI:
    """The application of a server. ConfigError where there is no index to serve.

    Indexes are opened when it is started, and until then refused with what is waited for.
    """
    given = Services(settings)
    app = FastAPI(
        title="ERNIE-ViL 2.0",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        default_response_class=Answer,
        responses=FAULTS,
        middleware=stack(given.guarding),
    )
    app.state.services = given
    add_faults(app)
    for router in ROUTERS:
        app.include_router(router)
    return app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open what is served beside answering, so that /health and /ready say how far it is; close it at the end."""
    given: Services = app.state.services
    opening = asyncio.create_task(asyncio.to_thread(given.start))
    try:
        yield
    finally:
        await asyncio.to_thread(given.stop)
        await asyncio.wait([opening])
