"""The whole way from loading to an opened picture by keyboard alone, and by fingers alone."""

import pytest
from playwright.sync_api import expect

from tests.page.elements import answered, api, ask, box, cards, expect_ids, ids, named, said, search
from tests.page.indexes import SHAPES

HOME = f"/#/search?index={SHAPES}"

INDEXES_CHANGE = """async () => {
    const { set, state } = await import("/static/core/state.js");
    set({ indexes: [...state.indexes] });
}"""
"""What happens when the page looks at the indexes from time to time and finds something new."""


def focused(page):
    """Id of the picture that has the focus."""
    return page.evaluate("() => Number(document.activeElement.closest('[role=gridcell]')?.dataset.id ?? -1)")


def test_by_keyboard_alone(visit, server, shoot):
    page = visit(HOME)
    expect(cards(page).first).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(box(page)).to_be_focused()
    with answered(page):
        page.keyboard.type("一个绿色的十字")
        page.keyboard.press("Enter")
    wanted = search(server, SHAPES, [{"text": "一个绿色的十字"}])
    expect_ids(page, wanted)
    for _ in range(25):
        page.keyboard.press("Tab")
        if focused(page) >= 0:
            break
    assert focused(page) == wanted[0], "Tab reaches the pictures, the first of them first"
    page.keyboard.press("ArrowRight")
    assert focused(page) == wanted[1]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    assert focused(page) in wanted[2:]
    page.keyboard.press("ArrowUp")
    assert focused(page) in wanted[:3]
    page.keyboard.press("Home")
    shoot(page, "focus")
    page.keyboard.press("x")
    expect(page.get_by_text(said("tray.count", count=1)).first).to_be_visible()
    page.keyboard.press("Enter")
    name = api(server, f"indexes/{SHAPES}/pictures/{wanted[0]}")["name"]
    expect(page.get_by_role("dialog", name=name)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert focused(page) == wanted[0]
    with answered(page):
        page.keyboard.press("m")
    expect_ids(page, search(server, SHAPES, [{"id": wanted[0]}]))


def test_one_can_type_at_once(visit):
    page = visit(HOME)
    expect(cards(page).first).to_be_visible()
    expect(box(page)).to_be_focused()


def test_escape_closes_the_filters_and_leaves_the_query(visit):
    page = visit(f"{HOME}&q=cat")
    opener = named(page, "button", "filters").first
    opener.press("Enter")
    expect(page.get_by_role("region", name=said("filters"))).to_be_visible()
    opener.press("Escape")
    expect(page.get_by_role("region", name=said("filters"))).to_be_hidden()
    expect(box(page)).to_have_value("cat")


def test_more_like_a_card_by_a_finger(visit, server):
    page = visit(HOME, width="phone", touch=True)
    expect(cards(page).first).to_be_visible()
    number = ids(page)[0]
    with answered(page):
        named(cards(page).first, "button", "card.like").tap()
    expect_ids(page, search(server, SHAPES, [{"id": number}]))


def test_exactly_one_picture_is_reached_by_tab(visit):
    page = visit(HOME)
    expect(cards(page).first).to_be_visible()
    assert cards(page).evaluate_all("cells => cells.filter(cell => cell.tabIndex === 0).length") == 1


def test_the_keys_are_told(visit, shoot):
    page = visit(HOME)
    expect(cards(page).first).to_be_visible()
    page.evaluate("() => document.activeElement.blur()")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name=said("keys"))
    expect(dialog.get_by_text(said("keys.focus"))).to_be_visible()
    shoot(page, "keys")


def test_a_chinese_word_that_is_being_composed_is_let_be(visit):
    """What an input method does: letters are in the field before the word is chosen, and Enter chooses it."""
    page = visit(HOME)
    expect(cards(page).first).to_be_visible()
    box(page).focus()
    client = page.context.new_cdp_session(page)
    client.send("Input.imeSetComposition", {"text": "hong", "selectionStart": 4, "selectionEnd": 4})
    page.evaluate(INDEXES_CHANGE)
    assert box(page).input_value() == "hong"
    asked = [request for request in page.watch.requests if request.url.endswith("/search")]
    assert all(not request.post_data_json["parts"] for request in asked)
    with answered(page):
        client.send("Input.insertText", {"text": "红色"})
    expect(box(page)).to_have_value("红色")


