"""Whoever attacks a real server over real connections gets one sentence; the next honest request is answered."""

import json
import random
import re

import pytest

from ernie_vil2.serving.guard.connections import ConnectionLimits
from tests.serving.running import running
from tests.serving.wire import connected, exchange, parsed, request, rest

MARK = b"what lies beside the indexes"
KEY = "0123456789abcdef-KEY"
JSON = {"content_type": "application/json"}
SEARCH = "/api/indexes/photos/search"
WAYS_UP = (
    "..",
    "../secret.txt",
    "../../secret.txt",
    "%2e%2e/secret.txt",
    "%2e%2e%2fsecret.txt",
    "..%2f..%2fsecret.txt",
    "..%5c..%5csecret.txt",
    "..\\..\\secret.txt",
    "%252e%252e%252fsecret.txt",
    "..%c0%afsecret.txt",
    "%c0%ae%c0%ae/secret.txt",
    "..%ef%bc%8fsecret.txt",
    "%e2%80%a5/secret.txt",
    "....//secret.txt",
    "..;/secret.txt",
    "secret.txt%00.jpg",
    "%00",
    "/etc/passwd",
    "//etc/passwd",
    "%2fetc%2fpasswd",
    "file:///etc/passwd",
    "~root",
    "CON",
    "%u002e%u002e/secret.txt",
    "%",
    "%zz",
    "%ff%fe",
    "%0d%0ax-evil:%201",
    "a" * 8000,
)
PLACES = (
    ("GET", "/static/{}"),
    ("GET", "/{}"),
    ("GET", "/api/indexes/{}"),
    ("GET", "/api/indexes/{}/facets"),
    ("GET", "/api/indexes/{}/pictures/1/original"),
    ("POST", "/api/indexes/{}/search"),
    ("POST", "/api/indexes/{}/uploads"),
    ("GET", "/api/indexes/photos/pictures/{}"),
    ("GET", "/api/indexes/photos/pictures/{}/thumbnail"),
    ("GET", "/api/indexes/photos/pictures/{}/original"),
    ("GET", "/api/indexes/photos/pictures/1/thumbnail?size={}"),
    ("GET", "/api/indexes/photos/exports/{}"),
    ("GET", "/api/indexes/photos/duplicates?threshold={}&page={}"),
)


@pytest.fixture
def server(still):
    """A Running of four indexes; beside them lies a file that nobody is to see. At the end it still answers."""
    folder = still.services.settings.folder
    for place in (folder, folder.parent):
        (place / "secret.txt").write_bytes(MARK)
    yield still
    honest(still)


def port_of(server):
    return int(server.address.rstrip("/").rpartition(":")[2])


def honest(server):
    """What a person asks is answered."""
    assert server.search("photos", parts=[{"text": "红 猫"}], k=3).status == 200


def refused(answer, allowed=(400, 401, 403, 404, 405, 408, 409, 413, 415, 416, 421, 422, 431, 501)):
    """An answer that refuses in one sentence and tells nothing of the disk."""
    assert answer.status in allowed, (answer.status, answer.body[:300])
    error = json.loads(answer.body)["error"]
    assert error["message"] and error["message"].isprintable() and len(error["message"]) < 500
    assert "Traceback" not in error["message"] and MARK not in answer.body and b"root:" not in answer.body
    assert answer.headers["x-content-type-options"] == "nosniff" and "x-evil" not in answer.headers
    return error["code"]


def test_no_way_leads_to_another_file(server):
    for method, place in PLACES:
        body = b"{}" if method == "POST" else b""
        for way in WAYS_UP:
            path = place.replace("{}", way)
            answer = exchange(port_of(server), request(method, path, body, **JSON))
            if answer.status not in (200, 202) or "?" not in path:
                refused(answer)
            assert MARK not in answer.body


def test_no_value_of_a_search_leads_to_another_file(server):
    for way in ("../secret.txt", "/etc/passwd", "..\\..\\secret.txt", "file:///etc/passwd", "\0", "a\0b", "../photos"):
        for asked in (
            {"parts": [{"id": 1, "index": way}]},
            {"parts": [{"upload": way}]},
            {"parts": [{"id": way}]},
            {"parts": [{"image": way}]},
            {"of": way},
            {"threshold": way},
            {"path": way},
        ):
            refused(server.search("photos", **asked))
        for filtered in (f"folder:{way}", f"source:{way}", way):
            answer = server.search("photos", filter=filtered)
            if answer.status == 200:
                assert answer.json["hits"] == [], filtered
            else:
                refused(answer)
            assert str(server.services.settings.folder).encode() not in answer.body
        export = server.ask("POST", "/api/indexes/photos/exports", {"ids": [way], "form": "zip"})
        refused(export)


