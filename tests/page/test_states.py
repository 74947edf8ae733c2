"""What the page shows when there is nothing, or something is wrong: each state is a sentence and a way on."""

import contextlib
import re
import shutil

import pytest
from playwright.sync_api import Error, expect

from tests.page.elements import answered, ask, box, cards, expect_ids, named, said, search
from tests.page.indexes import AGAIN, BROKEN, EMPTY, SHAPES, VECTORS
from tests.page.servers import Server

REFUSED = r"net::ERR_|Failed to fetch|status of 50|status: 503"


def home(index):
    """The address of the search in an index."""
    return f"/#/search?index={index}"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_empty_index(visit, shoot, language):
    page = visit(home(EMPTY), language)
    expect(page.get_by_text(said("status.empty", language)).first).to_be_visible()
    shoot(page, "empty", language)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_broken_index(visit, shoot, language):
    page = visit(home(BROKEN), language)
    page.watch.expect(REFUSED)
    expect(page.get_by_text(said("status.broken", language)).first).to_be_visible()
    shoot(page, "broken", language)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_index_that_knows_no_model(visit, shoot, language):
    page = visit(home(VECTORS), language)
    expect(page.get_by_text(said("box.speechless", language))).to_be_visible()
    expect(cards(page)).to_have_count(12)
    first = cards(page).first
    first.hover()
    with answered(page):
        named(first, "button", "card.like", language).click()
    expect(cards(page)).to_have_count(12)
    shoot(page, "vectors", language)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_found_says_what_to_loosen(visit, shoot, language):
    page = visit(home(SHAPES) + "&filter=width%3E9000", language)
    expect(page.get_by_text(said("status.none", language)).first).to_be_visible()
    shoot(page, "none", language)
    with answered(page):
        named(page, "button", "none.filter", language).click()
    expect(cards(page).first).to_be_visible()


def test_a_slow_answer_is_waited_for_in_sight(visit, server, shoot):
    page = visit(home(SHAPES))
    expect(cards(page).first).to_be_visible()
    held = []
    page.route(re.compile("/search$"), lambda route: held.append(route))
    box(page).fill("一个红色的圆形")
    expect(page.locator(".progress")).to_be_visible()
    shoot(page, "slow")
    for route in held:
        route.continue_()
    page.unroute(re.compile("/search$"))
    expect_ids(page, search(server, SHAPES, [{"text": "一个红色的圆形"}]))


def test_an_older_answer_never_replaces_a_newer_one(visit, server):
    page = visit(home(SHAPES))
    expect(cards(page).first).to_be_visible()
    held = []

    def hold(route):
        if "blue" in route.request.post_data:
            held.append(route)
        else:
            route.continue_()

    page.route(re.compile("/search$"), hold)
    page.watch.expect("net::ERR_ABORTED")
    box(page).fill("a blue square")
    expect(page.locator(".progress")).to_be_visible()
    ask(page, "a red circle")
    wanted = search(server, SHAPES, [{"text": "a red circle"}])
    expect_ids(page, wanted)
    for route in held:
        late = route.fetch()
        with contextlib.suppress(Error):  # the page has left it
            route.fulfill(response=late)
    page.wait_for_timeout(500)
    expect_ids(page, wanted)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_server_that_dies_and_comes_back(visit, serve, own_indexes, shoot, tmp_path, language):
    indexes = own_indexes(SHAPES)
    server = serve(indexes)
    port = server.port
    page = visit(home(SHAPES), language, to=server)
    expect(cards(page).first).to_be_visible()
    page.watch.expect(REFUSED, "Failed to load resource")
    server.kill()
    box(page).fill("一个红色的圆形")
    expect(page.get_by_text(said("server.gone", language))).to_be_visible()
    expect(cards(page).first).to_be_visible()
    shoot(page, "gone", language)
    back = Server(indexes, "--port", port, cache=tmp_path / "cache again")
    try:
        back.wait()
        expect(page.get_by_text(said("server.gone", language))).to_be_hidden()
        expect_ids(page, search(back, SHAPES, [{"text": "一个红色的圆形"}]))
    finally:
        back.stop()


