"""Who asks: the page itself, a program, and nobody else's page."""

import pytest

from ernie_vil2.serving.guard.origins import check_origin
from tests.serving.guard.requests import code_of, scope_of

HERE = "127.0.0.1:8765"


@pytest.mark.parametrize("origin", [f"http://{HERE}", f"https://{HERE}", f"HTTP://{HERE}"])
def test_its_own_origin_passes(origin):
    assert code_of(check_origin, scope_of("POST", "/api/session", origin=origin)) is None


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        f"http://{HERE}.evil.example",
        f"http://evil.example@{HERE}",
        f"http://{HERE}@evil.example",
        "http://127.0.0.1",
        "http://127.0.0.1:8766",
        "http://localhost:8765",
        f"file://{HERE}",
        f"chrome-extension://{HERE}",
        "http://[",
        "http://127.0.0.1:99999",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_another_origin_is_refused(origin, method):
    assert code_of(check_origin, scope_of(method, "/api/session", origin=origin)) == "other_site"


def test_every_origin_counts():
    scope = scope_of("POST", "/api/session", origin=[f"http://{HERE}", "http://evil.example"])
    assert code_of(check_origin, scope) == "other_site"


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://box", "box", True),
        ("http://box:80", "box", True),
        ("https://box", "box:443", True),
        ("https://box", "box", True),
        ("http://box", "box:8765", False),
        ("http://[::1]:5", "[::1]:5", True),
    ],
)
def test_a_usual_port_may_be_left_out(origin, host, same):
    assert (code_of(check_origin, scope_of(origin=origin, host=host)) is None) == same


@pytest.mark.parametrize("site", ["cross-site", "same-site", "unheard-of", ""])
def test_pages_of_other_sites_reach_nothing(site):
    picture = scope_of(path="/api/indexes/a/pictures/1/original", sec_fetch_site=site)
    assert code_of(check_origin, picture) == "other_site"
    frame = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"}
    assert code_of(check_origin, scope_of(sec_fetch_site=site, **frame)) == "other_site"


def test_a_link_opens_the_page_and_nothing_else():
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert code_of(check_origin, scope_of(**link)) is None
    assert code_of(check_origin, scope_of(path="/api/indexes", **link)) == "other_site"
    assert code_of(check_origin, scope_of("POST", **link)) == "other_site"


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_page_and_a_typed_address_pass(site):
    assert code_of(check_origin, scope_of(path="/api/indexes", sec_fetch_site=site)) is None
