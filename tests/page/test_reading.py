"""What a screen reader is told: axe finds nothing to complain of in any view, and the tree is kept to be read."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.page.conftest import SHOTS
from tests.page.elements import answered, ask, card, cards, named, said
from tests.page.indexes import EMPTY, SHAPES
from tests.page.watching import AXE_RULES

HOME = f"/#/search?index={SHAPES}"


def judged(page, name):
    """Keep a picture and the tree of a view; AssertionError with what axe has to say against it."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")
    (SHOTS / f"{name}.txt").write_text(page.locator("body").aria_snapshot(), encoding="utf-8")
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": AXE_RULES}}).response["violations"]
    told = [f"{fault['id']}: {node['html'][:200]}" for fault in found for node in fault["nodes"]]
    assert told == []


def start(page, language):
    """The newest pictures."""


def answer(page, language):
    """Hits of a sentence, with the filters open and one picture selected."""
    ask(page, "一个红色的圆形")
    named(page, "button", "filters", language).first.click()
    first = cards(page).first
    first.focus()
    page.keyboard.press("x")
    expect(page.get_by_text(said("tray.count", language, count=1)).first).to_be_visible()


def texts(page, language):
    """Captions for a sentence."""
    ask(page, "red circle")
    with answered(page):
        page.get_by_role("radiogroup").get_by_text(said("of.captions", language)).click()


def viewer(page, language):
    """A picture over the page, with all of its sections open."""
    card(page, "green_triangle.jpg").click(position={"x": 60, "y": 60})
    dialog = page.get_by_role("dialog")
    for section in ("near", "labels", "compare"):
        dialog.get_by_text(said(f"viewer.{section}", language)).first.click()
    expect(dialog.get_by_text(said("texts.near_captions", language))).to_be_visible()


def compare(page, language):
    """Two indexes side by side."""
    page.get_by_role("link", name=said("view.compare", language)).click()
    field = named(page, "searchbox", "compare.query", language).or_(named(page, "textbox", "compare.query", language))
    with answered(page):
        field.first.fill("一个红色的圆形")
    expect(page.get_by_text("red_circle.jpg").or_(page.get_by_role("img")).first).to_be_visible()


def duplicates(page, language):
    """Groups of near-duplicates."""
    page.get_by_role("link", name=said("view.duplicates", language)).click()
    expect(page.get_by_text(said("duplicates.keep", language)).first).to_be_visible()


def empty(page, language):
    """An index without a picture."""
    page.get_by_role("combobox", name=said("index.choose", language)).select_option(EMPTY)
    expect(page.get_by_text(said("status.empty", language)).first).to_be_visible()


VIEWS = (start, answer, texts, viewer, compare, duplicates, empty)
LOOKS = [("en", "light", "desktop"), ("zh", "dark", "desktop"), ("en", "dark", "phone"), ("zh", "light", "phone")]


@pytest.mark.parametrize(("language", "theme", "width"), LOOKS)
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_axe_has_nothing_to_say_against_a_view(visit, view, language, theme, width):
    page = visit(HOME, language, theme=theme, width=width, touch=width == "phone")
    expect(cards(page).first).to_be_visible()
    view(page, language)
    page.wait_for_timeout(400)
    judged(page, f"{view.__name__}_{language}_{width}_{theme}")


def test_language_and_theme_are_changed_and_kept(visit, shoot):
    page = visit(HOME)
    expect(cards(page).first).to_be_visible()
    light = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    for before in ("theme.system", "theme.light"):
        named(page, "button", before, "zh").click()
    expect(named(page, "button", "theme.dark", "zh")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    dark = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert dark != light
    shoot(page, "dark", "zh")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == dark


def test_colours_are_those_of_the_system_until_others_are_chosen(visit):
    page = visit(HOME, theme="dark")
    expect(cards(page).first).to_be_visible()

    body = page.locator("body")
    dark = body.evaluate("body => getComputedStyle(body).backgroundColor")
    page.emulate_media(color_scheme="light")
    expect(body).not_to_have_css("background-color", dark)
    light = body.evaluate("body => getComputedStyle(body).backgroundColor")
    for before, chosen in (("theme.system", light), ("theme.light", dark)):
        named(page, "button", before).click()
        for system in ("dark", "light"):
            page.emulate_media(color_scheme=system)
            page.wait_for_timeout(300)
            expect(body).to_have_css("background-color", chosen)


def test_both_languages_have_the_same_words(made):
    import json

    from tests.page.elements import WORDS

    for part in ("words", "views"):
        english, chinese = (
            json.loads((WORDS / f"{part}_{language}.json").read_text("utf-8")) for language in ("en", "zh")
        )
        assert english.keys() == chinese.keys()
    words, views = (json.loads((WORDS / f"{part}_en.json").read_text("utf-8")) for part in ("words", "views"))
    assert not words.keys() & views.keys(), "a key in both files has the words of one of them only"