def test_an_index_that_is_being_opened_is_asked_until_it_is_open(visit, server):
    page = visit("/#/compare")
    page.watch.expect("status of 503", "status: 503")
    told = "the index shapes is still being opened"
    refusals = iter([{"status": 503, "json": {"error": {"code": "opening", "message": told}}}] * 7)

    def answer(route):
        refusal = next(refusals, None)
        if refusal:
            return route.fulfill(**refusal, headers={"Retry-After": "1"})
        return route.continue_()

    page.route("**/search", answer)
    page.goto(server.address + home(SHAPES))
    expect(page.get_by_text(told)).to_be_visible()
    expect(cards(page).first).to_be_visible()
    expect(page.get_by_text(told)).to_be_hidden()


def test_examples_that_cannot_be_read_are_general_ones(visit, server):
    page = visit("/#/compare")
    for what in ("facets", "pictures/*"):
        page.route(f"**/api/indexes/*/{what}", lambda route: route.fulfill(status=404, json={}))
    page.watch.expect("status of 404")
    with answered(page, "/pictures/"), answered(page, "/facets"):
        page.goto(server.address + home(SHAPES))
    expect(page.get_by_role("button", name=said("example.1"))).to_be_visible()


def test_without_a_network_what_is_shown_stays(visit, server, shoot):
    page = visit(home(SHAPES))
    expect(cards(page).first).to_be_visible()
    page.watch.expect(REFUSED, "Failed to load resource")
    page.context.set_offline(True)
    box(page).fill("a red circle")
    expect(page.get_by_text(said("server.gone"))).to_be_visible()
    expect(cards(page).first).to_be_visible()
    shoot(page, "offline")
    page.context.set_offline(False)
    expect(page.get_by_text(said("server.gone"))).to_be_hidden()
    expect_ids(page, search(server, SHAPES, [{"text": "a red circle"}]))


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_server_that_a_proxy_does_not_reach_is_away(visit, server, status):
    page = visit(home(SHAPES))
    expect(cards(page).first).to_be_visible()
    page.watch.expect(f"status: {status}", "Failed to load resource")
    page.route(lambda address: True, lambda route: route.fulfill(status=status, body="<h1>Bad Gateway</h1>"))
    box(page).fill("a red circle")
    expect(page.get_by_text(said("server.gone"))).to_be_visible()
    expect(cards(page).first).to_be_visible()
    page.unroute_all()
    expect(page.get_by_text(said("server.gone"))).to_be_hidden()
    expect_ids(page, search(server, SHAPES, [{"text": "a red circle"}]))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_key_is_asked_for(visit, serve, own_indexes, shoot, language):
    server = serve(own_indexes(SHAPES), environment={"ERNIE_VIL2_KEY": "open-sesame-0123456789"})
    page = visit(home(SHAPES), language, to=server)
    page.watch.expect("status of 401")
    field = page.get_by_label(said("key.label", language))
    expect(field).to_be_visible()
    shoot(page, "key", language)
    field.fill("wrong")
    named(page, "button", "key.enter", language).click()
    expect(page.get_by_role("alert").filter(has_text=re.compile(r"\S"))).to_be_visible()
    shoot(page, "wrong-key", language)
    field.fill("open-sesame-0123456789")
    named(page, "button", "key.enter", language).click()
    expect(cards(page).first).to_be_visible()
    assert "sesame" not in page.evaluate("() => document.cookie + JSON.stringify({ ...localStorage }) + location.href")
    other = visit("/#key=open-sesame-0123456789", language, to=server)
    other.watch.expect("status of 401")
    expect(cards(other).first).to_be_visible()
    assert "sesame" not in other.url


