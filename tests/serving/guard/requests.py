"""Requests as ASGI has them, without a server: what a check says of one, and what a stack of middleware answers."""

import asyncio
import json

from ernie_vil2.serving.refusals import Refusal


def scope_of(method="GET", path="/", *, server=("127.0.0.1", 8765), scheme="http", **headers):
    """A scope; headers by their names with _ for -, a list for one that comes several times."""
    pairs = []
    for name, values in {"host": "127.0.0.1:8765", **headers}.items():
        for value in values if isinstance(values, list) else [values]:
            pairs.append((name.replace("_", "-").encode(), value.encode("latin-1")))
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": pairs,
        "scheme": scheme,
        "server": server,
        "client": ("127.0.0.1", 4711),
    }


def code_of(check, scope):
    """The code with which a check refuses a request, None where it lets it pass."""
    try:
        found = check(scope)
        if asyncio.iscoroutine(found):
            asyncio.run(found)
    except Refusal as refusal:
        return refusal.code
    return None


def ask(app, scope, chunks=()):
    """(status, headers, body) of an ASGI application's answer to a request whose body comes in chunks."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks[:-1]]
    messages.append({"type": "http.request", "body": chunks[-1] if chunks else b"", "more_body": False})
    sent = []

    async def receive():
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start, *rest = sent
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
    return start["status"], headers, b"".join(message.get("body", b"") for message in rest)


def error_of(answer):
    """The code in an answer of `ask`."""
    return json.loads(answer[2])["error"]["code"]
