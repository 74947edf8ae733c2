"""Near-duplicates of an index as a person and a program see them."""

import json

import pytest

from ernie_vil2.cli.index import main as tool
from ernie_vil2.errors import UserError
from ernie_vil2.search.store.columns import ImageRow
from ernie_vil2.search.store.writer import open_writer
from tests.search.store.indexes import manifest, unit

PICTURES = [
    # name, vector, width, digest, size
    ("2021/large.jpg", 1, 4000, b"a", 3_000_000),
    ("2021/other.jpg", 2, 3000, b"b", 1_000_000),
    ("2022/small.jpg", 1, 800, b"c", 100_000),
    ("2022/copy.jpg", 1, 4000, b"a", 3_000_000),
    ("2022/\udcc3.jpg", 3, 10, b"d", 500),
]


@pytest.fixture
def index(tmp_path):
    with open_writer(tmp_path / "index", manifest()) as writer:
        root = writer.root("photos", "/nowhere/photos", "files")
        rows = [
            ImageRow(
                root,
                name.encode("utf-8", "replace").decode(),
                name.encode("utf-8", "surrogateescape"),
                name[:4],
                width,
                3000,
                size,
                digest=digest,
            )
            for name, _, width, digest, size in PICTURES
        ]
        writer.add(rows, unit([vector for _, vector, *_ in PICTURES]))
        writer.set_threshold("same", {"threshold": 0.9, "of": "image-image"})
        writer.set_threshold("fits", {"threshold": 0.3, "of": "text-image"})
        writer.commit()
    return str(tmp_path / "index")


def test_a_person_sees_groups_with_the_largest_picture_first(index, capsys):
    tool.main(["duplicates", index])
    out, err = capsys.readouterr()
    assert [line.split() for line in out.splitlines()] == [
        ["first", "0", "2021/large.jpg", "4000x3000", "3.0", "MB"],
        ["copy", "3", "2022/copy.jpg", "4000x3000", "3.0", "MB"],
        ["1.0000", "2", "2022/small.jpg", "800x3000", "0.1", "MB"],
    ]
    told = (
        "groups: 1; pictures in them: 3, exact copies of the first: 1; without all but the first of each, 3.1 MB less"
    )
    assert err.splitlines()[-1] == told


def test_a_program_reads_a_line_of_json_for_each_group(index, capsys):
    tool.main(["duplicates", index, "--json", "--threshold", "-1"])
    groups = [json.loads(line)["pictures"] for line in capsys.readouterr().out.splitlines()]
    assert [[picture["id"] for picture in group] for group in groups][0][0] == 0
    (bytes_of_a_name,) = [one["path"] for group in groups for one in group if one["id"] == 4]
    assert bytes_of_a_name == "/nowhere/photos/2022/\udcc3.jpg"
    assert sorted(picture["id"] for group in groups for picture in group) == list(range(5))
    assert [picture["id"] for group in groups for picture in group if picture["copy"]] == [3]
    assert groups[0][0]["path"] == "/nowhere/photos/2021/large.jpg" and groups[0][0]["missing"]


def test_what_a_filter_leaves_out_is_in_no_group(index, capsys):
    tool.main(["duplicates", index, "--json", "--filter", "folder:2022"])
    (group,) = [json.loads(line)["pictures"] for line in capsys.readouterr().out.splitlines()]
    assert [picture["id"] for picture in group] == [3, 2]
    tool.main(["duplicates", index, "--filter", "folder:2021"])
    assert "no two pictures are as like each other" in capsys.readouterr().err


def test_a_threshold_is_named_if_it_is_one_of_pictures(index, capsys):
    tool.main(["duplicates", index, "--threshold", "same"])
    assert capsys.readouterr().out.count("\n") == 3
    for threshold, told in (
        ("fits", "calibrated on pairs text-image"),
        ("2", "a cosine is from -1 to 1"),
        ("x", "no thr"),
    ):
        with pytest.raises(UserError, match=told):
            tool.main(["duplicates", index, "--threshold", threshold])
