"""GET /api/indexes: which indexes there are, and what their pictures can be narrowed by."""

import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter, Header

from ..answers import Answer
from ..catalog.records import index_record
from ..refusals import language_of
from ..schemas.indexes import FacetsRecord, IndexList, IndexRecord
from ..services import Given, Services

Accepted = Annotated[str, Header(include_in_schema=False)]
"""The header Accept-Language"""
router = APIRouter(prefix="/api/indexes", tags=["indexes"])


@router.get("", response_model=IndexList)
async def indexes(given: Given, accept_language: Accepted = "") -> Answer:
    """All indexes of the server, by name."""
    given.catalog.wake()
    return Answer({"indexes": await given.working(records, given, language_of(accept_language))})


@router.get("/{index}", response_model=IndexRecord)
async def index(index: str, given: Given, accept_language: Accepted = "") -> Answer:
    """One index."""
    served = given.catalog.get(index)
    given.catalog.wake()
    return Answer(await given.working(index_record, served, given.settings, language_of(accept_language)))


@router.get("/{index}/facets", response_model=FacetsRecord)
async def facets(index: str, given: Given) -> Answer:
    """What the pictures of an index can be narrowed by, with how many have each value."""
    moment = await given.catalog.moment(index)
    return Answer(dataclasses.asdict(await given.searching(lambda: moment.facets)))


def records(given: Services, language: str) -> list[dict[str, Any]]:
    """The records of all indexes."""
    return [index_record(served, given.settings, language) for served in given.catalog]
