"""Pages of documentation: contents of the long ones, the page of questions. Links: tests/test_translations.py."""

import re

import pytest

from ernie_vil2.pages.markdown import anchor
from tests.conftest import ROOT

LONG = 200
"""Lines above which a page has contents at its head"""

PAGES = sorted((ROOT / "docs").glob("*.md"))
LONG_PAGES = [page for page in PAGES if page.read_text(encoding="utf-8").count("\n") > LONG]


def text_of(path):
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", LONG_PAGES, ids=lambda path: path.name)
def test_a_long_page_has_contents_of_all_its_sections(path):
    head, *parts = text_of(path).split("\n## ")
    linked = set(re.findall(r"\]\(#([^)]+)\)", head))
    assert {anchor(part.partition("\n")[0]) for part in parts} - linked == set()


def test_the_page_of_questions_leads_to_every_page():
    linked = set(re.findall(r"\]\(([\w]+\.md)", text_of(ROOT / "docs" / "README.md")))
    assert {page.name for page in PAGES} - linked == {"README.md"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_a_command_needs_is_said_in_one_form(path):
    for block in re.findall(r"^```bash\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            assert not re.match(r"#\s*needs?\b", line, re.IGNORECASE) or re.match(r"# needs: \S", line), line
