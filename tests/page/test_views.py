"""Two indexes side by side, near-duplicates, and what becomes of a selection."""

import hashlib
import re
import zipfile

import pytest
from playwright.sync_api import expect

from tests.page.elements import answered, api, card, cards, named, names, said, search
from tests.page.indexes import AGAIN, SHAPES

HOME = f"/#/search?index={SHAPES}"


@pytest.mark.parametrize(("language", "width"), [("en", "desktop"), ("zh", "phone")])
def test_two_indexes_are_compared(visit, server, shoot, language, width):
    page = visit(f"/#/compare?index={SHAPES}", language, width=width)
    field = named(page, "searchbox", "compare.query", language).or_(named(page, "textbox", "compare.query", language))
    text = "一个红色的圆形"
    for label, index in (("compare.left", SHAPES), ("compare.right", AGAIN)):
        named(page, "combobox", label, language).select_option(index)
    with answered(page, f"{AGAIN}/search"), answered(page, f"{SHAPES}/search"):
        field.first.fill(text)
    found = [search(server, index, [{"text": text}])[:10] for index in (SHAPES, AGAIN)]
    keys = [
        {api(server, f"indexes/{i}/pictures/{n}")["key"] for n in ns}
        for i, ns in zip((SHAPES, AGAIN), found, strict=True)
    ]
    both = len(keys[0] & keys[1])
    key = "compare.agree_all" if both == 10 else "compare.agree" if both else "compare.agree_none"
    expect(page.get_by_text(said(key, language, of=10, both=both)).first).to_be_visible()
    shoot(page, "compare", language, width)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_duplicates_are_shown_and_all_but_the_first_selected(visit, server, shoot, language):
    page = visit(f"/#/duplicates?index={SHAPES}", language)
    expect(page.get_by_text(said("duplicates.found", language)).first).to_be_visible()
    told = api(server, f"indexes/{SHAPES}/duplicates?threshold=0.97")
    listed = [[hit["name"] for hit in group["pictures"]] for group in told["groups"]]
    group = next(group for group, shown in zip(told["groups"], listed, strict=True) if "first.jpg" in shown)
    assert {hit["name"] for hit in group["pictures"][:2]} == {"first.jpg", "first copy.jpg"} and group["exact"][1]
    expect(page.get_by_text(said("duplicates.keep", language)).first).to_be_visible()
    expect(page.get_by_text(said("duplicates.exact", language)).first).to_be_visible()
    shoot(page, "duplicates", language)
    named(page, "button", "duplicates.select_page", language).click()
    spare = sum(len(group["pictures"]) - 1 for group in told["groups"])
    expect(page.get_by_text(said("tray.count", language, count=spare)).first).to_be_visible()
    page.get_by_role("slider").first.press("End")
    expect(page.get_by_text(said("duplicates.means_exact", language)).first).to_be_visible()


def test_a_selection_becomes_a_zip_and_a_list_of_paths(visit, server, made, shoot, tmp_path):
    page = visit(HOME)
    chosen = ["green_triangle.jpg", "blue_square.jpg", "red_circle.jpg"]
    expect(cards(page)).to_have_count(40)
    for name in chosen:
        card(page, name).hover()
        named(card(page, name), "checkbox", "card.select").click()
    hits = [api(server, f"indexes/{SHAPES}/pictures/{card(page, name).get_attribute('data-id')}") for name in chosen]
    expect(page.get_by_text(said("tray.count", count=3)).first).to_be_visible()
    shoot(page, "selection")
    with page.expect_download() as download:
        named(page, "button", "tray.zip").click()
    target = tmp_path / "pictures.zip"
    download.value.save_as(target)
    with zipfile.ZipFile(target) as archive:
        found = sorted(hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist())
        assert all(not re.search(r"(^/|\.\.)", name) for name in archive.namelist())
    files = [made / "shapes" / hit["folder"] / hit["name"] for hit in hits]
    assert found == sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    with answered(page, "/exports"):
        named(page, "button", "tray.paths").click()
    listed = page.get_by_role("dialog").get_by_role("textbox").input_value().split("\n")
    assert sorted(filter(None, listed)) == sorted(map(str, files))
    shoot(page, "paths")
    with page.expect_download() as download:
        named(page, "button", "tray.text_file").click()
    assert sorted(filter(None, open(download.value.path()).read().split("\n"))) == sorted(map(str, files))


def test_a_selection_stays_over_searches_and_is_cleared(visit):
    page = visit(HOME)
    card(page, "red_circle.jpg").hover()
    named(card(page, "red_circle.jpg"), "checkbox", "card.select").click()
    with answered(page):
        page.get_by_role("searchbox").first.fill("a blue square")
    expect(page.get_by_text(said("tray.count", count=1)).first).to_be_visible()
    named(named(page, "region", "tray.name"), "button", "tray.clear").click()
    expect(page.get_by_text(said("tray.count", count=1))).to_have_count(0)
    assert names(page)
