"""Pages of documentation lead where they say: contents of the long ones, links, the page of questions."""

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


def headings(path, level="#{1,6}"):
    return re.findall(rf"^{level} (.+)$", text_of(path), re.MULTILINE)


@pytest.mark.parametrize("path", LONG_PAGES, ids=lambda path: path.name)
def test_a_long_page_has_contents_of_all_its_sections(path):
    head = text_of(path).split("\n## ")[0]
    linked = set(re.findall(r"\]\(#([^)]+)\)", head))
    assert {anchor(heading) for heading in headings(path, "##")} - linked == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_to_pages_and_sections_lead_somewhere(path):
    for name, section in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", text_of(path)):
        target = path.parent / name if name else path
        assert target.exists(), name
        if section:
            assert section in map(anchor, headings(target)), f"{name}#{section}"


def test_the_page_of_questions_leads_to_every_page():
    linked = set(re.findall(r"\]\(([\w]+\.md)", text_of(ROOT / "docs" / "README.md")))
    assert {page.name for page in PAGES} - linked == {"README.md"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_a_command_needs_is_said_in_one_form(path):
    for block in re.findall(r"^```bash\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            assert not re.match(r"#\s*needs?\b", line, re.IGNORECASE) or re.match(r"# needs: \S", line), line
