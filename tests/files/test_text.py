"""One text, however it was saved: every reader of the product gives the same for a mark, any line end, or none."""

import pytest

from ernie_vil2.errors import DataError, UserError
from ernie_vil2.evaluation.embeddings import read_embeddings
from ernie_vil2.evaluation.retrieval import evaluate
from ernie_vil2.files.text import decode_text, read_lines, split_lines
from tests.files.kinds import BOM, FORMS, LINES, WHOLE, saved

WIDE = [form for form in FORMS if "utf" in form]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", WHOLE)
def test_a_whole_file_is_read_the_same_however_it_was_saved(tmp_path, kind, form):
    path, read = saved(tmp_path, WHOLE, kind)
    wanted = read(path)
    assert read(saved(tmp_path, WHOLE, kind, form)[0]) == wanted


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", LINES)
def test_a_file_of_lines_is_read_the_same_however_it_was_saved(tmp_path, kind, form):
    if kind == "embeddings" and form in ("lone cr", *WIDE):
        pytest.skip("vectors are written by programs")
    path, read = saved(tmp_path, LINES, kind)
    wanted = read(path)
    assert read(saved(tmp_path, LINES, kind, form)[0]) == wanted


@pytest.mark.parametrize("form", WIDE)
def test_vectors_in_utf_16_are_one_sentence(tmp_path, form):
    path, read = saved(tmp_path, LINES, "embeddings", form)
    with pytest.raises(DataError, match="UTF-16 text; save it as UTF-8") as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("bad", [b"\n\xc4\xe3", "\n狗".encode("utf-16-le")])
def test_bytes_that_are_no_text_are_one_sentence(tmp_path, kind, bad):
    path, read = saved(tmp_path, WHOLE, kind)
    path.write_bytes(path.read_bytes() + bad)
    with pytest.raises(UserError) as caught:
        read(path)
    assert "\n" not in str(caught.value) and "; " in str(caught.value)


def test_the_line_of_what_is_no_text_is_named():
    with pytest.raises(
        DataError, match=r"a.txt:4: the file is not UTF-8 \(byte 0xff at position 8\); save it as UTF-8"
    ):
        decode_text(b"a\nb\r\nc\r\xff", "a.txt")
    with pytest.raises(DataError, match="a.txt:2: the file holds a zero byte"):
        decode_text("a\n猫".encode("utf-16-le").replace(b"a\0", b"a"), "a.txt")


def test_lines_end_nowhere_else():
    text = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g"
    assert split_lines(text) == [text] and split_lines("a\n\nb\r") == ["a", "", "b"] and split_lines("") == []


def test_marks_inside_joined_lists_are_dropped(tmp_path):
    (tmp_path / "ids.txt").write_bytes(BOM + b"1\n" + BOM + b"2\n")
    assert read_lines(tmp_path / "ids.txt") == ["1", "2"]


def test_image_ids_with_a_mark_give_the_figures_of_plain_ones(tmp_path):
    (tmp_path / "vectors.txt").write_text("1 0\t1 0\t1\n0 1\t0 1\t1\n1 0\t1 0\t1\n")
    figures = []
    for mark in (b"", BOM):
        (tmp_path / "ids.txt").write_bytes(mark + b"7\n8\n7\n")
        figures.append(evaluate(read_embeddings(tmp_path / "vectors.txt", tmp_path / "ids.txt")))
    assert figures[0] == figures[1] and figures[0]["standard"]["t2i_r1"] == 100
