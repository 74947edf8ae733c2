"""Clients that are slow, too many or no clients at all: told so, ended, and nobody else waits for them."""

import asyncio
import contextlib
import io
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ernie_vil2.serving.binding import bound_socket
from ernie_vil2.serving.guard.body_limit import BodyLimits
from ernie_vil2.serving.guard.connections import ConnectionLimits, Connections, Debt
from ernie_vil2.serving.guard.slow_clients import protocol
from ernie_vil2.serving.guard.stack import Guarding, stack
from ernie_vil2.serving.telemetry.log import Log
from tests.serving.wire import LONGEST, connected, exchange, parsed, request, rest

QUICK = ConnectionLimits(open=8, of_one=6, head=1.0, rate=50_000, patience=1.0, linger=1.0)
LARGE = 64 << 20


class Served:
    """A small application behind all guards, in a thread: its port, and what it counts."""

    def __init__(self, limits):
        bodies = BodyLimits(picture=LARGE, plain=1 << 20, together=2 * LARGE)
        self.guarding = Guarding(bodies=bodies, log=Log(io.StringIO()))
        self.http = protocol(limits, self.guarding.metrics)

    @property
    def connections(self):
        return len(self.http.counts)

    def until_alone(self):
        """Wait until no connection is left."""
        last = time.monotonic() + LONGEST
        while self.connections:
            assert time.monotonic() < last
            time.sleep(0.01)


async def hello(request):
    return PlainTextResponse("hello")


async def length(request):
    return PlainTextResponse(str(len(await request.body())))


async def large(request):
    return Response(bytes(LARGE))


@contextmanager
def serving(limits=QUICK):
    served = Served(limits)
    routes = [Route("/", hello), Route("/length", length, methods=["POST"]), Route("/large", large)]
    app = Starlette(routes=routes, middleware=stack(served.guarding))
    with bound_socket("127.0.0.1", 0) as bound:
        options = {"ws": "none", "log_config": None, "log_level": "error", "timeout_graceful_shutdown": 2}
        server = uvicorn.Server(uvicorn.Config(app, http=served.http, timeout_keep_alive=1, **options))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([bound])), daemon=True)
        thread.start()
        served.port = bound.getsockname()[1]
        try:
            yield served
        finally:
            server.should_exit = True
            thread.join(10)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def shared():
    with serving() as served:
        yield served


@pytest.fixture
def served(shared):
    """A Served that nobody is connected to; after a test it still answers, and nothing of it is left."""
    shared.until_alone()
    yield shared
    assert exchange(shared.port, request()).body == b"hello"
    shared.until_alone()


def ended(connection):
    """(answer, seconds) once the server has ended a connection."""
    began = time.monotonic()
    answer = parsed(rest(connection))
    return answer, time.monotonic() - began


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n"])
def test_a_header_that_is_not_finished_is_given_up(served, begun):
    with connected(served.port) as connection:
        connection.sendall(begun)
        answer, seconds = ended(connection)
    assert answer.status == 408 and answer.code == "slow" and seconds > 0.3
    assert answer.headers["content-security-policy"] and answer.headers["connection"] == "close"


