"""Tables and paragraphs of Markdown pages."""

import pytest

from ernie_vil2.pages.markdown import filled, markdown


def test_the_first_column_is_on_the_left_and_the_others_on_the_right():
    assert markdown(["run", "R@1", "seeds"], [["a", "3.5", 2], ["b", "–", 1]]).splitlines() == [
        "| run | R@1 | seeds |",
        "| --- | ---: | ---: |",
        "| a | 3.5 | 2 |",
        "| b | – | 1 |",
    ]


@pytest.mark.parametrize("words", [1, 30, 200])
def test_a_paragraph_keeps_its_words_in_lines_that_fit(words):
    text = filled("\n   ".join(["word"] * words), "- ", "  ")
    first, *others = text.split("\n")
    assert first.startswith("- ") and all(line.startswith("  ") for line in others)
    assert text.split() == ["-", *["word"] * words] and max(map(len, text.split("\n"))) <= 120
