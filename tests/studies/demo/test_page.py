"""The demo's page: sound HTML that needs nothing else, and every figure and mark as in the data."""

import base64
import itertools
import math
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from ernie_vil2.data.sources.scenes.scene import held_out
from ernie_vil2.data.sources.scenes.source import SceneSource
from ernie_vil2.data.sources.scenes.words import COLOURS, SHAPES, SIZES
from ernie_vil2.errors import CheckpointError
from ernie_vil2.studies.demo.page import DemoReport, write_report

VOID = {"meta", "img", "br", "hr", "link", "input"}
KEYS = [f"{direction}_r{k}" for direction in ("t2i", "i2t") for k in (1, 5, 10)]
NASTY = """<script>alert("1 & 2")</script>' $title ${x} \ud800"""


class Element:
    def __init__(self, tag, attributes):
        self.tag, self.attributes, self.children = tag, dict(attributes), []

    def __iter__(self):
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child

    def all(self, tag, **attributes):
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [element for element in self if element.tag == tag and wanted.items() <= element.attributes.items()]

    @property
    def text(self):
        return "".join(child.text if isinstance(child, Element) else child for child in self.children)


class Tree(HTMLParser):
    """A tree of the page; a tag that closes another than the open one is an error."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.root = Element("root", [])
        self.open = [self.root]
        self.feed(page)
        self.close()
        assert self.open == [self.root]

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self.open.append(self.open[-1].children[-1])

    def handle_startendtag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes)
        self.open[-1].children.append(Element(tag, attributes))

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag

    def handle_data(self, data):
        self.open[-1].children.append(data)


def log(steps, **curves):
    return [{"step": step, "time": 1.0, "lr": 1e-3, **{key: f(step) for key, f in curves.items()}} for step in steps]


@pytest.fixture
def report():
    """A report over real scenes where every figure is another one."""
    samples = list(SceneSource("test", 8))
    images = [sample.image for sample in samples]
    result = {key: 37.11 + 9 * index for index, key in enumerate(KEYS)}
    baseline = {key: 2.07 + index for index, key in enumerate(KEYS)}
    for values, rank in ((result, 2.0), (baseline, 61.5)):
        values.update(t2i_median_rank=rank, i2t_median_rank=rank + 1, num_images=1000, num_texts=2000)
    scores = [0.9, 0.8, 0.7125, 0.6, math.nan]
    marks = [[False, True, False, False, False], [False] * 5, [True, False, False, True, False]]
    queries = [
        {"query": samples[row].texts[0], "images": images[:5], "right": mark, "scores": scores, "rank": rank}
        for row, (mark, rank) in enumerate(zip(marks, (2, 1234, 1), strict=True))
    ]
    described = [
        {"image": images[row], "texts": [sample.texts[0] for sample in samples[:5]], "right": mark, "scores": scores}
        for row, mark in enumerate(marks)
    ]
    parts = {"loss": lambda s: 5 / s, "image-caption": lambda s: 6 / s, "caption-caption'": lambda s: 4 / s}
    return DemoReport(
        title="演示 demo",
        facts=[("machine", "two cores"), ("颜色", "3 < 4 & 5")],
        train_log=log(range(20, 201, 20), **parts),
        valid_log=log((100, 200), **{key: lambda s: s / 4 for key in KEYS}),
        result=result,
        baseline=baseline,
        chance=0.1,
        required={"t2i_r1": 35, "i2t_r1": 99, "t2i_r10": 55.11, "i2t_r10": 82.12},
        gallery=queries,
        image_gallery=described,
    )


@pytest.fixture
def written(tmp_path):
    """Function DemoReport -> (page as text, its tree)."""

    def write(report):
        path = tmp_path / "demo" / "report.html"
        write_report(path, report)
        assert [file.name for file in path.parent.iterdir()] == ["report.html"]
        page = path.read_text(encoding="utf-8")
        return page, Tree(page).root

    return write


def rows(tree):
    """Cells of each line of the table, headings first."""
    (table,) = tree.all("table")
    return [[cell.text for cell in line.children if isinstance(cell, Element)] for line in table.all("tr")]


def test_page_needs_nothing_else(report, written):
    page, tree = written(report)
    outside = re.sub(r'src="data:image/png;base64,[A-Za-z0-9+/=]+"', "", page)
    assert not re.search(r"https?:|//|url\(|@import|<script|<link|\bsrc=|\bhref=", outside)
    (policy,) = tree.all("meta", http_equiv="Content-Security-Policy")
    assert policy.attributes["content"].startswith("default-src 'none'")
    assert tree.all("meta", name="viewport") and "prefers-color-scheme: dark" in page and "Noto Sans CJK SC" in page


def test_images_are_the_pixels_given_and_have_an_alt(report, written):
    report.gallery[0]["images"][1] = np.full((64, 320, 3), (250, 20, 90), np.uint8)
    _, tree = written(report)
    found = []
    for image in tree.all("img"):
        assert image.attributes["alt"].strip()
        data = base64.b64decode(image.attributes["src"].partition(",")[2])
        found.append(cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))
    wanted = [image for entry in report.gallery for image in entry["images"]]
    wanted += [entry["image"] for entry in report.image_gallery]
    assert len(found) == len(wanted)
    for image, pixels in zip(found, wanted, strict=True):
        assert np.array_equal(image, pixels if max(pixels.shape) <= 160 else pixels[:32, :160])


def test_table_holds_the_data(report, written):
    _, tree = written(report)
    lines = {
        (direction, line[0]): line[1:]
        for direction, part in (("t2i", rows(tree)[2:6]), ("i2t", rows(tree)[7:]))
        for line in part
    }
    marks = {"t2i_r1": "✓ ≥ 35", "i2t_r1": "✗ ≥ 99", "t2i_r10": "✓ ≥ 55.11", "i2t_r10": "✗ ≥ 82.12"}
    for key in KEYS:
        direction, k = key.split("_r")
        assert lines[direction, f"R@{k}"] == [
            f"{report.result[key]:.2f}",
            f"{report.baseline[key]:.2f}",
            f"{0.1 * int(k):.2f}",
            marks.get(key, ""),
        ]
    assert lines["t2i", "median rank"][:2] == ["2", "61.5"] and lines["i2t", "median rank"][:2] == ["3", "62.5"]
    assert "1,000 images and 2,000 captions" in tree.text and "✗ 2 of 4 required values reached" in tree.text
    checks = [line.text for line in tree.all("ul", class_="checks")[0].all("li")]
    assert checks[0].startswith("✓") and "20.7 times" in checks[0]
    assert checks[1].startswith("✓") and f"{5.07 / 64.11 * 100:.1f} %" in checks[1]


def test_a_baseline_that_is_too_good_or_too_bad_is_marked(report, written):
    report.baseline.update(t2i_r1=0.9, i2t_r1=40.0)
    checks = [line.text for line in written(report)[1].all("ul", class_="checks")[0].all("li")]
    assert all(line.startswith("✗") for line in checks) and "9.0 times" in checks[0]


@pytest.mark.parametrize("kind, field", [("found", "gallery"), ("texts", "image_gallery")])
def test_marks_and_scores_are_those_of_the_data(report, written, kind, field):
    _, tree = written(report)
    shown = [result.all("li") for result in tree.all("ol", class_=kind)]
    for items, entry in zip(shown, getattr(report, field), strict=True):
        assert [item.attributes.get("class") == "right" for item in items] == entry["right"]
        assert ["✓" in item.text for item in items] == entry["right"]
        for item, value in zip(items, entry["scores"], strict=True):
            assert ("–" if math.isnan(value) else f"{value:.3f}") in item.text
    if kind == "found":
        alts = [image.attributes["alt"] for image in tree.all("ol", class_=kind)[0].all("img")]
        assert ["right" in alt for alt in alts] == report.gallery[0]["right"]
        ranks = [card.all("p", class_="note")[0].text for card in tree.all("article", class_="query")]
        assert [re.search(r"rank (\d[\d,]*\b)", rank)[1] for rank in ranks] == ["2", "1,234", "1"]
        assert ["not among" in rank for rank in ranks] == [False, True, False]
    assert "comes first for 1 of 3" in tree.text


def test_chinese_is_marked_as_such(report, written):
    _, tree = written(report)
    chinese = {element.text for element in tree.all("span", lang="zh")}
    texts = {entry["query"] for entry in report.gallery} | {report.image_gallery[0]["texts"][1], "颜色"}
    assert {text for text in texts if re.search("[一-龥]", text)} <= chinese
    assert all(re.search("[一-龥]", text) for text in chinese)


def test_texts_are_escaped(report, written):
    report.title = NASTY
    report.facts.append((NASTY, NASTY))
    report.gallery[0]["query"] = report.image_gallery[0]["texts"][0] = "红" + NASTY
    report.train_log[0]["<b>-'$x"] = 2.0
    report.languages = ("<i>",)
    page, tree = written(report)
    assert tree.all("script") == [] and "<i>" not in page
    kept = NASTY.replace("\ud800", "?")
    assert tree.all("h1")[0].text == tree.all("title")[0].text == tree.all("dd")[-1].text == kept
    assert tree.all("p", class_="asked")[0].text == "红" + kept
    assert "红" + kept in tree.all("ol", class_="texts")[0].text
    assert any("<b>-'$x" in entry.text for entry in tree.all("li"))


def test_curves_lie_where_the_data_is(report, written):
    _, tree = written(report)
    loss, recall = tree.all("figure")
    assert [entry.text for entry in loss.all("li")] == ["loss 0.03", "image-caption 0.03", "caption-caption' 0.02"]
    assert [entry.text for entry in recall.all("li")][:2] == ["T2I R@1 50.00", "T2I R@5 50.00"]
    levels = {tick.text: float(tick.attributes["y"]) - 4 for tick in recall.all("text", text_anchor="end")}
    steps = {tick.text: float(tick.attributes["x"]) for tick in recall.all("text", text_anchor="middle")}
    dot = next(dot for dot in recall.all("circle") if dot.text == "T2I R@1, step 100: 25.00")
    assert float(dot.attributes["cx"]) == pytest.approx(steps["100"], abs=0.1)
    height = levels["0"] + (levels["100"] - levels["0"]) * 0.25
    assert float(dot.attributes["cy"]) == pytest.approx(height, abs=0.11)


def test_gaps_single_points_and_nothing(report, written):
    for record, value in zip(report.train_log, (math.nan, 3.0, math.nan, 2.0, 1.0, math.inf), strict=False):
        record["loss"] = value
    report.valid_log = []
    page, tree = written(report)
    loss, recall = tree.all("figure")
    assert "Nothing was recorded" in recall.text
    line = next(path for path in loss.all("path") if path.attributes["class"] == "curve c0").attributes["d"]
    assert [len(run.split("L")) for run in line.split("M")[1:]] == [1, 2, 4]
    assert [dot.text for dot in loss.all("circle")] == ["loss, step 40: 3.00"]
    assert not re.search(r'(d|cx|cy|x|y)="[^"]*(nan|inf)', page)


@pytest.mark.parametrize("value", [0.0, 4.2, -3.0, 1e-9, 1e30])
def test_one_point(report, written, value):
    report.train_log = [{"step": 1, "loss": value}]
    report.valid_log = [{"step": 1, "t2i_r1": 0.0}]
    _, tree = written(report)
    for figure in tree.all("figure"):
        width, height = (float(size) for size in figure.all("svg")[0].attributes["viewbox"].split()[2:])
        (dot,) = figure.all("circle")
        assert 0 <= float(dot.attributes["cx"]) <= width and 0 <= float(dot.attributes["cy"]) <= height


def test_a_run_without_results(written):
    nothing = dict.fromkeys(KEYS, math.nan)
    _, tree = written(DemoReport("x", [], [], [], nothing, {}, math.nan, {"t2i_r1": 35}))
    assert "✗ 0 of 1 required values reached" in tree.text and tree.text.count("Nothing was shown") == 2
    assert rows(tree)[2] == ["R@1", "–", "–", "–", "✗ ≥ 35"] and tree.all("ul", class_="checks") == []


def test_unseen_combinations_are_those_of_the_scenes(report, written):
    text = written(report)[1].text
    for size, colour, shape in itertools.product(SIZES, COLOURS, SHAPES):
        assert (f"({size} {colour} {shape})" in text) == held_out(shape, colour, size)


def test_contradictions_and_refusals(report, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot write"):
        write_report(tmp_path / "file" / "report.html", report)
    path = tmp_path / "report.html"
    path.write_text("old")
    report.gallery[0]["scores"] = [0.5]
    with pytest.raises(ValueError):
        write_report(path, report)
    report.gallery[0].update(scores=[0.5] * 5, rank=0)
    with pytest.raises(ValueError, match="count from 1"):
        write_report(path, report)
    assert path.read_text() == "old"