def test_a_public_server_never_says_where_files_lie(indexes):
    places = [str(place).encode() for place in (indexes.parent, indexes.parent / "pictures")]
    with running(indexes, public=True) as server:
        for path in ("", "/facets", "/pictures/1", "/pictures/1/thumbnail", "/pictures/1/original"):
            assert server.get("/api/indexes/photos" + path).status in (200, 404)
        asked = [{"filter": text} for text in ("source:nowhere", "source:/", "folder:/", "x:y", "date:1", "(")]
        asked += [
            {},
            {"parts": [{"id": 10**9}]},
            {"parts": [{"id": 5}]},
            {"threshold": "nothing"},
            {"parts": [{"text": "猫"}]},
        ]
        replies = [server.search("photos", **one) for one in asked]
        replies += [server.search("vectors", parts=[{"text": "猫"}]), server.search("nowhere")]
        replies += [
            server.get(path) for path in ("/api/indexes", "/api/indexes/photos", "/metrics", "/openapi.json", "/ready")
        ]
        replies += [
            server.ask("POST", "/api/indexes/photos/exports", {"ids": [1, 2], "form": form})
            for form in ("zip", "paths")
        ]
        for reply in replies:
            assert reply.status < 500 and not any(place in reply.body for place in places), reply.body


def values():
    """Bodies of a search that mean too much, nothing, or what is no text and no number."""
    deep = [b"[" * depth + b"]" * depth for depth in (100, 900, 960, 980, 990, 995, 1000, 5000)]
    yield from (b'{"parts":' + body + b"}" for body in deep)
    yield from (b'{"parts":[{"vector":' + body + b"}]}" for body in deep)
    for number in (
        b"1e999",
        b"-1e999",
        b"NaN",
        b"Infinity",
        b"9" * 400,
        b"9" * 5000,
        b"-1",
        b"0",
        b"1.5",
        b'"1"',
        b"null",
    ):
        yield b'{"k":' + number + b"}"
        yield b'{"page":' + number + b"}"
        yield b'{"threshold":' + number + b'0,"parts":[{"id":' + number + b"}]}"
        yield b'{"parts":[{"text":"a","weight":' + number + b"}]}"
        yield b'{"parts":[{"vector":[' + number + b"]}]}"
    texts = (
        "",
        " ",
        "\0",
        "\x07\x1b[2J",
        "\u202e",
        "\u200b",
        "\ufdd0",
        "\U0010ffff",
        "a" * 2001,
        "字" * 10_000,
        "\n" * 50,
    )
    yield from (json.dumps({"parts": [{"text": text}]}).encode() for text in texts)
    yield from (
        json.dumps({"filter": text}).encode() for text in (*texts, "folder:" + "(" * 500, "width>=1e400", "-" * 900)
    )
    yield from (
        b'{"parts":[{"text":"\\ud800"}]}',
        b'{"\\ud800":1}',
        b'{"parts":[{"text":"\xed\xa0\x80"}]}',
        b"\xff",
        b"",
    )
    yield json.dumps({"parts": [{"id": 1}] * 20_000}).encode()
    yield json.dumps({str(number): number for number in range(50_000)}).encode()
    yield json.dumps({"parts": [{"vector": [0.1] * 100_000}]}).encode()
    yield b'{"k":1,"k":2}'
    yield b'{"k": 100000}'


def test_no_value_makes_a_search_fail(server):
    for body in values():
        answer = exchange(port_of(server), request("POST", SEARCH, body, **JSON))
        if answer.status != 200:
            refused(answer)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_bad_input_is_one_sentence_in_the_language_of_the_page(server, language):
    for asked in ({"k": 100_000}, {"parts": [{"text": "a" * 10_000}]}, {"parts": [{"text": ""}]}, {"page": -1}):
        reply = server.search("photos", language, **asked)
        refused(reply)
        assert bool(re.search(r"[\u4e00-\u9fff]", reply.error[1])) == (language == "zh"), reply.error


def test_media_types_change_nothing(server):
    body = json.dumps({"parts": [], "k": 1}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "", "a" * 500):
        refused(exchange(port_of(server), request("POST", SEARCH, body, content_type=kind)))
    for kind in ("application/json; charset=utf-16", "application/problem+json", "APPLICATION/JSON"):
        answer = exchange(port_of(server), request("POST", SEARCH, body, content_type=kind))
        assert answer.status in (200, 400, 415, 422)


