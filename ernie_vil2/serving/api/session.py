"""/api/session: whether a key is needed, and signing in and out with it."""

from fastapi import APIRouter, Request, Response

from ...search.query.ranking import DEEPEST
from ..answers import Answer
from ..schemas.sessions import SessionRecord, SignIn
from ..services import Given

router = APIRouter(prefix="/api/session", tags=["session"])


@router.get("", response_model=SessionRecord)
async def session(request: Request, given: Given) -> Answer:
    """Whether a key is needed, and was shown."""
    settings, keys = given.settings, given.keys
    limits = {"upload_bytes": settings.upload_bytes, "text": settings.text_characters, "depth": DEEPEST}
    about = {"needs_key": keys.needed, "signed_in": keys.signed_in(request.scope), "paths": settings.shows_paths}
    return Answer({**about, "limits": limits})


@router.post("", status_code=204)
async def sign_in(request: Request, given: Given, shown: SignIn) -> Response:
    """Show the key, and get a cookie for it."""
    if not given.keys.right(shown.key):
        await given.keys.wrong()
    return Response(status_code=204, headers={"Set-Cookie": given.keys.begin(request.scope)})


@router.delete("", status_code=204)
async def sign_out(request: Request, given: Given) -> Response:
    """Forget the session, and take its cookie away."""
    return Response(status_code=204, headers={"Set-Cookie": given.keys.end(request.scope)})
