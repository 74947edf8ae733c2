"""A picture over the page: what is known of it, texts and labels for it, films at their time, files that are gone."""

import re
import shutil

import pytest
from playwright.sync_api import expect

from tests.page.elements import answered, api, ask, box, card, cards, expect_ids, ids, named, said, search
from tests.page.indexes import SAME, SHAPES, run
from tests.page.pictures import CLIP, HTML_NAME, VIDEO

HOME = f"/#/search?index={SHAPES}"


def opened(page, name):
    """The dialog of a picture whose card is clicked."""
    card(page, name).click(position={"x": 60, "y": 60})
    dialog = page.get_by_role("dialog", name=name)
    expect(dialog).to_be_visible()
    return dialog


def expect_width(dialog, pixels):
    """Wait until the dialog shows a picture of this many pixels."""
    expect(dialog.get_by_role("img").first).to_have_js_property("naturalWidth", pixels)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("width", "theme"), [("desktop", "light"), ("phone", "dark")])
def test_a_picture_is_shown_with_what_is_known_of_it(visit, server, shoot, language, width, theme):
    page = visit(f"{HOME}&filter=picture", language, theme=theme, width=width)
    ask(page, "一个红色的圆形")
    first = search(server, SHAPES, [{"text": "一个红色的圆形"}], filter="picture")[0]
    expect(cards(page).first).to_have_attribute("data-id", str(first))
    hit = api(server, f"indexes/{SHAPES}/pictures/{first}")
    dialog = opened(page, hit["name"])
    expect_width(dialog, hit["width"])
    for text in (hit["caption"], str(hit["width"]), hit["folder"]):
        expect(dialog.get_by_text(text).first).to_be_visible()
    shoot(page, "viewer", language, width, theme)
    for action in ("like", "unlike", "select"):
        expect(named(dialog, "button", f"viewer.{action}", language)).to_be_visible()


def test_keys_turn_the_pages_and_the_focus_comes_back(visit, server):
    page = visit(HOME)
    expect(cards(page)).to_have_count(40)
    shown = ids(page)
    opened(page, "red_circle.jpg")
    page.keyboard.press("ArrowRight")
    second = api(server, f"indexes/{SHAPES}/pictures/{shown[1]}")["name"]
    expect(page.get_by_role("dialog", name=second)).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("dialog", name="red_circle.jpg")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    last = cards(page).and_(page.locator(f"[data-id='{shown[1]}']"))
    expect(last).to_be_focused()  # the browser tells of the end a moment after it has taken the picture away


def test_the_viewer_goes_on_past_what_the_grid_has_loaded(visit, server):
    page = visit(HOME)
    expect(cards(page)).to_have_count(40)
    opened(page, "red_circle.jpg")
    of = api(server, f"indexes/{SHAPES}/search", {"parts": []})["total"]
    expect(page.get_by_role("dialog").get_by_text(said("viewer.place", place=1, of=of))).to_be_visible()
    with answered(page):
        for _ in range(40):
            page.keyboard.press("ArrowRight")
    name = api(server, f"indexes/{SHAPES}/pictures/{search(server, SHAPES, page=2)[0]}")["name"]
    expect(page.get_by_role("dialog", name=name)).to_be_visible()


def test_more_like_the_picture_that_is_open(visit, server):
    page = visit(HOME)
    number = int(card(page, "green_triangle.jpg").get_attribute("data-id"))
    dialog = opened(page, "green_triangle.jpg")
    with answered(page):
        named(dialog, "button", "viewer.like").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect_ids(page, search(server, SHAPES, [{"id": number}]))


def test_text_for_a_picture(visit, server, shoot):
    page = visit(HOME)
    number = int(card(page, "green_triangle.jpg").get_attribute("data-id"))
    dialog = opened(page, "green_triangle.jpg")
    dialog.get_by_text(said("viewer.near")).click()
    best = api(server, f"indexes/{SHAPES}/search", {"parts": [{"id": number}], "of": "captions"})["hits"]
    expect(dialog.get_by_text(said("texts.near_captions"))).to_be_visible()
    for text in (best[0]["text"], best[3]["text"]):
        expect(dialog.get_by_role("button", name=text, exact=True).first).to_be_visible()
    shoot(page, "texts")
    with answered(page):
        dialog.get_by_role("button", name=best[0]["text"], exact=True).last.click()
    expect_ids(page, search(server, SHAPES, [{"text": best[0]["text"]}]))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_labels_for_a_picture(visit, server, shoot, language):
    page = visit(HOME, language)
    number = int(card(page, "green_triangle.jpg").get_attribute("data-id"))
    dialog = opened(page, "green_triangle.jpg")
    dialog.get_by_text(said("viewer.labels", language)).click()
    labels = ["一个红色的圆形", "一个绿色的三角形", "一个蓝色的正方形"]
    named(dialog, "textbox", "labels.labels", language).fill("，".join(labels))
    with answered(page, "/labels"):
        named(dialog, "button", "labels.ask", language).click()
    told = api(server, f"indexes/{SHAPES}/labels", {"image": {"id": number}, "labels": labels})["labels"]
    rows = named(dialog, "list", "labels.answer", language).get_by_role("listitem")
    expect(rows).to_have_count(3)
    for row, label in zip(rows.all(), told, strict=True):
        expect(row).to_contain_text(label["label"])
    expect(rows.first).to_contain_text("一个绿色的三角形")
    shoot(page, "labels", language)
    named(dialog, "textbox", "labels.labels", language).fill("one")
    named(dialog, "button", "labels.ask", language).click()
    expect(dialog.get_by_text(said("labels.too_few", language))).to_be_visible()


