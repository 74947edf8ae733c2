"""Columns of a terminal: a Chinese character takes two, and what is cut ends where it must."""

from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.pages.terminal import aligned, beginning, columns, ending

LINES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), max_size=30)


def test_wide_characters_take_two_columns():
    assert [columns(text) for text in ("", "abc", "上海", "ｶﾅ", "（上）", "e\u0301")] == [0, 3, 4, 2, 6, 1]


@given(LINES, st.integers(0, 40))
def test_what_is_cut_fits(text, most):
    for cut in (beginning, ending):
        assert columns(cut(text, most)) <= most or text == ""
        assert cut(text, columns(text)) == text


def test_a_text_is_cut_at_its_end_and_a_path_at_its_beginning():
    assert beginning("夕阳下的帆船", 7) == "夕阳下…" and ending("2021/上海/外滩.jpg", 9) == "…外滩.jpg"
    assert beginning("夕阳下的帆船", 6) == "夕阳…"


@given(st.lists(st.tuples(LINES, LINES, LINES), min_size=1, max_size=5))
def test_cells_begin_where_those_above_begin(rows):
    rows = [tuple(cell.replace(" ", "x") + "|" for cell in row) for row in rows]
    for row, line in zip(rows, aligned(rows).splitlines(), strict=True):
        first = max(columns(one[0]) for one in rows) + 2
        assert columns(line[: line.index(row[1], len(row[0]))]) == first
    right = aligned(rows, right=(2,)).splitlines()
    assert len({columns(line) for line in right}) == 1