def test_an_index_that_vanishes_while_it_is_shown(visit, serve, own_indexes, shoot):
    indexes = own_indexes(SHAPES, AGAIN)
    page = visit(home(SHAPES), to=serve(indexes))
    expect(cards(page).first).to_be_visible()
    page.watch.expect(REFUSED, "status of 404")
    shutil.move(indexes / SHAPES, indexes.parent / "away")
    page.wait_for_timeout(1_500)
    box(page).fill("a red circle")
    expect(page.get_by_role("heading", name=re.compile("index", re.IGNORECASE)).first).to_be_visible()
    shoot(page, "vanished")
    shutil.move(indexes.parent / "away", indexes / SHAPES)
    with answered(page) as answer:
        named(page, "button", "retry").first.click()
    assert answer.value.status == 200
    expect(cards(page).first).to_be_visible()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_odd_queries_are_a_sentence_or_an_answer(visit, language):
    page = visit(home(SHAPES), language)
    expect(cards(page).first).to_be_visible()
    page.watch.expect("status of 400", "status of 422")
    for text in ("\u0007\u0000x\u202e", "字" * 10_000, "   ", "😀" * 50):
        box(page).fill(text)
        box(page).press("Enter")
        expect(cards(page).first.or_(page.get_by_role("heading", level=2).first)).to_be_visible()
    assert len(box(page).input_value()) <= 2_000


@pytest.mark.parametrize("address", ["/#key=100%", "/#/__proto__?index=constructor", "/#/search?%&and=i:1:.."])
def test_an_address_that_says_nothing_is_no_end(visit, address):
    page = visit(address)
    page.watch.expect("status of 40")
    expect(box(page)).to_be_visible()


def test_a_browser_that_keeps_nothing_shows_the_page(visit, server):
    page = visit("/health")
    page.watch.expect("favicon.ico")  # which a browser asks for where it is not told of another
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no'); } })")
    page.goto(f"{server.address}{home(SHAPES)}")
    expect(cards(page).first).to_be_visible()
    page.get_by_role("button", name="中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")


def test_a_wrong_filter_of_a_link_is_told_in_sight_on_a_phone(visit):
    """The panel of filters would lie over the sentence there."""
    page = visit(home(SHAPES) + "&filter=colour%3Ared", width="phone", touch=True)
    page.watch.expect("status of 400")
    expect(page.locator(".panel").get_by_role("paragraph")).to_contain_text("colour")
    expect(page.get_by_role("region", name=said("filters"))).to_be_hidden()
    with answered(page):
        named(page, "button", "none.filter").tap()
    expect(cards(page).first).to_be_visible()


@pytest.mark.parametrize(("language", "meant"), [("en", "did you mean 'tag'"), ("zh", "是否应为 tag")])
def test_a_wrong_filter_is_told_once_with_what_may_be_meant(visit, shoot, language, meant):
    """By its line while one writes in it, or where the sheet of a phone lies over all; else in place of pictures."""
    page = visit(home(SHAPES) + "&filter=tags%3Ared", language)
    page.watch.expect("status of 400")
    told = page.get_by_text(meant).filter(visible=True)
    expect(page.locator(".panel").filter(has=told)).to_be_in_viewport()
    expect(told).to_have_count(1)
    shoot(page, "wrong-filter", language)
    page.get_by_label(said("filters.line", language), exact=True).focus()
    expect(told).to_have_attribute("id", "filter-fault")
    shoot(page, "wrong-filter", "line", language)
    named(page, "button", "filters.close", language).click()
    expect(page.locator(".panel").filter(has=told)).to_be_in_viewport()
    expect(told).to_have_count(1)
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("[aria-controls=filters]").click()
    expect(told).to_have_attribute("id", "filter-fault")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_captions_of_nothing_ask_for_words(visit, language):
    page = visit(home(SHAPES), language)
    expect(cards(page).first).to_be_visible()
    page.get_by_role("radiogroup").get_by_text(said("of.captions", language)).click()
    expect(page.get_by_text(said("count.browse_texts", language))).to_be_visible()


def test_the_threshold_is_named_on_a_phone(visit):
    page = visit(home(SHAPES) + "&q=cat", width="phone", touch=True)
    name = page.locator(".threshold").get_by_text(said("threshold"), exact=True)
    expect(name).to_be_visible()
    assert name.evaluate("node => getComputedStyle(node).clipPath") == "none"
