"""POST /api/indexes/{index}/labels: which of some labels a picture shows, without training."""

from collections import Counter

import numpy as np
from fastapi import APIRouter, Request

from ..answers import Answer
from ..queries import vectors_of
from ..refusals import Refusal
from ..schemas.encodings import MARK, LabelsAnswer, LabelsRequest
from ..schemas.parts import TextPart
from ..services import Given

router = APIRouter(tags=["encoding"])


@router.post("/api/indexes/{index}/labels", response_model=LabelsAnswer)
async def labels(index: str, asked: LabelsRequest, given: Given, request: Request) -> Answer:
    """Labels of a picture, best first: cosines, and their softmax at the scale that the model was trained with."""
    if MARK not in asked.template:
        raise Refusal(400, "template", mark=MARK)
    label, count = Counter(asked.labels).most_common(1)[0]
    if count > 1:
        raise Refusal(400, "label_twice", label=label)
    moment = await given.catalog.moment(index)
    sentences = [TextPart(text=asked.template.replace(MARK, label)) for label in asked.labels]
    image, *texts = await vectors_of(given, moment, [asked.image, *sentences], request.is_disconnected)
    scores = np.stack(texts).astype(np.float64) @ image
    shares = softmax((await given.encoders.model(moment)).logit_scale * scores)
    best = np.argsort(-scores, kind="stable")
    found = [
        {"label": asked.labels[place], "score": float(scores[place]), "probability": float(shares[place])}
        for place in best
    ]
    return Answer({"labels": found})


def softmax(logits: np.ndarray) -> np.ndarray:
    """float64 [n] that adds up to 1."""
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()
