"""Methods and paths of what can be asked."""

import pytest

from ernie_vil2.serving.guard.request_line import check_request_line
from tests.serving.guard.requests import code_of, scope_of


@pytest.mark.parametrize(
    "path",
    [
        "http://evil.example/",
        "*",
        "127.0.0.1:80",
        "",
        "//evil.example/",
        "/static/../../secret",
        "/./static",
        "/static/..",
        "/static\\..\\secret",
        "/a\0b",
        "/a\nb",
        "/a\u202eb",
        "/a\ufffdb",
    ],
)
def test_what_no_path_here_has_is_refused(path):
    assert code_of(check_request_line, scope_of(path=path) if path.isascii() else {**scope_of(), "path": path})


@pytest.mark.parametrize("path", ["/", "/api/indexes/我的 照片/search", "/static/a..b.js", "/static/...", "/a%2e"])
def test_plain_paths_pass(path):
    assert code_of(check_request_line, {**scope_of(), "path": path}) is None


@pytest.mark.parametrize("method", ["CONNECT", "PROPFIND", "get", "GETX", "X" * 1000])
def test_unknown_methods_are_refused(method):
    assert code_of(check_request_line, scope_of(method)) == "method"


@pytest.mark.parametrize("version", ["0.9", "2", "9.9"])
def test_other_versions_are_refused(version):
    assert code_of(check_request_line, {**scope_of(), "http_version": version}) == "no_http"
    assert code_of(check_request_line, {**scope_of(), "http_version": "1.0"}) is None
