"""GET /api/indexes/{index}/pictures/{id}: what is known of a picture, a small picture of it, and its file as it is."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BeforeValidator
from starlette.datastructures import Headers
from starlette.responses import Response

from ...errors import DataError
from ...search.query.hits import COLUMNS, image_hits
from ..answers import Answer
from ..catalog.hit_records import hit_record
from ..catalog.moment import Moment
from ..media.downloads.originals import is_known, opened_original, original_response
from ..media.missing import PictureMissing
from ..media.row_pictures import RowPictures
from ..media.rows import shown_row
from ..media.thumbnail import SIZES
from ..media.thumbnails import key_of
from ..refusals import Refusal
from ..schemas.media import PictureRecord
from ..schemas.parts import LARGEST_ID
from ..services import Given

router = APIRouter(prefix="/api/indexes/{index}/pictures/{id}", tags=["pictures"])
Size = Annotated[Literal[SIZES], BeforeValidator(lambda text: int(text) if str(text).isdecimal() else text), Query()]
Id = Annotated[int, Path(ge=0, le=LARGEST_ID)]
MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "there is no such picture, or nothing to show of it"}}
JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}}, "description": "the thumbnail"},
    304: {"description": "it is as it was"},
}
FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"*/*": {}}, "description": "all bytes of the file"},
    206: {"content": {"*/*": {}}, "description": "the range of bytes that was asked for"},
    304: {"description": "it is as it was"},
    416: {"description": "no such range, or several"},
}


@router.get("", response_model=PictureRecord, responses=MISSING)
async def picture(index: str, id: Id, given: Given) -> Answer:
    """What is known of a picture, with all of its captions and tags."""
    moment = await given.catalog.moment(index)
    return Answer(await given.working(picture_record, moment, id, given.settings.shows_paths))


@router.get("/thumbnail", response_class=Response, responses=MISSING | JPEG)
async def thumbnail(index: str, id: Id, request: Request, given: Given, size: Size = SIZES[1]) -> Response:
    """A JPEG with a longest side of at most `size` pixels, upright, what is transparent over white."""
    moment = await given.catalog.moment(index)
    with told(moment, id):
        row = await asyncio.to_thread(shown_row, moment.view, id)
        headers = {"ETag": f'"{key_of(row, size)}"', "Cache-Control": "private, no-cache"}
        if is_known(request.headers.get("if-none-match"), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        key, jpeg = await given.thumbnails.jpeg(row, size)
    return Response(jpeg, media_type="image/jpeg", headers={**headers, "ETag": f'"{key}"'})


@router.get("/original", response_class=Response, responses=MISSING | FILE)
async def original(index: str, id: Id, request: Request, given: Given) -> Response:
    """The bytes of the file as they are, or a range of them."""
    moment = await given.catalog.moment(index)
    with told(moment, id):
        return await given.working(original_of, moment, id, given.pictures, request.headers, request.method != "HEAD")


router.add_api_route("/thumbnail", thumbnail, methods=["HEAD"], include_in_schema=False)
router.add_api_route("/original", original, methods=["HEAD"], include_in_schema=False)


def original_of(moment: Moment, number: int, pictures: RowPictures, asked: Headers, body: bool) -> Response:
    """The answer with the original of an id. Raises as `told` expects."""
    row = shown_row(moment.view, number)
    return original_response(opened_original(pictures, row), row, asked, body)


@contextmanager
def told(moment: Moment, number: int) -> Iterator[None]:
    """Why there is nothing to show, as a Refusal."""
    try:
        yield
    except PictureMissing as error:
        raise Refusal(404, error.state, index=moment.name, id=number) from None
    except DataError:
        raise no_picture(moment, number) from None


def no_picture(moment: Moment, number: int) -> Refusal:
    """The Refusal of an id that an index does not have."""
    return Refusal(404, "no_picture", index=moment.name, id=number)


def picture_record(moment: Moment, number: int, shows_paths: bool) -> dict[str, Any]:
    """The record of a picture with all of its texts; Refusal `no_picture` where there is none."""
    images, texts = moment.view.part("image"), moment.view.part("text")
    try:
        row = images.take([number], [*COLUMNS, "texts"])
    except DataError:
        raise no_picture(moment, number) from None
    (hit,) = image_hits(row, [0.0], moment.manifest.roots)
    own = texts.take(row["texts"][0].as_py() or []).to_pylist()
    known = [text["text"] for text in sorted(own, key=lambda text: text["kind"])]
    said = list(dict.fromkeys([*known, *filter(None, [hit.caption]), *hit.tags]))
    return {**hit_record(moment, hit, shows_paths, scored=False), "texts": said}
