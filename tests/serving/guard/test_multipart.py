"""Forms with a picture: exactly one part, read in memory, and refused at the first thing that is wrong."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from ernie_vil2.serving.guard.multipart import uploaded
from ernie_vil2.serving.refusals import Refusal
from tests.serving.guard.requests import scope_of

FORM = "multipart/form-data; boundary=b"
HEAD = b'Content-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n'


def part(content=b"picture", head=HEAD):
    return b"--b\r\n" + head + b"\r\n" + content + b"\r\n"


def read(body, kind=FORM, most=1000, cut=None):
    """What `uploaded` reads from a body that comes in pieces of `cut` bytes, or the code that it refuses it with."""
    size = cut or max(1, len(body))
    chunks = [body[place : place + size] for place in range(0, len(body), size)] or [b""]
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages[-1]["more_body"] = False

    async def receive():
        return messages.pop(0)

    try:
        return asyncio.run(uploaded(Request(scope_of("POST", content_type=kind), receive), most=most))
    except Refusal as refusal:
        return refusal.code


@pytest.mark.parametrize("cut", [None, 1, 7])
@pytest.mark.parametrize("content", [b"x", b"\r\n--", b"\r\n--b-\r\n--", bytes(range(256)), b"y" * 1000])
def test_the_bytes_of_the_one_part(content, cut):
    assert read(part(content) + b"--b--\r\n", cut=cut) == content
    assert read(content, "image/x-anything; q=1", cut=cut) == content


@given(content=st.binary(min_size=1, max_size=300), cut=st.integers(1, 50))
def test_any_bytes_in_any_pieces(content, cut):
    if b"\r\n--b" not in content:
        assert read(part(content) + b"--b--\r\n", cut=cut) == content


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "form_missing"),
        (b"no form at all", "form_broken"),
        (b"--b--\r\n", "form_missing"),
        (part(), "form_broken"),
        (part()[:-9], "form_broken"),
        (b"--b\r\n" + HEAD, "form_broken"),
        (part(b"") + b"--b--\r\n", "picture_empty"),
        (part() + part() + b"--b--\r\n", "form_parts"),
        (part() * 1000 + b"--b--\r\n", "form_parts"),
        (part(head=HEAD.replace(b"image", b"other")) + b"--b--\r\n", "form_missing"),
        (part(head=b"") + b"--b--\r\n", "form_missing"),
        (part(head=b"Content-Disposition: attachment\r\n") + b"--b--\r\n", "form_missing"),
        (part(head=HEAD + b"X: 1\r\n" * 100) + b"--b--\r\n", "form_broken"),
        (part(head=HEAD + b"X: " + b"y" * 5000 + b"\r\n") + b"--b--\r\n", "form_broken"),
        (part(head=b"X" * 100_000), "form_broken"),
        (part(head=b": no name\r\n") + b"--b--\r\n", "form_broken"),
        (part(head=b"Bad\0Name: x\r\n") + b"--b--\r\n", "form_broken"),
        (part(b"z" * 1001) + b"--b--\r\n", "body_too_large"),
    ],
)
@pytest.mark.parametrize("cut", [None, 11])
def test_a_broken_form_is_refused(body, code, cut):
    assert read(body, cut=cut) == code


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'b' * 300}"]
)
def test_a_form_needs_a_boundary(kind):
    assert read(part() + b"--b--\r\n", kind) == "form_broken"


@pytest.mark.parametrize("kind", ["", "text/html", "multipart/mixed; boundary=b", "application/octet-stream", "IMAGE"])
def test_other_media_types_are_refused(kind):
    assert read(part() + b"--b--\r\n", kind) == "media_type"


def test_nested_forms_are_the_bytes_of_a_picture():
    inner = b"--c\r\n" + HEAD + b"\r\nx\r\n--c--\r\n"
    head = HEAD.replace(b"image/png", b"multipart/mixed; boundary=c")
    assert read(part(inner, head) + b"--b--\r\n") == inner


def test_a_picture_over_the_limit_is_refused_while_it_is_read():
    assert read(b"x" * 1001, "image/png", cut=100) == "body_too_large"
    assert read(b"x" * 1000, "image/png", cut=100) == b"x" * 1000
    assert read(b"", "image/png") == "picture_empty"
