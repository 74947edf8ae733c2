"""Asking: in words while they are typed, by pictures that are dropped, pasted or clicked, with weights and minus."""

import re

import pytest
from playwright.sync_api import expect

from tests.page.elements import (
    answered,
    api,
    ask,
    box,
    card,
    cards,
    expect_ids,
    hand_over,
    ids,
    named,
    names,
    said,
    search,
    type_fast,
)
from tests.page.indexes import AGAIN, SHAPES

HOME = f"/#/search?index={SHAPES}"


@pytest.fixture
def red_circle(made):
    """{name: (media type, bytes)} of a picture that the index has."""
    return {"mine.jpg": ("image/jpeg", (made / "shapes" / "sand" / "red_circle.jpg").read_bytes())}


@pytest.mark.parametrize(("language", "text"), [("en", "a red circle on the sand"), ("zh", "沙滩上有一个红色的圆形")])
@pytest.mark.parametrize("width", ["desktop", "phone"])
def test_answers_come_while_typing(visit, server, shoot, language, text, width):
    page = visit(HOME, language, width=width)
    expect(page.locator("html")).to_have_attribute("lang", re.compile(language))
    expect_ids(page, search(server, SHAPES))
    half = text[: len(text) // 2]
    type_fast(page, half)
    expect_ids(page, search(server, SHAPES, [{"text": half}]))
    type_fast(page, text[len(half) :])
    expect_ids(page, search(server, SHAPES, [{"text": text}]))
    assert names(page)[0].startswith("red_circle.jpg")
    asked = [request.post_data_json for request in page.watch.requests if request.url.endswith("/search")]
    texts = [part["text"] for body in asked if body["page"] == 1 for part in body["parts"]]
    assert texts == [half, text], "once a pause, not once a letter"
    expect(page.get_by_text(said("count.found", language, count=111))).to_be_visible()
    shoot(page, "answers", language, width)


def test_enter_asks_at_once_and_back_goes_back(visit, server):
    page = visit(HOME)
    newest = search(server, SHAPES)
    expect_ids(page, newest)
    ask(page, "a blue square")
    box(page).press("Enter")
    expect_ids(page, search(server, SHAPES, [{"text": "a blue square"}]))
    ask(page, "a green cross")
    box(page).press("Enter")
    expect_ids(page, search(server, SHAPES, [{"text": "a green cross"}]))
    page.go_back()
    expect(box(page)).to_have_value("a blue square")
    expect_ids(page, search(server, SHAPES, [{"text": "a blue square"}]))


def test_a_link_brings_the_whole_query_back(visit, server):
    page = visit(HOME)
    ask(page, "a red circle")
    with answered(page):
        card(page, "red_circle.jpg").hover()
        named(card(page, "red_circle.jpg"), "button", "card.unlike").click()
    expect(page.get_by_role("list", name=said("box.query")).get_by_role("listitem")).to_have_count(1)
    shown = page.url.partition("/#")[2]
    number = re.search(r"not=i%3A(\d+)", shown)[1]
    again = visit("/#" + shown, theme="dark")
    wanted = search(server, SHAPES, [{"text": "a red circle"}], minus=[{"id": int(number)}])
    expect_ids(again, wanted)
    assert ids(page)[:20] == wanted[:20]


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_a_picture_that_is_given_is_searched_by(visit, shoot, red_circle, how):
    page = visit(HOME)
    expect(cards(page).first).to_be_visible()
    with answered(page, "/uploads"):
        hand_over(page, red_circle, how)
    expect(cards(page).first).to_have_accessible_name(said("card.scored", name="red_circle.jpg", score="1.00"))
    chip = page.get_by_role("list", name=said("box.query")).get_by_role("listitem")
    expect(chip).to_have_count(1)
    expect(chip.get_by_role("img")).to_be_visible()
    shoot(page, "picture", how)
    with answered(page):
        box(page).fill("水面")
    expect(chip).to_have_count(1)
    named(chip, "button", "part.remove").click()
    expect(chip).to_have_count(0)


def test_a_chosen_file_is_searched_by(visit, made):
    page = visit(HOME)
    with page.expect_file_chooser() as chooser:
        named(page, "button", "box.pictures").first.click()
    with answered(page):
        chooser.value.set_files(made / "shapes" / "snow" / "black_cross.jpg")
    expect(cards(page).first).to_have_accessible_name(said("card.scored", name="black_cross.jpg", score="1.00"))


def test_more_like_this_and_not_like_this(visit, server, shoot):
    page = visit(HOME)
    ask(page, "一个红色的圆形")
    expect_ids(page, search(server, SHAPES, [{"text": "一个红色的圆形"}]))
    chosen = card(page, "red_square.jpg")
    number = int(chosen.get_attribute("data-id"))
    chosen.hover()
    with answered(page):
        named(chosen, "button", "card.like").click()
    expect_ids(page, search(server, SHAPES, [{"id": number}]))
    unwanted = card(page, "orange_square.jpg")
    other = int(unwanted.get_attribute("data-id"))
    unwanted.hover()
    with answered(page):
        named(unwanted, "button", "card.unlike").click()
    expect_ids(page, search(server, SHAPES, [{"id": number}], minus=[{"id": other}]))
    chips = page.get_by_role("list", name=said("box.query")).get_by_role("listitem")
    expect(chips.nth(1)).to_have_accessible_name(said("part.named_minus"))
    shoot(page, "minus")
    with answered(page):
        named(chips.nth(1), "button", "part.less").click()
    expect_ids(page, search(server, SHAPES, [{"id": number}], minus=[{"id": other, "weight": 0.75}]))


def test_a_text_may_be_taken_away(visit, server):
    page = visit(HOME)
    ask(page, "一个红色的圆形")
    named(page, "button", "box.without").click()
    with answered(page):
        box(page).fill("沙滩")
        box(page).press("Enter")
    expect_ids(page, search(server, SHAPES, [{"text": "一个红色的圆形"}], minus=[{"text": "沙滩"}]))


def test_the_grid_loads_on_while_scrolling(visit, server):
    page = visit(HOME)
    expect(cards(page)).to_have_count(40)
    page.evaluate("document.querySelectorAll('[role=gridcell]').forEach(cell => (cell.dataset.first = ''))")
    while (count := cards(page).count()) < 111:
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        expect(cards(page)).not_to_have_count(count)
    expect(page.locator("[role=gridcell][data-first]")).to_have_count(40)
    wanted = [number for at in (1, 2, 3) for number in search(server, SHAPES, page=at)]
    assert ids(page) == wanted and len(set(wanted)) == 111
    expect(page.get_by_text(said("more.end"))).to_be_visible()


def test_newest_pictures_and_examples_before_anything_is_asked(visit, server, shoot):
    page = visit(HOME)
    expect_ids(page, search(server, SHAPES))
    assert names(page)[0] == "red_circle.jpg"
    shoot(page, "start")
    example = page.locator(".examples").get_by_role("button").first
    text = example.inner_text()
    with answered(page):
        example.click()
    expect(box(page)).to_have_value(text)
    expect_ids(page, search(server, SHAPES, [{"text": text}]))


def test_filters_narrow_and_say_what_is_wrong(visit, server, shoot):
    page = visit(HOME)
    named(page, "button", "filters").first.click()
    panel = page.get_by_role("region", name=said("filters"))
    with answered(page):
        panel.get_by_role("checkbox", name=re.compile("绿色")).check()
    expect_ids(page, search(server, SHAPES, filter="tag:绿色"))
    assert all(name.startswith("green_") for name in names(page))
    line = panel.get_by_role("textbox", name=said("filters.line"))
    expect(line).to_have_value("tag:绿色")
    with answered(page):
        line.fill("tag:绿色 folder:water")
    expect_ids(page, search(server, SHAPES, filter="tag:绿色 folder:water"))
    shoot(page, "filters")
    page.watch.expect("status of 400")
    with answered(page):
        line.fill("width>>12 tag:")
    alert = panel.get_by_role("alert")
    expect(alert).not_to_be_empty()
    expect(line).to_have_attribute("aria-invalid", "true")
    shoot(page, "filter-fault")
    line.fill("")
    expect(alert.filter(has_text=re.compile(r"\S"))).to_have_count(0)
    expect_ids(page, search(server, SHAPES))


def test_the_threshold_says_what_it_means_and_hides_what_is_below(visit, server, shoot):
    page = visit(HOME)
    text = "一个红色的圆形"
    ask(page, text)
    slider = page.get_by_role("slider", name=said("threshold"))
    expect(page.get_by_text(said("threshold.none"))).to_be_visible()
    with answered(page):  # a step that is asked for by itself: what stands in the address is what is shown
        slider.fill("125")
    with answered(page):
        slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("picture"))
    value = float(re.search(r"from=([\d.]+)", page.url)[1])
    wanted = search(server, SHAPES, [{"text": text}], threshold=value)
    assert 0 < len(wanted) < 111
    expect_ids(page, wanted)
    shoot(page, "threshold")
    with answered(page):
        page.get_by_role("button", name=re.compile("fits")).click()
    wanted = search(server, SHAPES, [{"text": text}], threshold="fits")
    expect(cards(page)).to_have_count(len(wanted))
    assert ids(page) == wanted


def test_captions_and_tags_can_be_looked_for(visit, server, shoot):
    page = visit(HOME)
    ask(page, "red circle")
    with answered(page):
        page.get_by_role("radiogroup").get_by_text(said("of.captions")).click()
    best = api(server, f"indexes/{SHAPES}/search", {"parts": [{"text": "red circle"}], "of": "captions"})["hits"][0]
    found = page.get_by_role("list", name=said("results"))
    expect(found.get_by_role("listitem").first).to_contain_text(best["text"])
    shoot(page, "captions")


def test_another_index_of_the_same_server_can_be_asked(visit, server):
    page = visit(HOME)
    ask(page, "a red circle")
    with answered(page):
        page.get_by_role("combobox", name=said("index.choose")).select_option(AGAIN)
    expect_ids(page, search(server, AGAIN, [{"text": "a red circle"}]))
