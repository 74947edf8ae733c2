"""POST /api/indexes/{index}/search: what is like sentences, pictures and vectors; or the newest pictures."""

from fastapi import APIRouter, Request

from ..answers import Answer
from ..queries import compared_as, query_of
from ..schemas.searches import SearchAnswer, SearchRequest
from ..searches import checked, found
from ..services import Given

router = APIRouter(tags=["search"])


@router.post("/api/indexes/{index}/search", response_model=SearchAnswer)
async def search(index: str, asked: SearchRequest, given: Given, request: Request) -> Answer:
    """A page of hits, best first; without parts the newest pictures."""
    moment = await given.catalog.moment(index)
    kinds = {compared_as(part) for part in (*asked.parts, *asked.minus)}
    checked(moment, asked, kinds, given.settings)
    query = await query_of(given, moment, asked.parts, asked.minus, request.is_disconnected)
    return Answer(await given.searching(found, moment, query, asked, given.settings.shows_paths))
