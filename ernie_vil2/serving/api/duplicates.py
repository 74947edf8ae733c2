"""GET /api/indexes/{index}/duplicates: pictures that are nearly the same, in groups."""

from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Query

from ...search.query.hits import COLUMNS, image_hits
from ..answers import Answer
from ..catalog.hit_records import hit_record
from ..media.duplicate_jobs import Duplicates
from ..schemas.media import LEAST_ALIKE, Ready, Running
from ..services import Given

router = APIRouter(tags=["duplicates"])
PAGE = 50
"""Groups of a page"""
SHOWN = 100
"""Pictures of a group that are shown"""
LAST = 1_000_000
"""The highest number of a page"""


@router.get("/api/indexes/{index}/duplicates", response_model=Ready, responses={202: {"model": Running}})
async def duplicates(
    index: str,
    given: Given,
    threshold: Annotated[float, Query(ge=LEAST_ALIKE, le=1)] = 0.97,
    page: Annotated[int, Query(ge=1, le=LAST)] = 1,
) -> Answer:
    """Groups of pictures whose cosine with the first one is at least the threshold, those with most pictures first.

    The search runs beside other requests: until it has ended, the answer is how far it is, with the status 202.
    """
    moment = await given.catalog.moment(index)
    found = await given.working(given.jobs.found, moment, threshold)
    if isinstance(found, float):
        return Answer({"state": "running", "done": found}, 202)
    return Answer(await given.working(page_of, found, page, given.settings.shows_paths))


def page_of(found: Duplicates, page: int, shows_paths: bool) -> dict[str, Any]:
    """A page of groups, with the first pictures of each."""
    moment, groups = found.moment, found.groups[(page - 1) * PAGE : page * PAGE]
    ids = [number for group in groups for number in group.ids[:SHOWN].tolist()]
    rows = moment.view.part("image").take(ids, list(COLUMNS))
    hits = iter(image_hits(rows, [0.0] * len(ids), moment.manifest.roots))
    records = []
    for group in groups:
        pictures = [
            hit_record(moment, hit, shows_paths, scored=False) for hit in islice(hits, min(SHOWN, len(group.ids)))
        ]
        records.append(
            {
                "pictures": pictures,
                "scores": group.scores[:SHOWN].tolist(),
                "exact": group.exact[:SHOWN].tolist(),
                "count": len(group.ids),
            }
        )
    return {
        "state": "ready",
        "threshold": found.threshold,
        "sequence": moment.manifest.sequence,
        "total": len(found.groups),
        "pictures": found.pictures,
        "bytes": found.bytes,
        "page": page,
        "groups": records,
    }
