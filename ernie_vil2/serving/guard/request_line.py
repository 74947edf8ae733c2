"""How a request begins: a method that the web knows, a plain path of this server, and headers within bounds."""

from starlette.types import Scope

from ..refusals import Refusal

HEAD = 1 << 15
"""Bytes of headers; what reads them off the wire has the bound too, but not for what comes in one piece"""
MOST_HEADERS = 100
VERSIONS = "1.0", "1.1"
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"))
"""What the routes may be asked; which of them a route answers it says itself"""


def check_request_line(scope: Scope) -> None:
    """Raise Refusal 501 for an unknown method, 431 for too many headers, and 400 for another HTTP and for a target that
    is a whole address, climbs out of a folder, or holds what no path of this server has."""
    if scope["http_version"] not in VERSIONS:
        raise Refusal(400, "no_http")
    if scope["method"] not in METHODS:
        raise Refusal(501, "method", method=scope["method"][:20], allowed="GET, POST, DELETE")
    headers = scope["headers"]
    if len(headers) > MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > HEAD:
        raise Refusal(431, "headers")
    if not plain_path(scope["path"]):
        raise Refusal(400, "wrong_target")


def plain_path(path: str) -> bool:
    """Whether a decoded path begins at the root and has no way up, no backslash and nothing that cannot be seen.

    U+FFFD stands for bytes that were no UTF-8.
    """
    if not path.startswith("/") or path.startswith("//"):
        return False
    if not path.isprintable() or "\\" in path or "\N{REPLACEMENT CHARACTER}" in path:
        return False
    return not {".", ".."} & set(path.split("/"))
