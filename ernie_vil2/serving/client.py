"""A client of the server that needs nothing but Python: searches, uploads, vectors, labels, pictures.

>>> client = Client(address)
>>> [index["name"] for index in client.indexes()]
['again', 'other', 'photos', 'vectors']
>>> found = client.search("photos", "一只猫", minus="a dog", k=3, filter="tag:猫")
>>> [sorted(hit)[:3] for hit in found["hits"]]
[['caption', 'date', 'folder'], ['caption', 'date', 'folder'], ['caption', 'date', 'folder']]
>>> client.labels("photos", {"id": 3}, ["cat", "dog"], template="a {}")[0]["label"] in ("cat", "dog")
True
>>> client.search("photos", " ")
Traceback (most recent call last):
    ...
ernie_vil2.serving.client.ServerError: the text is empty; write what to look for
"""

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..data.images.inputs import content_of
from ..data.images.limits import DEFAULT_LIMITS
from ..errors import ConfigError, UserError
from ..files.atomic import atomic_file, reported
from ..files.json_files import parse_json

Part = str | Mapping[str, Any]
"""A sentence; or {"text", "id", "upload" or "vector": ..., "weight": ...}"""
TRIES, LONGEST_WAIT = 5, 30.0
"""Times that a request is sent to a server that is busy; seconds that is waited between two at most"""
MOMENTARY = (429, 503)
"""States of a server that pass, where it says when to come again"""
LONGEST_ERROR, LONGEST_ANSWER, PIECE = 1 << 20, 1 << 28, 1 << 16
"""Bytes of a refusal that are read, of an answer that is held in memory at most, and that are read at once"""
TROUBLES = (OSError, http.client.HTTPException)
"""What a connection ends with that should not"""


class ServerError(UserError):
    """What the server refused, in its sentence. status: of HTTP; code, values: for programs."""

    def __init__(self, message: str, status: int, code: str = "", values: Mapping[str, Any] | None = None):
        super().__init__(message)
        self.status, self.code, self.values = status, code, dict(values or {})


