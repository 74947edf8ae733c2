"""POST /api/indexes/{index}/embeddings: sentences and pictures as vectors of an index's model."""

from fastapi import APIRouter, Request

from ..answers import Answer
from ..queries import vectors_of
from ..schemas.encodings import EmbeddingsAnswer, EmbeddingsRequest
from ..services import Given

router = APIRouter(tags=["encoding"])


@router.post("/api/indexes/{index}/embeddings", response_model=EmbeddingsAnswer)
async def embeddings(index: str, asked: EmbeddingsRequest, given: Given, request: Request) -> Answer:
    """Unit vectors of parts, in their order."""
    moment = await given.catalog.moment(index)
    vectors = await vectors_of(given, moment, asked.items, request.is_disconnected)
    return Answer({"width": moment.manifest.width, "vectors": [vector.tolist() for vector in vectors]})
