"""Fetching one address into a part file: what has arrived stays, and is gone on from only while the file is the same.

A later request sends Range with If-Range; the bytes are joined only when the answer is 206, begins where they end, and
names the same validator and length. Anything else starts the part again.
"""

import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, HTTPResponse
from typing import IO, Any
from urllib.parse import urlsplit

from ...files.atomic import reported
from ..formats.lazy_tensors import printable
from .part_file import Part

CHUNK = 1 << 18
SLOWEST = 100  # bytes a second over one timeout; slower counts as a stall
SPARE = 64 << 20  # bytes that must stay free on the disk
PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|\?xml|head|body|error)", re.IGNORECASE)
RETRIED = {408, 425, 429, 500, 502, 503, 504}
Progress = Callable[[int, int | None], object]
"""Told the bytes so far, and the whole length where it is known"""


class Failure(Exception):
    """A reason in one line, fit for a terminal whatever the server wrote."""

    def __init__(self, reason: str):
        super().__init__(printable(" ".join(reason.split()), 250))


class Interrupted(Failure):
    """The address may give the rest when asked again; the part file stays."""


class Refused(Failure):
    """The address gives something that is not the file; asking it again is of no use."""


@dataclass(frozen=True)
class Limits:
    """How patient and how generous a download is."""

    timeout: float = 30.0  # seconds of silence
    attempts: int = 4  # per address, counted anew whenever more has arrived than ever before
    pause: float = 1.0  # seconds before the second attempt, doubled each time
    size: float = 20e9  # bytes


class SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only (file: is refused by the base class), and never from https to http."""

    def redirect_request(
        self, request: urllib.request.Request, handle: IO[bytes], code: int, message: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        target = urlsplit(newurl).scheme
        if target not in ("http", "https") or (urlsplit(request.full_url).scheme == "https" and target == "http"):
            raise Refused(f"redirects to {newurl[:100]}, which is not followed")
        return super().redirect_request(request, handle, code, message, headers, newurl)


def opener() -> urllib.request.OpenerDirector:
    """An opener that knows http and https (through the proxies of the environment), and no file:, ftp: or data:."""
    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        SafeRedirects(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        director.add_handler(handler)
    director.addheaders = [("User-Agent", "ernie-vil2")]
    return director


def validator_of(headers: Message) -> str:
    """What If-Range may carry: a strong ETag, else Last-Modified, else nothing."""
    tag = headers.get("ETag") or ""
    return tag if tag.startswith('"') else headers.get("Last-Modified") or ""


def fetch(part: Part, limits: Limits, length_matters: bool, progress: Progress | None = None) -> None:
    """Fetch until `part` is whole; attempts and pauses as `limits` says.

    With `length_matters`, an answer that does not say how long it is gets refused: nothing else would show a cut.
    Raises Refused or Interrupted with the reason as a phrase, and CheckpointError where writing fails.
    Only a part that holds something else than the file is removed.
    """
    tries, most = 0, part.size
    while True:
        try:
            return attempt(part, limits, length_matters, progress)
        except Interrupted as error:
            tries = 1 if part.size > most else tries + 1
            most = max(most, part.size)
            if tries >= limits.attempts:
                raise Interrupted(f"{error} ({tries} attempts in a row)") from None
            time.sleep(limits.pause * 2 ** (tries - 1))


def attempt(part: Part, limits: Limits, length_matters: bool, progress: Progress | None) -> None:
    """One request, and its answer written to the part."""
    known = part.known()
    have = part.size if known else 0
    if have and have == known["bytes"]:
        part.joined = True
        return
    request = urllib.request.Request(part.url, headers={"Accept-Encoding": "identity"})
    if have and known["validator"]:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", known["validator"])
    try:
        with opener().open(request, timeout=limits.timeout) as answer:
            have, total = begin(part, answer, known, have, limits, length_matters)
            receive(part, answer, have, total, limits, progress)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and have:
                check_beyond(part, error.headers, known, have)
                return
            kind = Interrupted if error.code in RETRIED else Refused
            raise kind(f"answers HTTP {error.code} {error.reason}".rstrip()) from None
    except TimeoutError:
        raise Interrupted(f"stalls for {limits.timeout:g} s") from None
    except urllib.error.URLError as error:
        stalled = isinstance(error.reason, TimeoutError)
        raise Interrupted(f"stalls for {limits.timeout:g} s" if stalled else f"gives {error.reason}") from None
    except (OSError, HTTPException) as error:
        raise Interrupted(f"breaks off ({type(error).__name__}: {error})") from None
    except ValueError as error:
        raise Refused(f"cannot be asked ({error})") from None


def begin(
    part: Part, answer: HTTPResponse, known: Mapping[str, Any], have: int, limits: Limits, length_matters: bool
) -> tuple[int, int | None]:
    """(bytes kept, whole length or None) of an answer that may be written; the part is emptied where it must be."""
    headers = answer.headers
    if headers.get_content_type() == "text/html":
        raise Refused("sends a web page (text/html) in place of the file")
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refused(f"sends the file as {headers['Content-Encoding'][:20]}, which was not asked for")
    rest = int(headers["Content-Length"]) if (headers["Content-Length"] or "").isdecimal() else None
    if answer.status == 206:
        span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", headers.get("Content-Range", "").strip())
        first, last, total = map(int, span.groups()) if span else (None, None, None)
        named = validator_of(headers)
        fits = span and have and (first, last) == (have, total - 1) and known["bytes"] in (None, total)
        if not fits or (named and named != known["validator"]) or (rest is not None and rest != total - have):
            part.restart("", None)
            raise Interrupted("gives another part than the one asked for")
    elif answer.status == 200:
        if rest is None and length_matters and (headers.get("Transfer-Encoding") or "").lower() != "chunked":
            raise Refused("does not say how long the file is, so a cut could not be noticed")
        have, total = 0, rest
    else:
        raise Refused(f"answers HTTP {answer.status}")
    if (total or 0) > limits.size:
        raise Refused(f"offers {total:,} bytes, over the limit of {limits.size:,.0f}")
    free = shutil.disk_usage(part.path.parent).free
    if not have:
        free += part.size
    coming = (total or have) - have
    if coming + SPARE > free:
        raise Refused(f"offers {coming:,} bytes where the disk has {free:,} free, of which {SPARE:,} should stay")
    part.joined = have > 0
    if not have:
        part.restart(validator_of(headers), total)
    return have, total


def receive(
    part: Part, answer: HTTPResponse, have: int, total: int | None, limits: Limits, progress: Progress | None
) -> None:
    """Append the body to the part; whatever happens, all that arrived is there afterwards."""
    with open(part.path, "ab") as handle:
        since, arrived = time.monotonic(), 0
        while total is None or have < total:
            block = answer.read1(CHUNK if total is None else min(CHUNK, total - have))
            if not block:
                break
            if not have and (PAGE.match(block) or (".pdparams" in part.path.name and block.lstrip()[:1] == b"<")):
                part.remove()
                raise Refused("sends a web page in place of the file")
            if have + len(block) > limits.size:
                part.remove()
                raise Refused(f"sends more than the limit of {limits.size:,.0f} bytes")
            with reported(part.path):
                handle.write(block)
                handle.flush()
            have, arrived = have + len(block), arrived + len(block)
            if progress:
                progress(have, total)
            now = time.monotonic()
            if now - since >= limits.timeout:
                if arrived < SLOWEST * (now - since):
                    raise Interrupted(f"stalls: {arrived:,} bytes in {now - since:.0f} s")
                since, arrived = now, 0
    if total is not None and have != total:
        raise Interrupted(f"ends at {have:,} of {total:,} bytes")


def check_beyond(part: Part, headers: Message, known: Mapping[str, Any], have: int) -> None:
    """After 416: the part is whole where the server says that the file ends just there; else it starts again."""
    span = re.fullmatch(r"bytes \*/(\d+)", headers.get("Content-Range", "").strip())
    named = validator_of(headers)
    whole = span and int(span[1]) == have and known["bytes"] in (None, have)
    if not whole or (named and named != known["validator"]):
        part.restart("", None)
        raise Interrupted("has nothing after what arrived, yet said that the file is longer")
