"""Every command of README and of the documents is typed, in order, in an empty folder where the wheel is installed."""

import pytest

from tests.conftest import ROOT
from tests.documents.page_script import LONG, NEEDS, PAGES, blocks, script


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES if script(page)[1] and page not in LONG], ids=lambda page: page.name
)
def test_what_a_page_says_can_be_typed(page, typed):
    typed(page)


def test_a_page_that_is_not_typed_says_of_every_command_what_it_needs():
    for page in PAGES:
        _, typed, left_out = script(page)
        bash = [block for language, _, block in blocks(page) if language == "bash"]
        assert typed or left_out or not bash, page.name
        assert typed or all(any(line.startswith(NEEDS) for line in block) for block in bash), page.name


def test_most_commands_are_typed():
    done = {page: script(page)[1:] for page in PAGES}
    typed, left_out = done[ROOT / "README.md"]
    assert typed >= 49 and len(left_out) <= 10, left_out
    every = sum(typed for typed, _ in done.values()), sum(len(left_out) for _, left_out in done.values())
    assert every[0] >= 2.5 * every[1], every
