"""What a server tells of itself: bounded labels, lines that say nothing of what was asked, ids of its own."""

import io
import json
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ernie_vil2.serving.telemetry.log import Log
from ernie_vil2.serving.telemetry.metrics import Metrics
from ernie_vil2.serving.telemetry.requests import Requests
from tests.serving.guard.requests import ask, scope_of

SECRET = "红色的圆形-0123456789"


class Told:
    """An application with its metrics and its log."""

    def __init__(self):
        self.metrics, self.stream = Metrics(), io.StringIO()

        async def shown(request):
            return PlainTextResponse("12345")

        async def broken(request):
            raise ZeroDivisionError

        routes = [Route("/pictures/{id}", shown), Route("/broken", broken)]
        around = Middleware(Requests, self.metrics, Log(self.stream))
        self.app = Starlette(routes=routes, middleware=[around])

    @property
    def lines(self):
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def samples(self, name):
        """{labels' values: value} of a metric."""
        families = text_string_to_metric_families(self.metrics.text().decode())
        found = [sample for family in families for sample in family.samples if sample.name == f"ernie_vil2_{name}"]
        return {tuple(sample.labels[label] for label in sorted(sample.labels)): sample.value for sample in found}


@pytest.fixture
def told():
    return Told()


def test_routes_are_counted_by_their_template(told):
    for number in range(50):
        ask(told.app, scope_of(path=f"/pictures/{number}{SECRET}"))
        ask(told.app, scope_of(path=f"/nowhere/{number}"))
        ask(told.app, scope_of(f"M{number}", f"/pictures/{number}"))
    assert told.samples("requests_total") == {
        ("GET", "/pictures/{id}", "200"): 50,
        ("GET", "other", "404"): 50,
        ("other", "/pictures/{id}", "405"): 50,
    }
    assert told.samples("request_seconds_count") == {("/pictures/{id}",): 100, ("other",): 50}
    assert told.samples("sent_bytes_total")["/pictures/{id}",] >= 50 * 5
    assert told.samples("running_requests") == {(): 0}
    assert SECRET not in told.metrics.text().decode()


def test_a_line_says_what_was_answered_and_not_what_was_asked(told):
    scope = {**scope_of(path=f"/pictures/{SECRET}", cookie="session=1"), "query_string": b"q=query"}
    _, headers, _ = ask(told.app, scope)
    (line,) = told.lines
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("time"))
    assert line.pop("ms") >= 0 and line.pop("id") == headers["x-request-id"]
    known = {"event": "request", "method": "GET", "route": "/pictures/{id}", "status": 200, "bytes": 5}
    assert line == {**known, "client": "127.0.0.1"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-1_2.3", True), ("", False), ("a b", False), ("a\nb", False), ("x" * 65, False), ("é", False)],
)
def test_ids_are_the_servers_own(told, given, kept):
    _, headers, _ = ask(told.app, scope_of(path="/pictures/1", x_request_id=given))
    (line,) = told.lines
    assert headers["x-request-id"] == line["id"] != given
    assert line.get("given_id") == (given if kept else None)
    assert len(told.stream.getvalue().splitlines()) == 1


def test_a_request_without_an_answer_is_told_as_gone(told):
    bare = Requests(told.app.router, told.metrics, Log(told.stream))
    with pytest.raises(ZeroDivisionError):
        ask(bare, scope_of(path="/broken"))
    assert told.lines[0]["status"] == 499 and told.samples("running_requests") == {(): 0}


def test_gauges_are_asked_when_they_are_read(told):
    held = [3]
    told.metrics.waiting("text", lambda: held[0])
    told.metrics.uploads(lambda: 2)
    told.metrics.rows(lambda: [("photos", 10, 4)])
    told.metrics.batch("image", 5)
    told.metrics.cache("thumbnails", hit=True)
    assert told.samples("waiting") == {("text",): 3}
    held[0] = 9
    assert told.samples("waiting") == {("text",): 9} and told.samples("remembered_uploads") == {(): 2}
    assert told.samples("index_rows") == {("photos", "pictures"): 10, ("photos", "texts"): 4}
    assert told.samples("encode_batch_size_sum") == {("image",): 5}
    assert told.samples("cache_lookups_total") == {("thumbnails", "yes"): 1}


def test_servers_of_one_process_count_apart(told):
    told.metrics.refused("busy")
    assert told.samples("refusals_total") == {("busy",): 1} and Told().samples("refusals_total") == {}


def test_a_closed_log_ends_no_request(told):
    told.stream.close()
    assert ask(told.app, scope_of(path="/pictures/1"))[0] == 200


def test_a_person_at_a_terminal_reads_of_what_went_wrong_alone(told):
    told.stream.isatty = lambda: True
    ask(told.app, scope_of(path="/pictures/1"))
    assert told.stream.getvalue() == ""
    log = Log(told.stream)
    log.write("request", status=500)
    log.write("failed", id="1")
    assert told.stream.getvalue().count("\n") == 2
