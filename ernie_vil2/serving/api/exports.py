"""POST /api/indexes/{index}/exports: a selection of pictures as a zip archive, or as a list of their paths."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path
from starlette.responses import Response

from ..answers import Answer
from ..media.downloads.archive import Archive
from ..media.downloads.exports import selection_of
from ..media.downloads.file_names import disposition, safe_name
from ..media.downloads.streamed import StreamedResponse
from ..refusals import Refusal
from ..schemas.media import Download, ExportRequest, PathList
from ..schemas.parts import LONGEST_TOKEN
from ..services import Given

router = APIRouter(prefix="/api/indexes/{index}/exports", tags=["exports"])


@router.post("", response_model=Download | PathList)
async def export(index: str, asked: ExportRequest, given: Given) -> Answer:
    """Prepare the download of an archive, or tell where the pictures lie to who sits at the server."""
    if asked.form == "paths" and not given.settings.shows_paths:
        raise Refusal(403, "paths_hidden")
    moment = await given.catalog.moment(index)
    selection = await given.working(selection_of, moment.view, asked.ids, given.pictures)
    if asked.form == "paths":
        pathless = len(selection.rows) - len(selection.paths)
        return Answer({"paths": selection.paths, "missing": selection.missing + pathless})
    token = given.exports.issue(moment.name, selection)
    count, missing, size = len(selection.rows), selection.missing, selection.bytes
    address = f"/api/indexes/{quote(index, safe='')}/exports/{token}"
    return Answer({"download": address, "count": count, "missing": missing, "bytes": size})


@router.get(
    "/{token}",
    response_class=Response,
    responses={200: {"content": {"application/zip": {}}}, 404: {"description": "it has expired"}},
)
async def download(index: str, token: Annotated[str, Path(max_length=LONGEST_TOKEN)], given: Given) -> Response:
    """The archive. What has gone meanwhile is named in a file missing.txt in it."""
    selection = given.exports.begin(index, token)
    headers = {
        "Content-Type": "application/zip",
        "Content-Disposition": disposition("attachment", safe_name(f"{index}.zip")),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    archive = Archive(given.pictures, selection.rows)
    return StreamedResponse(archive.pieces(), given.exports.end, headers=headers)