def test_a_header_that_trickles_is_given_up(served):
    with connected(served.port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(60):
                connection.sendall(b"x: y\r\n")
                time.sleep(0.05)
        assert parsed(rest(connection)).status in (408, 0)
        served.until_alone()


def test_a_second_request_has_its_time_too(served):
    with connected(served.port) as connection:
        connection.sendall(request(connection="keep-alive"))
        data = b""
        while not data.endswith(b"hello"):
            data += connection.recv(9999)
        connection.sendall(b"GET / H")
        answer, seconds = ended(connection)
    assert answer.status == 408 and seconds > 0.3


def test_a_body_that_stops_is_given_up(served):
    with connected(served.port) as connection:
        connection.sendall(request("POST", "/length", content_length="1000", content_type="image/png") + b"x")
        answer, seconds = ended(connection)
    assert answer.status == 408 and answer.code == "slow" and seconds > 0.3


def test_a_body_that_trickles_is_given_up_and_one_that_flows_is_read(served):
    with connected(served.port) as connection:
        connection.sendall(request("POST", "/length", content_length="100000", content_type="image/png"))
        with contextlib.suppress(ConnectionError):
            for _ in range(60):
                connection.sendall(b"x" * 100)
                time.sleep(0.05)
        assert parsed(rest(connection)).status in (408, 0)
    with connected(served.port) as connection:
        connection.sendall(request("POST", "/length", content_length="300000", content_type="image/png"))
        for _ in range(20):
            connection.sendall(b"x" * 15_000)
            time.sleep(0.05)
        assert parsed(rest(connection)).body == b"300000"


def test_who_does_not_read_the_answer_is_let_go(served):
    with connected(served.port) as connection:
        connection.sendall(request(path="/large"))
        assert connection.recv(10)
        served.until_alone()
        assert len(rest(connection)) < LARGE
    assert len(exchange(served.port, request(path="/large")).body) == LARGE


def test_the_sentence_of_a_refused_body_gets_through(served):
    """Though the client sends on, which would fail if the connection was closed with unread bytes."""
    head = request("POST", "/length", content_length=str(LARGE + 1), content_type="image/png")
    for _ in range(3):
        with connected(served.port) as connection:
            for piece in (head, *[bytes(1 << 20)] * 8):
                connection.sendall(piece)
                time.sleep(0.01)
            answer = parsed(rest(connection))
        assert answer.status == 413 and answer.code == "body_too_large" and answer.headers["connection"] == "close"


def test_a_refused_client_that_sends_for_ever_is_ended(served):
    with connected(served.port) as connection:
        connection.sendall(request("POST", "/length", transfer_encoding="chunked", content_encoding="gzip"))
        last = time.monotonic() + LONGEST
        with pytest.raises(ConnectionError):
            while time.monotonic() < last:
                connection.sendall(b"8000\r\n" + bytes(0x8000) + b"\r\n")


def test_more_connections_than_an_address_may_have(served):
    with contextlib.ExitStack() as kept:
        for _ in range(QUICK.of_one):
            kept.enter_context(connected(served.port))
        with connected(served.port) as one_more:
            answer, _ = ended(one_more)
        assert answer.status == 503 and answer.code == "connections" and answer.headers["retry-after"]


def test_connections_are_counted_by_address_and_together():
    connections = Connections(ConnectionLimits(open=3, of_one=2))
    assert [connections.enter(address) for address in "aaab"] == [True, True, False, False]
    for address in "aaab":
        connections.leave(address)
    assert len(connections) == 0 and connections.enter("b") and not connections._count["a"]


def test_a_debt_is_paid_by_bytes_and_not_by_bursts():
    limits = ConnectionLimits(head=4, patience=4, rate=100)
    steady, bursts = Debt(limits), Debt(limits)
    assert not any(steady.hopeless(100) for _ in range(100))
    assert any(bursts.hopeless(100 if number % 4 == 0 else 0) for number in range(100))


NO_HTTP = {
    "words": b"hello there\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "empty lines": b"\r\n\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nhost: 127.0.0.1\r\n\r\n",
    "a blank before the colon": request(**{"x ": "y"}),
    "a header without a name": b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n: x\r\n\r\n",
    "nul in a header": b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: a\0b\r\n\r\n",
    "a bare return": b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: a\rb: c\r\n\r\n",
    "blanks in the target": b"GET /a b HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
    "bytes in the target": "GET /索引 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode(),
    "two lengths": request("POST", "/length", content_length="3\r\ncontent-length: 5") + b"hello",
    "a length below zero": request("POST", "/length", content_length="-1"),
    "a length with a sign": request("POST", "/length", content_length="+5") + b"hello",
    "a length in hexadecimal": request("POST", "/length", content_length="0x5") + b"hello",
    "a list of lengths": request("POST", "/length", content_length="5, 6") + b"hello",
    "a length of 21 digits": request("POST", "/length", content_length="9" * 21),
    "an unknown coding": request("POST", "/length", transfer_encoding="gzip, chunked"),
    "a coding twice": request("POST", "/length", transfer_encoding="chunked, chunked"),
    "a coding that hides": request("POST", "/length", transfer_encoding="xchunked"),
    "a wrong chunk": request("POST", "/length", transfer_encoding="chunked", content_type="image/png")
    + b"zz\r\nhello\r\n",
    "a chunk without end": request("POST", "/length", transfer_encoding="chunked", content_type="image/png")
    + b"5\r\nhelloWORLD\r\n0\r\n\r\n",
    "a chunk of endless size": request("POST", "/length", transfer_encoding="chunked") + b"f" * 30 + b"\r\n",
}


@pytest.mark.parametrize("attack", NO_HTTP)
def test_what_is_no_http_is_one_sentence(served, attack):
    answer = exchange(served.port, NO_HTTP[attack])
    assert answer.status in (400, 501) and answer.code in ("no_http", "headers"), answer
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(("count", "length"), [(1, 40_000), (1, 400_000), (200, 1), (90, 400), (3000, 100)])
@pytest.mark.parametrize("parts", [1, 5])
def test_headers_without_end_are_refused(served, count, length, parts):
    sent = request(**{f"x{number}": "y" * length for number in range(count)})
    size = -(-len(sent) // parts)
    answer = exchange(served.port, *(sent[place : place + size] for place in range(0, len(sent), size)), pause=0.01)
    assert answer.status == 431 and answer.code == "headers"


def test_length_and_chunks_together_never_make_two_requests(served):
    """The body that one reader sees as the rest is the beginning of another request for the other (smuggling)."""
    inner = request(path="/large")
    both = request("POST", "/length", transfer_encoding="chunked", content_length="5", connection="keep-alive")
    answer = exchange(served.port, both + b"0\r\n\r\n" + inner)
    assert answer.status in (200, 400) and len(answer.body) < 200


def test_what_follows_an_answer_that_closes_is_no_request(served):
    with connected(served.port) as connection:
        connection.sendall(request() + request(path="/large"))
        data = rest(connection)
    assert data.count(b"HTTP/1.1 ") == 1 and data.endswith(b"hello")


def test_requests_in_a_row_are_answered_in_order(served):
    with connected(served.port) as connection:
        connection.sendall(request(connection="keep-alive") * 20 + request("POST", "/length", b"four"))
        data = rest(connection)
    assert data.count(b"HTTP/1.1 200") == 21 and data.endswith(b"4")


def test_an_upgrade_is_an_ordinary_request(served):
    answer = exchange(served.port, request(connection="upgrade", upgrade="websocket") + b"", request())
    assert answer.status == 200


def test_a_slow_client_does_not_keep_a_server_from_its_end():
    with serving(ConnectionLimits(linger=30)) as served:
        slow = connected(served.port)
        slow.sendall(request("POST", "/length", content_length=str(LARGE + 1), content_type="image/png"))
        assert parsed(slow.recv(9999)).status == 413
    slow.close()
