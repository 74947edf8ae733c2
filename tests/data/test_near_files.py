"""A row whose file is missing is told which file it may mean, whatever folder, case or suffix that has."""

import csv

import pytest

from ernie_vil2.data.check import near_files
from ernie_vil2.data.check.check import check
from ernie_vil2.data.sources.open import open_source


def folder_of(tmp_path, files, names, table="商品表.csv"):
    """The source of a table that names pictures, beside a folder that has files."""
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    with open(tmp_path / table, "w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([("图片", "标题"), *((name, f"商品 {name}") for name in names)])
    return open_source(tmp_path / table)


def checked(tmp_path, files, names):
    return check(folder_of(tmp_path, files, names), decode_images=False)


@pytest.mark.parametrize(
    "named, there",
    [
        ("图片/春季/红裙.jpg", "图片/夏季/红裙.jpg"),
        ("图片\\春季\\红裙.jpg", "图片/夏季/红裙.jpg"),
        ("图片/春季/红裙.JPG", "图片/春季/红裙.jpg"),
        ("图片/春季/红裙.jpeg", "图片/春季/红裙.png"),
        ("图片/春季/A 1（样图）.jpg", "图片/夏季/a1(样图).png"),
        ("红裙.jpg", "图片/红裙.jpg"),
    ],
)
def test_a_file_of_nearly_the_same_name_is_named_with_the_fix(tmp_path, named, there):
    report = checked(tmp_path, [there, "图片/别的.jpg"], [named, "图片/别的.jpg"])
    (row,) = report.bad_rows
    assert row.near == [there] and f"if '{there}' is meant, write that" in row.fix
    assert report.rows_elsewhere == 1 and "1 of these lie" in str(report)


@pytest.mark.parametrize(
    "there", ["图片/春季/绿裙.jpg", "图片/春季/红裙.txt", "图片/.红裙/红裙.jpg", "图片/春季/红裙2.jpg"]
)
def test_other_files_are_not_named(tmp_path, there):
    report = checked(tmp_path, ["a.jpg", there], ["a.jpg", "春季/红裙.jpg"])
    (row,) = report.bad_rows
    assert not row.near and "add the file, correct its name, or delete the row" in row.fix
    assert not report.rows_elsewhere and "lie elsewhere" not in str(report)


def test_a_file_that_no_row_names_comes_before_others_and_then_what_is_most_alike(tmp_path):
    files = [f"{folder}/IMG_1.jpg" for folder in ("2024/春", "2024/夏", "2025/春", "2025/夏")] + ["2024/春季/IMG_1.PNG"]
    report = checked(tmp_path, files, [*files[:3], "2024/春季/IMG_1.jpg"])
    (row,) = report.bad_rows
    unused = ["2025/夏/IMG_1.jpg", "2024/春季/IMG_1.PNG"]
    used = ["2024/夏/IMG_1.jpg", "2024/春/IMG_1.jpg", "2025/春/IMG_1.jpg"]
    assert row.near == unused + used
    assert "or one of 4 more of nearly that name" in row.fix


@pytest.mark.parametrize(
    "first, second",
    [("2025/夏/a.jpg", "1/夏/a.jpg"), ("2025/春/a.png", "2025/春/A/a.png"), ("1/夏/a.jpg", "2025/春/a.png")],
)
def test_the_same_name_counts_most_then_the_same_folder_then_folders_that_are_shared(tmp_path, first, second):
    (row,) = checked(tmp_path, ["b.jpg", first, second], ["b.jpg", "2025/春/a.jpg"]).bad_rows
    assert row.near == [first, second]


def test_rows_of_json_lines_are_told_too(tmp_path):
    folder_of(tmp_path, ["photos/a.jpg"], ["x"])
    (tmp_path / "t.jsonl").write_text('{"image": "photo/a.jpg", "text": "x"}\n', encoding="utf-8")
    (row,) = check(open_source(tmp_path / "t.jsonl"), decode_images=False).bad_rows
    assert row.near == ["photos/a.jpg"]


def test_every_missing_file_counts_and_few_are_held(tmp_path, monkeypatch):
    monkeypatch.setattr(near_files, "KEPT", 30)
    monkeypatch.setattr(near_files, "MOST", 2)
    files = [f"{folder}/{number}.jpg" for folder in "abc" for number in range(40)]
    report = checked(tmp_path, files, [f"d/{number}.jpg" for number in range(40)])
    assert len(report.bad_rows) == 20 and all(len(row.near) == 2 for row in report.bad_rows)
    assert (report.rows_without_file, report.rows_elsewhere) == (40, 30)


def test_no_folder_is_walked_where_nothing_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(near_files.os, "walk", lambda top: pytest.fail(f"{top} was walked"))
    finder = near_files.NearFiles()
    finder.look()
    assert finder.of(0) == [] and finder.rows_elsewhere() == 0
