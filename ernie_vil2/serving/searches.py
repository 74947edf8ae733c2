"""A search of one moment of an index, in a thread: hits and how they compare with rows that nobody chose."""

import time
from typing import Any

from ..errors import DataError
from ..search.index import DEEPEST, depth_of
from ..search.query.combination import Query
from ..search.query.filter_terms import terms_of
from ..search.query.hits import COLUMNS, Hit, image_hits
from ..search.query.score_limit import lowest_score
from ..search.query.view import KINDS
from .catalog.hit_records import hit_record, text_record
from .catalog.moment import Moment
from .filters import known_sources, read_filter
from .queries import known_vector
from .refusals import Refusal, refused
from .schemas.searches import SearchRequest
from .settings import ServerSettings

CHINESE = {"texts": "文本", "captions": "描述", "tags": "标签"}
"""What is looked for, beside pictures"""


def checked(moment: Moment, asked: SearchRequest, kinds: set[str], settings: ServerSettings) -> None:
    """Refusal for a page, a filter or a threshold that cannot be, before anything is encoded."""
    if asked.k > settings.page_hits or asked.k * asked.page > DEEPEST:
        raise Refusal(400, "k_too_large", k=asked.k, page=asked.page, most=DEEPEST)
    read_filter(asked.filter, settings.shows_paths)
    with refused("threshold", given=asked.threshold):
        lowest_score(asked.threshold, moment.manifest.thresholds, kinds, KINDS[asked.of].side)


def found(moment: Moment, query: Query, asked: SearchRequest, shows_paths: bool) -> dict[str, Any]:
    """The answer of a search; without an item in the query the newest pictures."""
    began = time.perf_counter()
    answer = answered(moment, query, asked, shows_paths) if query.items else browsed(moment, asked, shows_paths)
    about = {"k": asked.k, "page": asked.page, "sequence": moment.manifest.sequence}
    return {**answer, **about, "ms": round(1000 * (time.perf_counter() - began), 3)}


def answered(moment: Moment, query: Query, asked: SearchRequest, shows_paths: bool) -> dict[str, Any]:
    """The hits of a query, and how they compare with rows that nobody chose."""
    try:
        vector = query.vector(known_vector)
    except DataError:
        raise Refusal(400, "parts_cancel") from None
    with known_sources(shows_paths):
        hits = moment.index.ask(
            query, asked.k, asked.page, asked.filter, asked.threshold, asked.of, encode=known_vector
        )
    records = [hit_record(moment, hit, shows_paths) if isinstance(hit, Hit) else text_record(hit) for hit in hits]
    background = moment.background.quantiles(KINDS[asked.of].side, vector)
    return {"hits": records, "total": hits.total, "background": background}


def browsed(moment: Moment, asked: SearchRequest, shows_paths: bool) -> dict[str, Any]:
    """The newest pictures that a filter lets through."""
    if asked.of != "images":
        raise Refusal(400, "nothing_asked", of=asked.of, of_zh=CHINESE[asked.of])
    with known_sources(shows_paths):
        ids, total = moment.newest(terms_of(asked.filter))
    depth = depth_of(asked.k, asked.page)
    page = ids[depth - asked.k : depth]
    rows = moment.view.part("image").take(page, list(COLUMNS))
    hits = image_hits(rows, [0.0] * len(page), moment.manifest.roots)
    return {
        "hits": [hit_record(moment, hit, shows_paths, scored=False) for hit in hits],
        "total": total,
        "background": None,
    }