def test_names_of_elsewhere_reach_nothing(server):
    for path in ("/", "/health", "/api/indexes", "/static/main.js", "/metrics", "/openapi.json", "/nowhere"):
        assert refused(exchange(port_of(server), request(path=path, host="evil.example"))) == "wrong_host"
        assert refused(exchange(port_of(server), request(path=path, origin="http://evil.example"))) == "other_site"
        assert refused(exchange(port_of(server), request(path="http://127.0.0.1" + path))) == "wrong_target"
    form = request("POST", "/api/session", b"key=x", origin="null", content_type="text/plain")
    assert refused(exchange(port_of(server), form)) == "other_site"


def test_odd_methods_are_refused(server):
    for method in ("TRACE", "OPTIONS", "PUT", "PATCH", "PROPFIND", "FOO", "get", "M" * 300):
        for path in ("/", "/api/indexes", SEARCH):
            assert refused(exchange(port_of(server), request(method, path)), (404, 405, 501)) in ("method", "no_page")
    assert refused(exchange(port_of(server), request("CONNECT", "evil.example:443"))) in ("method", "wrong_target")


def test_every_route_needs_the_key_that_there_is(indexes):
    with running(indexes, key=KEY) as server:
        paths = server.get("/openapi.json").json["paths"]
        asked = [(method, path) for path, methods in paths.items() for method in methods if path != "/api/session"]
        closed = [(method, path) for method, path in asked if path not in ("/health", "/ready")]
        assert len(closed) > 10
        for method, path in closed:
            path = path.replace("{index}", "photos").replace("{id}", "1").replace("{token}", "x")
            assert server.ask(method.upper(), path).error[0] == "needs_key", path
            assert server.ask(method.upper(), path, authorization=f"Bearer {KEY}").status != 401, path
        assert server.ask("POST", "/api/session", {"key": "wrong"}).error[0] == "wrong_key"
        reply = server.ask("POST", "/api/session", {"key": KEY})
        cookie = reply.headers["set-cookie"].partition(";")[0]
        assert reply.status == 204 and KEY not in cookie
        assert server.ask("GET", "/api/session", cookie=cookie).json["signed_in"]
        assert server.ask("GET", "/api/indexes", cookie=cookie).status == 200
        assert "Max-Age=0" in server.ask("DELETE", "/api/session", cookie=cookie).headers["set-cookie"]
        assert server.ask("GET", "/api/indexes", cookie=cookie).error[0] == "needs_key"


def test_slow_clients_do_not_keep_others_waiting(indexes):
    limits = ConnectionLimits(of_one=100, head=1.0, patience=1.0, rate=10_000, linger=0.5)
    with running(indexes, connections=limits) as server:
        port = port_of(server)
        body = request("POST", "/api/indexes/photos/uploads", content_length="5000000", content_type="image/png")
        begun = [b"", b"GET / HT", body + b"\x89PNG", request("POST", SEARCH, content_length="100", **JSON) + b"{"]
        slow = [connected(port) for _ in range(40)]
        for number, connection in enumerate(slow):
            connection.sendall(begun[number % len(begun)])
        for _ in range(5):
            honest(server)
        assert {parsed(rest(connection)).status for connection in slow} == {408}
        honest(server)


def test_bytes_at_random_are_answered(server):
    """An honest request with some bytes changed, cut or doubled."""
    rng = random.Random(17)
    body = json.dumps({"parts": [{"text": "猫"}], "k": 3}).encode()
    plain = request("POST", SEARCH, body, **JSON)
    chunked = request("POST", SEARCH, transfer_encoding="chunked", **JSON) + b"%x\r\n%b\r\n0\r\n\r\n" % (
        len(body),
        body,
    )
    for number in range(300):
        data = bytearray(plain if number % 2 else chunked)
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(data))
            how = rng.randrange(4)
            if how == 0:
                data[place] = rng.randrange(256)
            elif how == 1:
                del data[place : place + rng.randint(1, 20)]
            elif how == 2:
                data[place:place] = data[place : place + rng.randint(1, 20)]
            else:
                data[place:place] = rng.choice((b"\0", b"\r\n", b"\n", b": ", b"9" * 30, b"\xff", b"{", b'"'))
        with connected(port_of(server)) as connection:
            connection.sendall(data)
            connection.shutdown(1)
            answer = parsed(rest(connection))
        assert answer.status < 500 or answer.status == 501, (bytes(data), answer)
