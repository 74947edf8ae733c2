"""The queue of given pictures: each is taken, or refused with a sentence of its own; the good ones are searched by."""

import pytest
from playwright.sync_api import expect

from tests.page.bad_files import BAD_FILES
from tests.page.elements import answered, cards, hand_over, named, said
from tests.page.indexes import SHAPES

HOME = f"/#/search?index={SHAPES}"
BUSY = {"error": {"code": "model_missing", "message": "the model is not here now", "values": {}}}
TYPES = {"pdf": "application/pdf", "svg": "image/svg+xml", "png": "image/png", "jpg": "image/jpeg"}


@pytest.fixture
def files(made):
    """{name: (media type, bytes)} of two pictures and everything that is none."""
    shapes = made / "shapes" / "sand"
    good = {name: (shapes / name).read_bytes() for name in ("red_circle.jpg", "blue_square.jpg")}
    return {name: (TYPES[name.rpartition(".")[2]], data) for name, data in {**good, **BAD_FILES}.items()}


def row(queue, name):
    """The place of a file in the queue."""
    return queue.get_by_role("listitem").filter(has_text=name)


@pytest.mark.parametrize(("language", "width"), [("en", "desktop"), ("zh", "phone")])
def test_good_and_bad_files_in_one_queue(visit, shoot, files, language, width):
    page = visit(HOME, language, width=width)
    expect(cards(page).first).to_be_visible()
    page.watch.expect("status of 4(00|13|15|22)")
    hand_over(page, files)
    queue = page.get_by_role("complementary", name=said("queue.name", language)).or_(
        page.get_by_role("region", name=said("queue.name", language))
    )
    expect(queue).to_be_visible()
    for name in ("red_circle.jpg", "blue_square.jpg"):
        expect(row(queue, name)).to_contain_text(said_part("queue.encoded", language))
    told = {}
    for name in BAD_FILES:
        expect(row(queue, name)).to_have_attribute("data-state", "refused")
        told[name] = row(queue, name).inner_text().replace(name, "").strip()
        assert len(told[name].splitlines()[-1]) > 12, f"{name}: a sentence is missing"
        chinese = any(letter > "\u2fff" for letter in told[name])
        assert chinese == (language == "zh"), told
    for key in ("queue.retry", "queue.retry_all"):
        expect(named(queue, "button", key, language)).to_have_count(0)
    shoot(page, "queue", language, width)
    with answered(page):
        named(queue, "button", "queue.search_all", language).click()
    assert page.evaluate("document.title") != "run"
    expect(cards(page).first).to_be_visible()


def said_part(key, language):
    """The first word of what is said under a key, whatever stands behind it."""
    return said(key, language).pattern[4:].split("\\", 1)[0]


def test_one_bad_file_alone_is_told_too(visit, shoot, files):
    page = visit(HOME)
    expect(cards(page).first).to_be_visible()
    page.watch.expect("status of 4(00|13|15|22)")
    with answered(page, "/uploads"):
        hand_over(page, {"paper.pdf": files["paper.pdf"]})
    expect(page.get_by_text("paper.pdf").first).to_be_visible()
    shoot(page, "one-bad-file")


def test_retry_all_leaves_out_what_will_never_be_taken(visit, files):
    page = visit(HOME)
    expect(cards(page).first).to_be_visible()
    page.watch.expect("status of (422|503)", "status: 503")
    with answered(page, "/uploads"):
        hand_over(page, {"paper.pdf": files["paper.pdf"]})
    expect(page.get_by_text("paper.pdf").first).to_be_visible()
    page.route("**/uploads", lambda route: route.fulfill(status=503, json=BUSY))
    hand_over(page, {name: files[name] for name in ("red_circle.jpg", "blue_square.jpg")})
    rows = page.get_by_role("listitem")
    expect(named(rows, "button", "queue.retry")).to_have_count(2)
    sent = []
    page.unroute("**/uploads")
    page.on("request", lambda request: sent.append(request.url.endswith("/uploads")))
    named(page, "button", "queue.retry_all").click()
    expect(rows.filter(has_text=said_part("queue.encoded", "en"))).to_have_count(2)
    expect(named(page, "button", "queue.retry_all")).to_have_count(0)
    assert sum(sent) == 2


def test_a_refused_file_can_be_removed_and_the_rest_is_searched_by(visit, files):
    page = visit(HOME)
    expect(cards(page).first).to_be_visible()
    page.watch.expect("status of 4(00|13|15|22)")
    names = ("red_circle.jpg", "blue_square.jpg", "paper.pdf")
    hand_over(page, {name: files[name] for name in names})
    bad = page.get_by_role("listitem").filter(has_text="paper.pdf")
    named(bad, "button", "queue.remove").click()
    expect(bad).to_have_count(0)
    with answered(page):
        named(page, "button", "queue.search_all").click()
    chips = page.get_by_role("list", name=said("box.query")).get_by_role("listitem")
    expect(chips).to_have_count(2)
    best = cards(page).evaluate_all("cells => cells.slice(0, 8).map(cell => cell.ariaLabel.split(',')[0])")
    assert {"red_circle.jpg", "blue_square.jpg"} <= set(best)
