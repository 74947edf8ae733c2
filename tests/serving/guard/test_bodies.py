"""Bodies: bounded by what they say and by what comes, JSON that all read alike, and connections that end unread."""

import asyncio
import json

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ernie_vil2.serving.guard.body_limit import BodyLimits
from ernie_vil2.serving.guard.plain_bodies import check_json
from ernie_vil2.serving.guard.stack import Guarding, stack
from tests.serving.guard.requests import ask, code_of, error_of, scope_of

LIMITS = BodyLimits(picture=1000, plain=100, together=1050)
JSON = {"content_type": "application/json"}
PICTURE = {"content_type": "image/png"}


@pytest.fixture
def guarding():
    return Guarding(bodies=LIMITS)


@pytest.fixture
def app(guarding):
    """An application behind all guards that answers with the length of what it read."""

    async def length(request):
        return PlainTextResponse(str(len(await request.body())))

    async def unread(request):
        return PlainTextResponse("not read")

    async def broken(request):
        raise ZeroDivisionError("of the inside")

    routes = [Route("/length", length, methods=["POST"]), Route("/unread", unread, methods=["POST"])]
    return Starlette(routes=[*routes, Route("/broken", broken)], middleware=stack(guarding))


def post(app, chunks, path="/length", **headers):
    return ask(app, scope_of("POST", path, **headers), chunks)


@pytest.mark.parametrize("kind", [JSON, PICTURE, {}])
def test_a_body_within_its_limit_is_read_whole(app, kind):
    most = 1000 if kind is PICTURE else 100
    body = b'"' + b"x" * (most - 2) + b'"'
    answer = post(app, [body[:30], body[30:]], content_length=str(most), **kind)
    assert (answer[0], answer[2]) == (200, str(most).encode())
    assert "connection" not in answer[1]


@pytest.mark.parametrize(("kind", "most"), [(JSON, 100), (PICTURE, 1000), ({}, 100), ({"content_type": "text/x"}, 100)])
def test_one_byte_more_is_refused_before_it_is_read(app, kind, most):
    answer = post(app, [b"never read"], content_length=str(most + 1), **kind)
    assert answer[0] == 413 and error_of(answer) == "body_too_large" and answer[1]["connection"] == "close"


@pytest.mark.parametrize(("kind", "most"), [(JSON, 100), (PICTURE, 1000)])
def test_a_body_that_does_not_say_its_length_is_counted(app, kind, most):
    read = []

    def endless():
        while True:
            read.append(50)
            yield b"x" * 50

    messages = endless()

    async def receive():
        return {"type": "http.request", "body": next(messages), "more_body": True}

    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope_of("POST", "/length", transfer_encoding="chunked", **kind), receive, send))
    assert sent[0]["status"] == 413 and sum(read) == most + 50


def test_all_bodies_together_are_bounded_and_given_back(app, guarding):
    entered, going = [], asyncio.Event()

    async def body():
        entered.append(1)
        if len(entered) > 1:
            await going.wait()
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.request", "body": b"x" * 990, "more_body": True}

    async def full():
        return {"type": "http.request", "body": b"x" * 900, "more_body": False}

    async def short():
        return {"type": "http.request", "body": b"x" * 90, "more_body": False}

    def sender(sent):
        async def send(message):
            sent.append(message)

        return send

    async def run():
        scope = scope_of("POST", "/length", transfer_encoding="chunked", **PICTURE)
        slow, second, third, plain = [], [], [], []
        task = asyncio.create_task(app(dict(scope), body, sender(slow)))
        await asyncio.sleep(0.01)
        assert b"body_bytes 990.0" in guarding.metrics.text()
        await app(dict(scope), full, sender(second))
        await app(scope_of("POST", "/length", transfer_encoding="chunked"), short, sender(plain))
        going.set()
        await task
        await app(dict(scope), full, sender(third))
        return [sent[0]["status"] for sent in (slow, second, third, plain)]

    assert asyncio.run(run()) == [200, 429, 200, 200]
    assert b"body_bytes 0.0" in guarding.metrics.text()


@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP", "gzip, identity", "x"])
def test_compressed_bodies_are_refused(app, encoding):
    answer = post(app, [b"\x1f\x8b"], content_length="2", content_encoding=encoding, **JSON)
    assert answer[0] == 415 and error_of(answer) == "encoded_body"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b'"\xed\xa0\x80"',
        b'{"a":"\\ud800"}',
        b'{"\\uDFFF":1}',
        b'{"a":NaN}',
        b"[Infinity]",
        b"[-Infinity]",
        b"[" * 99,
        b'{"a":' * 19,
        '{"a":1}'.encode("utf-16"),
        b"{}{}",
        b"{'a':1}",
        b"{}\0",
    ],
)
def test_what_is_no_json_is_refused(app, body):
    answer = post(app, [body], content_length=str(len(body)), **JSON)
    assert answer[0] == 400 and error_of(answer) == "json"


@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_json_of_any_depth_is_answered(depth):
    wide = Starlette(middleware=stack(Guarding(bodies=BodyLimits(plain=2**20))))
    for body in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
        answer = post(wide, [body], "/nowhere", content_length=str(len(body)), **JSON)
        assert answer[0] == 400 and error_of(answer) == "json"


def test_numbers_of_too_many_digits_are_refused():
    wide = Starlette(middleware=stack(Guarding()))
    answer = post(wide, [b"[" + b"9" * 100_000 + b"]"], "/nowhere", content_length="100002", **JSON)
    assert answer[0] == 400 and error_of(answer) == "json"


@pytest.mark.parametrize("text", ["一个红色的圆形", "\U0001f600"])
def test_text_of_all_planes_passes(app, text):
    for body in (json.dumps(text).encode(), json.dumps(text, ensure_ascii=False).encode()):
        answer = post(app, [body], content_length=str(len(body)), **JSON)
        assert (answer[0], answer[2]) == (200, str(len(body)).encode())


def test_a_connection_whose_body_is_left_unread_ends(app):
    assert post(app, [b"x"], "/unread", content_length="1", **PICTURE)[1]["connection"] == "close"
    assert "connection" not in post(app, [b"{}"], "/unread", content_length="2", **JSON)[1]
    refused = post(app, [b"x"], content_length="1", host="evil.example")
    assert refused[0] == 421 and refused[1]["connection"] == "close"


def test_a_fault_says_nothing_of_the_inside_and_the_log_all(app, capsys):
    answer = ask(app, scope_of(path="/broken"))
    assert answer[0] == 500 and error_of(answer) == "failed" and b"inside" not in answer[2]
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    failed = next(line for line in lines if line["event"] == "failed")
    assert failed["id"] == answer[1]["x-request-id"] == json.loads(answer[2])["error"]["values"]["request"]
    assert "ZeroDivisionError: of the inside" in failed["traceback"]


@pytest.mark.parametrize("path", ["/length", "/broken", "/nowhere", "//"])
def test_every_answer_has_the_headers(app, path):
    _, headers, _ = ask(app, scope_of(path=path))
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store" and len(headers["x-request-id"]) == 16


@pytest.mark.parametrize(
    ("language", "word"), [("zh-CN,en;q=0.5", "名称"), ("en", "name"), ("", "name"), ("*", "name")]
)
def test_a_refusal_is_in_the_asked_language(app, language, word):
    answer = ask(app, scope_of(host="evil.example", accept_language=language))
    assert word in json.loads(answer[2])["error"]["message"]


def test_an_object_of_more_members_than_anything_has_is_refused():
    body = json.dumps({"a": {str(number): 1 for number in range(1001)}}).encode()
    assert code_of(lambda scope: check_json(body), scope_of()) == "json"
