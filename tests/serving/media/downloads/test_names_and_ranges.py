"""What a header says: which bytes are asked for, and how a file is called."""

import os
import re
import unicodedata
from email.message import Message

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ernie_vil2.serving.media.downloads.byte_range import Unsatisfiable, asked_range
from ernie_vil2.serving.media.downloads.file_names import LONGEST, DistinctNames, disposition, folded, safe_name
from ernie_vil2.serving.media.downloads.media_types import UNKNOWN, media_type_of
from tests.serving.media.conftest import colours, encoded

NAMES = st.text(max_size=300) | st.binary(max_size=300).map(os.fsdecode)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, None),
        ("bytes=0-9", range(10)),
        ("bytes=90-", range(90, 100)),
        ("bytes=-7", range(93, 100)),
        ("bytes=-700", range(100)),
        ("bytes=90-700", range(90, 100)),
        ("Bytes= 0 - 0 ", range(1)),
        ("bytes=9-3", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=१-२", None),
        ("items=0-9", None),
        ("bytes=" + "0" * 300 + "-", None),
    ],
)
def test_a_range_is_what_the_rule_says(header, wanted):
    assert asked_range(header, 100) == wanted


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=-0", "bytes=0-1,5-6", "bytes=,", "bytes=9999999999999999999-"])
def test_a_range_that_cannot_be_given_is_told(header):
    with pytest.raises(Unsatisfiable):
        asked_range(header, 100)


@given(st.integers(0, 10), st.text("bytes=0123456789-, ", max_size=30))
def test_any_header_gives_a_part_of_the_content_or_all_of_it(size, header):
    try:
        part = asked_range(header, size)
    except Unsatisfiable:
        return
    assert part is None or 0 <= part.start < part.stop <= size


@given(NAMES)
@example("../../etc/passwd")
@example("..\\..\\a.jpg")
@example("CON.jpg")
@example("a.jpg\r\nX: 1")
@example("\u202egpj.exe")
@example(".")
def test_names_are_safe_everywhere(name):
    safe = safe_name(name)
    assert safe and len(safe.encode()) <= LONGEST + 1
    assert not set(safe) & set('/\\:*?"<>|') and safe.strip(" .") == safe.rstrip(" .").lstrip() == safe
    assert not [one for one in safe if unicodedata.category(one) in ("Cc", "Cf", "Cs")]
    assert not re.match(r"(con|nul|com1)(\.|$)", safe, re.IGNORECASE)


@given(st.lists(st.sampled_from(["a.jpg", "A.JPG", "a (2).jpg", "b/a.jpg", "é", "e\u0301", "missing.txt"]) | NAMES))
def test_names_of_an_archive_differ_for_every_file_system(names):
    distinct = DistinctNames(("missing.txt",))
    found = [distinct.of(name) for name in names]
    assert len({folded(name) for name in [*found, "missing.txt"]}) == len(found) + 1


def test_names_keep_their_suffix_and_get_a_number():
    distinct = DistinctNames()
    assert [distinct.of(name) for name in ("x/照片.jpg", "y/照片.jpg", "z/照片.JPG")] == [
        "照片.jpg", "照片 (2).jpg", "照片 (3).JPG",
    ]  # fmt: skip
    assert distinct.of("照" * 200 + ".jpg").endswith("照.jpg")


@given(NAMES)
def test_a_header_gives_the_name_back_and_is_one_line(name):
    safe = safe_name(name)
    header = disposition("attachment", safe)
    assert header.isascii() and header.isprintable()
    message = Message()
    message["Content-Disposition"] = header
    assert message.get_content_disposition() == "attachment"
    plain, extended = re.fullmatch(r'attachment; filename="([^"\\]*)"(?:; filename\*=UTF-8\'\'(\S+))?', header).groups()
    assert (extended is None) == (plain == safe)
    assert extended is None or message.get_filename() is not None


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("GIF", "image/gif"), ("WEBP", "image/webp"), ("PPM", UNKNOWN)],
)
def test_media_types_of_pictures(kind, wanted):
    assert media_type_of(encoded(colours(1), kind)) == wanted


@pytest.mark.parametrize("head", [b"", b"<svg xmlns=", b"<!DOCTYPE html>", b"%PDF-1.7", b"MZ", b"#!/bin/sh"])
def test_nothing_else_is_shown(head):
    assert media_type_of(head) == UNKNOWN
