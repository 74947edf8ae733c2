"""2,000 requests made up from the server's own schema: none ends in a 500, and every answer is as it was promised."""

import collections
import json
import time
import urllib.request

import hypothesis
import schemathesis
from hypothesis import strategies
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.page.indexes import EMPTY, SHAPES, VECTORS

CASES = 2_000
SECONDS = 480
"""Of all requests together, which take a minute or two: a limit of a test that would hang."""
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
NAMES = (SHAPES, VECTORS, EMPTY)


def operations(address):
    """The operations of the server's schema."""
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    return [found.ok() for found in schema.get_all_operations()]


def weight_of(operation):
    """How much there is to make up: little without values in the address, much with a body."""
    return 10 if list(operation.body) else 4 if list(operation.path_parameters) or list(operation.query) else 1


def tried(operation, address, count, end, tally):
    """Send `count` requests of an operation, three of four with the name of an index that is there."""

    @hypothesis.settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(
        case=strategies.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)),
        name=strategies.sampled_from((*NAMES, None)),
        number=strategies.integers(0, 120),
        real=strategies.booleans(),
    )
    def one(case, name, number, real):
        if time.monotonic() > end:
            return
        if name and "index" in case.path_parameters:
            case.path_parameters["index"] = name
        if real and "picture" in case.path_parameters:
            case.path_parameters["picture"] = number
        answer = case.call_and_validate(base_url=address, checks=CHECKS, timeout=30)
        tally[operation.label, answer.status_code] += 1

    one()


def test_made_up_requests_are_answered_as_the_schema_says(own_indexes, serve):
    server = serve(own_indexes(*NAMES))
    address, tally, failures = server.address, collections.Counter(), []
    known = operations(address)
    end, total = time.monotonic() + SECONDS, sum(map(weight_of, known))
    for operation in known:
        try:
            tried(operation, address, -(-CASES * weight_of(operation) // total), end, tally)
        except FailureGroup as error:
            failures.extend(f"{operation.label}: {failure}"[:2000] for failure in error.exceptions)
    print("\n".join(f"{count:5} {status} {label}" for (label, status), count in sorted(tally.items())))
    faults = [line for line in server.told if '"event": "request"' not in line or '"status": 5' in line]
    assert not failures, "\n".join((*failures, *faults))[:8000]
    assert sum(tally.values()) >= CASES, f"only {sum(tally.values())} requests in {SECONDS} s"
    with urllib.request.urlopen(f"{address}/ready", timeout=30) as answer:
        assert answer.status == 200
    body = json.dumps({"parts": [{"text": "红色的圆形"}]}).encode()
    asked = urllib.request.Request(f"{address}/api/indexes/{SHAPES}/search", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        assert json.load(answer)["hits"]
