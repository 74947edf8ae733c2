"""The pages with most commands, typed as those of test_commands.py are, beside them in another process."""

import pytest

from tests.documents.page_script import LONG


@pytest.mark.slow
@pytest.mark.parametrize("page", LONG, ids=lambda page: page.name)
def test_what_a_long_page_says_can_be_typed(page, typed):
    typed(page)
