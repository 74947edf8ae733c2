"""Where a request comes from: the server's own page, or a program. A page of another site must not ask for anything."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from ..refusals import Refusal
from .hosts import bare, split

PORTS = {"http": 80, "https": 443}
NEAR = ("same-origin", "none")
"""What browsers call requests of a page of this server, and of a person who typed the address"""


def check_origin(scope: Scope) -> None:
    """Raise Refusal 403 for what a page of another site sends, but for a link that opens the page itself."""
    headers = Headers(scope=scope)
    sites = headers.getlist("sec-fetch-site")
    if any(site not in NEAR for site in sites) and not opens_page(scope, headers):
        raise Refusal(403, "other_site")
    host = headers.get("host", "")
    if not all(same_origin(origin, host) for origin in headers.getlist("origin")):
        raise Refusal(403, "other_site")


def opens_page(scope: Scope, headers: Headers) -> bool:
    """Whether a request is of a browser that goes to the page, in a window of its own."""
    kind = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
    return scope["path"] == "/" and scope["method"] == "GET" and kind == ("navigate", "document")


def same_origin(origin: str, host: str) -> bool:
    """Whether a header Origin is of the server that the header Host names. The scheme may differ: what ends TLS in
    front of a server leaves it as it was for the browser."""
    asked = split(host)
    try:
        parts = urlsplit(origin)
        name, port = parts.hostname, parts.port
    except ValueError:
        return False
    if asked is None or name is None or parts.scheme not in PORTS or parts.username is not None:
        return False
    usual = PORTS[parts.scheme]
    return bare(name) == asked[0] and (port or usual) == (asked[1] or usual)
