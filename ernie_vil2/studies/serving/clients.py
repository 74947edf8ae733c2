"""A process of clients: each has a connection of its own, and asks the next question when the last one is answered."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from ...errors import UserError
from ..speed.turns.answers import converse
from .connection import CLOSED, Connection, Reply
from .questions import K, Place, Question, Questions

START = "from ernie_vil2.studies.serving import clients; clients.main()"
BUSY = 429
PAGES, PAGE = 5, 200
"""Of pictures whose ids are asked for, and pictures of a page"""


class Round:
    """What was seen in a round. milliseconds: {kind: of answers}; busy: refusals for a moment; wrong: {what: times}."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, list[float]] = {}
        self.busy, self.wrong = 0, Counter()

    def note(self, question: Question, reply: Reply, milliseconds: float) -> None:
        """Look at an answer."""
        if reply.status == BUSY:
            self.busy += 1
        elif fault := fault_of(question, reply):
            self.wrong[fault] += 1
        else:
            self.milliseconds.setdefault(question.kind, []).append(milliseconds)

    def content(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return {"milliseconds": self.milliseconds, "busy": self.busy, "wrong": dict(self.wrong)}


def fault_of(question: Question, reply: Reply) -> str:
    """What is wrong with an answer, "" where nothing is."""
    if reply.status != 200:
        return f"{question.kind}: status {reply.status}"
    if question.body is None:
        return "" if reply.body[:2] == b"\xff\xd8" else f"{question.kind}: no JPEG"
    hits = json.loads(reply.body)["hits"]
    ordered = all(one["score"] >= two["score"] for one, two in zip(hits, hits[1:], strict=False))
    if not ordered or not question.fewest <= len(hits) <= K:
        return f"{question.kind}: {len(hits)} hits" + ("" if ordered else ", not best first")
    return ""


async def client(connection: Connection, questions: Questions, seen: Round, begin: float, end: float) -> None:
    """Ask until the end; what is answered from the beginning on counts. Both are moments of the clock."""
    while (asked := time.perf_counter()) < end:
        question = next(questions)
        try:
            reply = await connection.ask(question.path, question.body)
        except CLOSED as error:
            seen.wrong[f"{question.kind}: {type(error).__name__}"] += 1
            await asyncio.sleep(0.1)
            continue
        now = time.perf_counter()
        if begin <= asked and now <= end:
            seen.note(question, reply, 1000 * (now - asked))
        if reply.status == BUSY:
            await asyncio.sleep(min(float(reply.headers.get("retry-after", 1)), max(0, end - now)))


async def play(job: Mapping[str, Any], place: Place, request: Mapping[str, Any]) -> dict[str, Any]:
    """A round of `clients` for `seconds`, after `warm` of them that do not count."""
    seen, begin = Round(), time.perf_counter() + request["warm"]
    connections = [Connection(job["address"]) for _ in range(request["clients"])]
    each = [
        client(
            connection,
            Questions(place, job["kinds"], request["seed"] + number),
            seen,
            begin,
            begin + request["seconds"],
        )
        for number, connection in enumerate(connections)
    ]
    await asyncio.gather(*each)
    for connection in connections:
        await connection.close()
    return seen.content()


async def look(address: str, name: str) -> Place:
    """What there is to ask about; UserError where that cannot be told."""
    connection = Connection(address)
    index = quote(name, safe="")

    async def told(path: str, asked: Mapping[str, Any] | None = None) -> Any:
        reply = await connection.ask(path, None if asked is None else json.dumps(asked).encode())
        if reply.status != 200:
            raise UserError(f"{path}: {json.loads(reply.body)['error']['message']}")
        return json.loads(reply.body)

    record = await told(f"/api/indexes/{index}")
    facets = await told(f"/api/indexes/{index}/facets")
    pages = min(PAGES, -(-record["pictures"] // PAGE))
    found = [await told(f"/api/indexes/{index}/search", {"k": PAGE, "page": page}) for page in range(1, pages + 1)]
    ids = [hit["id"] for page in found for hit in page["hits"]]
    if not ids:
        raise UserError(f"the index {name} has no pictures, so there is nothing to measure; add some")
    thumbnail = await connection.ask(f"/api/indexes/{index}/pictures/{ids[0]}/thumbnail?size=320")
    await connection.close()
    folders = [folder["value"] for folder in facets["folders"] if folder["value"]]
    return Place(index, record["width"], record["pictures"], ids, folders, thumbnail.status == 200)


def begin(job: Mapping[str, Any]) -> tuple[dict[str, Any], Callable[[Mapping[str, Any]], dict[str, Any]]]:
    """Ready; a request is a round."""
    place = asyncio.run(look(job["address"], job["index"]))
    told = {"pictures": place.pictures, "thumbnails": place.thumbnails}
    return told, lambda request: asyncio.run(play(job, place, request))


def main() -> None:
    """The process of clients."""
    converse(begin)