class Client:
    """A server at an address such as http://127.0.0.1:8765; threads may share it.

    key: what the server asks for, if it does. timeout: seconds for each answer to begin, and between two pieces of it.
    language: of the sentences of errors, en or zh. A busy server is asked again when it says so, TRIES times at most.
    No proxy and no other address is asked. Raises ServerError for what the server refuses and where none answers, and
    ConfigError for an address that is none.
    """

    def __init__(self, address: str, key: str | None = None, timeout: float = 30.0, language: str = "en"):
        if not address.startswith(("http://", "https://")):
            raise ConfigError(f"the address is {address!r}; write it as http://HOST:PORT")
        for name, given in {"address": address, "key": key or ""}.items():
            if not (given.isascii() and given.isprintable()) or " " in given:
                raise ConfigError(f"the {name} has blanks or signs that none can have; correct it")
        self.address, self.timeout = address.rstrip("/"), timeout
        self._headers = {"Accept-Language": language, **({"Authorization": f"Bearer {key}"} if key else {})}

    def indexes(self) -> list[dict[str, Any]]:
        """The indexes of the server."""
        return self._json("/api/indexes", None, "indexes")

    def search(
        self,
        index: str,
        *parts: Part,
        minus: Part | Sequence[Part] = (),
        k: int = 40,
        page: int = 1,
        filter: str = "",
        threshold: float | str | None = None,
        of: str = "images",
    ) -> dict[str, Any]:
        """{hits, k, page, total, ...}: a page of hits, best first; without a part the newest pictures."""
        given = [minus] if isinstance(minus, (str, Mapping)) else minus
        asked = {"parts": [part_of(part) for part in parts], "minus": [part_of(part) for part in given]}
        about = {"k": k, "page": page, "filter": filter, "threshold": threshold, "of": of}
        return self._json(self._place(index, "search"), {**asked, **about})

    def upload(self, index: str, image: str | os.PathLike | bytes) -> str:
        """The token of a picture, a path or the bytes of a file, for {"upload": token} in parts. ImageError for a file
        that cannot be read."""
        content, _ = content_of(image, DEFAULT_LIMITS)
        return self._json(self._place(index, "uploads"), content, "upload")

    def embeddings(self, index: str, items: Sequence[Part]) -> list[list[float]]:
        """Vectors of length 1 of sentences and pictures."""
        return self._json(self._place(index, "embeddings"), {"items": [part_of(item) for item in items]}, "vectors")

    def similarity(self, index: str, a: Part, b: Part) -> float:
        """The cosine of two sentences or pictures."""
        return self._json(self._place(index, "similarity"), {"a": part_of(a), "b": part_of(b)}, "score")

    def labels(self, index: str, image: Part, labels: Sequence[str], template: str = "{}") -> list[dict[str, Any]]:
        """[{label, score, probability}], best first. template: a sentence with {} for the label."""
        asked = {"image": part_of(image), "labels": list(labels), "template": template}
        return self._json(self._place(index, "labels"), asked, "labels")

    def picture(self, index: str, number: int) -> dict[str, Any]:
        """What is known of the picture of an id, with all its texts."""
        return self._json(self._place(index, "pictures", number))

    def thumbnail(self, index: str, number: int, size: int = 320) -> bytes:
        """A JPEG of a picture. size: of its longer side, one of 160, 320 and 640."""
        path = f"{self._place(index, 'pictures', number, 'thumbnail')}?size={int(size)}"
        return self._held(path)

    def original(self, index: str, number: int, place: str | os.PathLike) -> None:
        """Write the file of a picture to a path, as it is, piece by piece."""
        pieces = self._pieces(self._place(index, "pictures", number, "original"))
        with reported(place), atomic_file(place) as file:
            for piece in pieces:
                file.write(piece)

    def _place(self, index, *names):
        return "/".join(["/api/indexes", quote(index, safe=""), *map(str, names)])

    def _json(self, path, content=None, name=""):
        """An object that is answered, or what it has under a name."""
        answer = self._held(path, content)
        try:
            found = parse_json(str(answer, "utf-8"))
        except ValueError:
            raise self._strange("what it answers is no JSON") from None
        if not isinstance(found, dict) or name and name not in found:
            raise self._strange("what it answers is not what was asked for")
        return found[name] if name else found

    def _held(self, path, content=None):
        held = bytearray()
        for piece in self._pieces(path, content):
            held += piece
            if len(held) > LONGEST_ANSWER:
                raise self._strange("its answer does not end")
        return bytes(held)

    def _pieces(self, path, content=None):
        """Yield what is answered, as it comes; a ServerError where it ends too early."""
        with self._opened(path, content) as reply:
            told = reply.headers.get("Content-Length", "")
            left = int(told) if is_number(told) else -1
            try:
                while piece := reply.read(PIECE):
                    left -= len(piece)
                    yield piece
            except TROUBLES as error:
                raise self._strange(f"the connection broke ({error or type(error).__name__})") from None
        if left > 0:
            raise self._strange("the answer ends too early")

    def _opened(self, path, content):
        for tries_left in reversed(range(TRIES)):
            try:
                return OPENER.open(self._request(path, content), timeout=self.timeout)
            except urllib.error.HTTPError as error:
                with error:
                    refusal, wait = self._refusal(error)
                if not tries_left or wait is None:
                    raise refusal from None
                time.sleep(min(wait, LONGEST_WAIT))
            except TROUBLES as error:
                reason = getattr(error, "reason", None) or error or type(error).__name__
                raise self._strange(f"it does not answer ({reason})") from None

    def _request(self, path, content):
        if content is None or isinstance(content, bytes):
            kind = {} if content is None else {"Content-Type": "image/unknown"}
            return urllib.request.Request(self.address + path, content, {**self._headers, **kind})
        headers = {**self._headers, "Content-Type": "application/json"}
        return urllib.request.Request(self.address + path, json.dumps(content).encode(), headers)

    def _refusal(self, error):
        """(what the server says, the seconds after which it may be asked again or None)."""
        try:
            told = parse_json(str(error.read(LONGEST_ERROR), "utf-8"))["error"]
            refusal = ServerError(told["message"], error.code, told["code"], told["values"])
        except (*TROUBLES, ValueError, LookupError, TypeError):
            refusal = self._strange(f"it answers with status {error.code}", error.code)
        after = error.headers.get("Retry-After", "")
        return refusal, float(after) if error.code in MOMENTARY and is_number(after) else None

    def _strange(self, what, status=0):
        return ServerError(f"{self.address}: {what}; see whether the server runs there and its log", status)


def part_of(part: Part) -> dict[str, Any]:
    """A part as the server takes it."""
    return {"text": part} if isinstance(part, str) else dict(part)


def is_number(header: str) -> bool:
    """Whether a header is a whole number, of no more digits than make sense."""
    return header.isascii() and header.isdecimal() and len(header) < 20


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A server of indexes sends nobody elsewhere, and the key is for it alone."""

    def redirect_request(self, *given: Any) -> None:
        """Go nowhere."""


OPENER = urllib.request.build_opener(NoRedirects, urllib.request.ProxyHandler({}))
