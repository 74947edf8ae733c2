"""POST /api/indexes/{index}/uploads: a picture to search with, of which nothing is kept but its vector."""

from fastapi import APIRouter, Request

from ..answers import Answer
from ..guard.multipart import uploaded
from ..schemas.encodings import UploadAnswer
from ..services import Given

router = APIRouter(tags=["encoding"])

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"image": {"type": "string", "format": "binary"}},
                    "required": ["image"],
                }
            },
            "image/*": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
"""What the schema of the interface says of the body, which is read as it comes"""


@router.post("/api/indexes/{index}/uploads", response_model=UploadAnswer, openapi_extra=BODY)
async def upload(index: str, given: Given, request: Request) -> Answer:
    """Encode a picture with the model of an index; its token."""
    moment = await given.catalog.moment(index)
    content = await uploaded(request, most=given.settings.upload_bytes)
    vector, read = await given.encoders.image(moment, content, request.is_disconnected)
    token = given.uploads.add(vector, moment)
    return Answer({"upload": token, "width": read.width, "height": read.height, "format": read.format})