def test_letters_that_are_not_asked_yet_stay_when_an_index_has_changed(visit):
    page = visit(HOME)
    expect(cards(page).first).to_be_visible()
    typed = """async () => {
        const { set, state } = await import("/static/core/state.js");
        const field = document.querySelector("[type=search]");
        field.value = "a red";
        field.dispatchEvent(new InputEvent("input"));
        set({ indexes: [...state.indexes] });
        return field.value;
    }"""
    assert page.evaluate(typed) == "a red"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_by_fingers_alone(visit, server, shoot, language):
    page = visit(f"{HOME}&filter=picture", language, width="phone", touch=True)
    box(page).tap()
    with answered(page):
        page.keyboard.type("一个蓝色的圆形")
    wanted = search(server, SHAPES, [{"text": "一个蓝色的圆形"}], filter="picture")
    expect_ids(page, wanted)
    cards(page).first.tap(position={"x": 40, "y": 60})
    hits = [api(server, f"indexes/{SHAPES}/pictures/{number}") for number in wanted[:2]]
    expect(page.get_by_role("dialog", name=hits[0]["name"])).to_be_visible()
    shoot(page, "touch", language)
    swipe(page, -1)
    expect(page.get_by_role("dialog", name=hits[1]["name"])).to_be_visible()
    swipe(page, 1)
    expect(page.get_by_role("dialog", name=hits[0]["name"])).to_be_visible()
    named(page.get_by_role("dialog"), "button", "viewer.close", language).tap()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert ids(page)[:10] == wanted[:10]


def test_a_finger_hits_what_it_is_on_while_one_types(visit):
    """Nothing above it may go away with the focus of the box, before the finger is up."""
    page = visit(HOME, width="phone", touch=True)
    ask(page, "red circle")
    expect(box(page)).to_be_focused()
    captions = page.get_by_role("radio", name=said("of.captions"))
    page.get_by_role("radiogroup").get_by_text(said("of.captions")).tap()
    expect(captions).to_be_checked()


def swipe(page, direction):
    """A finger moves over the picture that is open, to the left (-1) or the right."""
    place = page.locator(".stage").bounding_box()  # the picture itself is replaced while it loads
    middle = (place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    client = page.context.new_cdp_session(page)
    steps = [(middle[0] + direction * 18 * step, middle[1]) for step in range(-5, 6)]
    for number, (x, y) in enumerate(steps):
        kind = "touchStart" if not number else "touchMove"
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    page.wait_for_timeout(200)  # it rests before it leaves: the browser takes no tap from one that was thrown
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_what_fingers_touch_is_large_enough(visit):
    page = visit(HOME, width="phone", touch=True)
    expect(cards(page).first).to_be_visible()
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, a[href], select, input:not([type=range]):not([hidden])")]
            .map(node => [node.ariaLabel || node.textContent.trim(), node.closest("label") ?? node])
            .map(([name, node]) => [name, node.getBoundingClientRect()])
            .filter(([, box]) => box.width && box.height && (box.width < 39 || box.height < 39))
            .map(([name, box]) => `${name}: ${Math.round(box.width)} x ${Math.round(box.height)}`)"""
    )
    assert small == []
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "nothing reaches over the edge"
    cut = page.evaluate(
        """() => [...document.querySelectorAll("[role=gridcell] button")]
            .filter(node => node.checkVisibility())
            .filter(node => node.getBoundingClientRect().right > node.closest(".card").getBoundingClientRect().right)
            .map(node => node.ariaLabel)"""
    )
    assert cut == []


def test_a_screen_reader_says_the_caption_of_a_card(visit, server):
    page = visit(HOME)
    hit = next(hit for hit in api(server, f"indexes/{SHAPES}/search", {"parts": []})["hits"] if hit["caption"])
    cell = page.locator(f"[role=gridcell][data-id='{hit['id']}']")
    expect(cell).to_have_accessible_description(hit["caption"])