def test_two_pictures_and_a_sentence_are_compared(visit, server, shoot):
    page = visit(HOME)
    number = int(card(page, "green_triangle.jpg").get_attribute("data-id"))
    dialog = opened(page, "green_triangle.jpg")
    dialog.get_by_text(said("viewer.compare")).click()
    named(dialog, "textbox", "pair.sentence").fill("一个绿色的三角形")
    with answered(page, "/similarity"):
        named(dialog, "button", "pair.ask").click()
    pair = {"a": {"id": number}, "b": {"text": "一个绿色的三角形"}}
    score = api(server, f"indexes/{SHAPES}/similarity", pair)["score"]
    expect(dialog.get_by_text(f"{score:.3f}").first).to_be_visible()
    shoot(page, "similarity")


def test_a_film_plays_from_the_moment_that_was_found(visit, server, shoot):
    page = visit(f"{HOME}&filter=name%3A{VIDEO}")
    expect(cards(page)).to_have_count(len(CLIP))
    ask(page, "一个蓝色的圆形")
    best = search(server, SHAPES, [{"text": "一个蓝色的圆形"}], filter=f"name:{VIDEO}")[0]
    hit = api(server, f"indexes/{SHAPES}/pictures/{best}")
    assert hit["time"] == 2 * CLIP.index("blue")
    expect(cards(page).first).to_contain_text("0:04")
    dialog = opened(page, VIDEO)
    film = dialog.locator("video")
    page.wait_for_function("() => document.querySelector('video').readyState >= 2")
    assert film.evaluate("film => film.currentTime") == pytest.approx(hit["time"], abs=0.5)
    film.evaluate("film => { film.muted = true; return film.play(); }")
    page.wait_for_function(f"() => document.querySelector('video').currentTime > {hit['time'] + 0.2}")
    marks = named(dialog, "group", "viewer.moments").get_by_role("button")
    expect(marks).to_have_text(["0:00", "0:02", "0:04", "0:06"])
    film.evaluate("film => film.pause()")
    marks.nth(1).click()
    page.wait_for_function("() => Math.abs(document.querySelector('video').currentTime - 2) < 0.5")
    shoot(page, "film")


def test_a_film_has_marks_of_moments_that_were_not_found(visit, server):
    best = search(server, SHAPES, [{"text": "一个蓝色的圆形"}], filter=f"name:{VIDEO}")[0]
    page = visit(f"{HOME}&filter=id%3A{best}")
    expect(cards(page)).to_have_count(1)
    marks = named(opened(page, VIDEO), "group", "viewer.moments").get_by_role("button")
    expect(marks).to_have_text(["0:00", "0:02", "0:04", "0:06"])
    assert [mark.get_attribute("aria-pressed") for mark in marks.all()] == ["false", "false", "true", "false"]
    marks.first.click()
    page.wait_for_function("() => document.querySelector('video').currentTime < 0.5")
    expect(marks.first).to_have_attribute("aria-pressed", "true")
    expect(marks.nth(2)).to_have_attribute("aria-pressed", "false")


def test_a_name_is_never_taken_for_html(visit, shoot):
    page = visit(f"{HOME}&filter=name%3A*.png")
    dialog = opened(page, HTML_NAME)
    expect(dialog.get_by_role("heading", name=HTML_NAME)).to_be_visible()
    expect_width(dialog, 320)
    assert page.title() != "run" and page.locator("img[src='x']").count() == 0
    shoot(page, "odd-name")


def test_a_picture_is_shown_upright_as_its_exif_says(visit):
    page = visit(f"{HOME}&filter=name%3Aturned.jpg")
    dialog = opened(page, "turned.jpg")
    expect_width(dialog, 320)


def test_a_file_that_is_gone_leaves_its_small_picture(visit, serve, own_indexes, made, tmp_path, shoot):
    """The index looks for its pictures where they were, so a copy of all of them is taken away here."""
    album = tmp_path / "album"
    shutil.copytree(made / "album", album)
    folder = own_indexes(SHAPES)
    run("index", "update", folder / SHAPES, "--moved", str(made / "album"), str(album))
    page = visit(f"{HOME}&filter=name%3Apanorama", to=serve(folder))
    expect(cards(page).get_by_role("img").first).to_be_visible()
    dialog = opened(page, "panorama.webp")
    expect_width(dialog, 1200)
    page.keyboard.press("Escape")
    (album / "panorama.webp").unlink()
    page.watch.expect("status of 404")
    page.reload()
    dialog = opened(page, "panorama.webp")
    expect(dialog.get_by_text(said("viewer.missing"))).to_be_visible()
    expect_width(dialog, 640)
    expect(named(dialog, "link", "viewer.download")).to_have_count(0)
    shoot(page, "missing")


def test_the_score_is_said_with_what_it_means(visit):
    page = visit(HOME)
    first = card(page, "red_circle.jpg")
    first.hover()
    with answered(page):
        named(first, "button", "card.like").click()
    expect(box(page)).to_have_value("")
    dialog = opened(page, "red_circle.jpg")
    expect(dialog.get_by_text(said("viewer.score_above", name=SAME))).to_be_visible()
    assert re.search(r"1\.000|0\.99\d", dialog.inner_text())
