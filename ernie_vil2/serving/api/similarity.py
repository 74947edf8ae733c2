"""POST /api/indexes/{index}/similarity: how alike two sentences or pictures are."""

import numpy as np
from fastapi import APIRouter, Request

from ..answers import Answer
from ..queries import vectors_of
from ..schemas.encodings import SimilarityAnswer, SimilarityRequest
from ..services import Given

router = APIRouter(tags=["encoding"])


@router.post("/api/indexes/{index}/similarity", response_model=SimilarityAnswer)
async def similarity(index: str, asked: SimilarityRequest, given: Given, request: Request) -> Answer:
    """The cosine of two parts, by the model of an index."""
    moment = await given.catalog.moment(index)
    a, b = await vectors_of(given, moment, [asked.a, asked.b], request.is_disconnected)
    return Answer({"score": float(np.dot(a.astype(np.float64), b))})
