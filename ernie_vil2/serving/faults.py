"""Every error as one JSON object with one sentence, in the language of who asks."""

import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from ..errors import UserError
from .answers import Answer
from .refusals import Refusal, language_of
from .request_faults import fault_of

LOG = logging.getLogger("ernie_vil2")
UNTOLD = "it could not be answered; the server's log says why", "原因见服务器日志"


def add_faults(app: FastAPI) -> None:
    """Have an application answer errors of every kind."""
    app.add_exception_handler(Refusal, refusal_answer)
    app.add_exception_handler(RequestValidationError, invalid_answer)
    app.add_exception_handler(HTTPException, http_answer)
    app.add_exception_handler(UserError, other_answer)


async def refusal_answer(request: Request, refusal: Refusal) -> Answer:
    """The answer of a refusal."""
    return counted_answer(request, refusal)


async def invalid_answer(request: Request, error: RequestValidationError) -> Answer:
    """The answer of a request that its schema does not let through."""
    return await refusal_answer(request, fault_of(error))


async def other_answer(request: Request, error: UserError) -> Answer:
    """The answer of a UserError that no handler expected. It may name places, which are not for other machines."""
    settings = request.app.state.services.settings
    if settings.shows_paths:
        return await refusal_answer(request, Refusal(400, "other", detail=str(error)))
    LOG.warning("%s", error)
    english, chinese = UNTOLD
    return await refusal_answer(request, Refusal(400, "other", detail=english, detail_zh=chinese))


def counted_answer(request: Request, refusal: Refusal, headers: Mapping[str, str] | None = None) -> Answer:
    """The answer of a refusal to a request, which the metrics count."""
    request.app.state.services.metrics.refused(refusal.code)
    return answer_of(refusal, request.headers.get("accept-language", ""), headers)


def answer_of(refusal: Refusal, accepted: str, headers: Mapping[str, str] | None = None) -> Answer:
    """The answer of a refusal. accepted: the header Accept-Language; headers: what the answer has besides."""
    language = language_of(accepted)
    found = {"content-language": language, **(headers or {})}
    if refusal.retry_after is not None:
        found["retry-after"] = str(refusal.retry_after)
    return Answer(refusal.record(language), refusal.status, found)


async def http_answer(request: Request, error: HTTPException) -> Answer:
    """The answer of what the router refuses: an address, or a method, that there is not."""
    if error.status_code == 405:
        allowed = Headers(error.headers).get("allow", "")
        refusal = Refusal(405, "method", method=request.method, allowed=allowed)
    elif error.status_code == 404:
        refusal = Refusal(404, "no_page")
    else:
        refusal = Refusal(error.status_code, "body")
    return counted_answer(request, refusal, error.headers)
