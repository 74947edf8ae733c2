"""GET /health, /ready and /metrics: whether the server lives, whether it can answer already, what it counts."""

import asyncio

from fastapi import APIRouter, Response

from ..answers import Answer
from ..services import Given
from ..telemetry.metrics import CONTENT_TYPE

router = APIRouter(tags=["health"])


@router.get("/health")
async def health() -> Answer:
    """The server lives."""
    return Answer({"alive": True})


@router.get("/ready")
async def ready(given: Given) -> Answer:
    """Whether indexes are open and models are loaded; 503 with a reason until then."""
    if given.waiting_for:
        return Answer({"ready": False, "reason": given.waiting_for}, 503)
    return Answer({"ready": True, "reason": ""})


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(given: Given) -> Response:
    """What the server counts and times, for Prometheus."""
    return Response(await asyncio.to_thread(given.metrics.text), headers={"Content-Type": CONTENT_TYPE})
