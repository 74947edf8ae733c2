"""The page and its files, as they lie in the library: read once, and nothing else is ever opened for a request."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..refusals import Refusal

FOLDER = Path(__file__).parent.parent / "page"
FRONT = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}

router = APIRouter()


@dataclass(frozen=True)
class PageFile:
    """A file of the page. tag: changes with its bytes."""

    body: bytes
    media_type: str
    tag: str


@cache
def page_files() -> dict[str, PageFile]:
    """{path below the folder of the page, with slashes: file} of all that the browser may ask for."""
    files = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in MEDIA_TYPES and path.is_file():
            body = path.read_bytes()
            tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
            files[path.relative_to(FOLDER).as_posix()] = PageFile(body, MEDIA_TYPES[path.suffix], tag)
    return files


def sent(name: str, request: Request) -> Response:
    """A file of the page, or 304 where the browser has it; asked again each time, since a new release changes it."""
    file = page_files().get(name)
    if file is None:
        raise Refusal(404, "no_page")
    headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)


@router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
async def front(request: Request) -> Response:
    """The page."""
    return sent(FRONT, request)


@router.api_route("/static/{name:path}", methods=["GET", "HEAD"], include_in_schema=False)
async def static(name: str, request: Request) -> Response:
    """What the page loads."""
    return sent(name, request)
