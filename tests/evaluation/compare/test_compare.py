"""`eval compare`: our rows beside published ones of the same protocol, alike in every format, nothing unescaped."""

import html.parser
import json
import re

import numpy as np
import pytest

from ernie_vil2.cli.eval.compare import main
from ernie_vil2.errors import DataError
from ernie_vil2.evaluation.compare.charts import recall_figure, score_figure
from ernie_vil2.evaluation.compare.markdown import plain
from ernie_vil2.evaluation.compare.published_figures import PROTOCOLS, published_for
from ernie_vil2.evaluation.compare.tables import compare_runs
from ernie_vil2.evaluation.embeddings import Embeddings
from ernie_vil2.evaluation.metrics.ranks import percent, retrieval_metrics
from ernie_vil2.evaluation.runs.records import Outcome, Result
from ernie_vil2.evaluation.runs.results import read_run, write_run

WHENCE = {
    "command": "tools/eval.py --data 'my | data'",
    "data_sha256": "d" * 64,
    "model_sha256": "sha256:" + "e" * 64,
    "config_sha256": "f" * 64,
    "versions": {"ernie_vil2": "0.1.0", "paddle": None},
}
HOSTILE = "<script>alert(1)</script> \" ' & | `x` 红\x1b[31m\u202e"


def outcome(benchmark="coco-cn@1053", seed=0, text="红色的圆 {}", notes=(), image=None, size=12):
    """A measured Outcome of random embeddings, two texts an image."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(size, 8))
    texts = np.repeat(images, 2, axis=0) + rng.normal(size=(2 * size, 8))
    owner = np.repeat(np.arange(size), 2)
    row = Result(
        benchmark,
        "retrieval",
        retrieval_metrics(images, texts, owner),
        {"images": size, "texts": 2 * size},
        notes=notes,
    )
    return Outcome(
        [row],
        "d" * 64,
        Embeddings(images, texts, owner),
        np.stack([np.arange(2 * size), owner], axis=1),
        tuple(text.format(row) for row in range(2 * size)),
        image,
    )


@pytest.fixture
def run(tmp_path):
    """Function (name, outcome, **changes of the provenance) -> path of its run folder."""

    def write(name, found, **changes):
        write_run(tmp_path / name, found, {**WHENCE, **changes})
        return str(tmp_path / name)

    return write


class Page(html.parser.HTMLParser):
    """Tags, attributes and text of a page; a tag that is not closed in order fails."""

    EMPTY = {"meta", "img"}

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text.append(data)


def written(tmp_path, *runs):
    """Texts of compare.md and compare.html, and compare.json."""
    main([*runs, "--output", str(tmp_path / "out")])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["compare.html", "compare.json", "compare.md"]
    texts = [(tmp_path / "out" / f"compare.{end}").read_text(encoding="utf-8") for end in ("md", "html", "json")]
    return texts[0], texts[1], json.loads(texts[2])


def table_rows(text):
    """{first cell without its footnotes: other cells} of the first table of a Markdown page."""
    lines = [line.strip("|").split("|") for line in text.split("\n\n| model |")[1].splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line] for line in lines]
    return {(re.sub(r" \[[\d, ]+\]$", "", first).strip("*"), rest[0]): rest[1:] for first, *rest in cells}


def test_every_table_of_markdown_has_one_width(tmp_path, run):
    text = written(tmp_path, run("one", outcome()))[0]
    tables = [part.splitlines() for part in text.split("\n\n") if part.startswith("| ")]
    assert len(tables) == 3  # the benchmark, thresholds by goal, thresholds over the scores
    for lines in tables:
        assert len(lines) > 2 and len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_our_rows_stand_beside_the_published_ones_of_the_same_protocol(tmp_path, run):
    found = outcome()
    text, page, content = written(tmp_path, run("mine", found))
    rows = table_rows(text)
    metrics = found.results[0].metrics
    assert rows["mine", "ours"][:3] == [percent(metrics[f"t2i_r{k}"]) for k in (1, 5, 10)]
    assert rows["mine", "ours"][-1] == percent(metrics["mean_recall"])
    assert rows["CN-CLIP L/14", "zero-shot"] == [
        "64.0",
        "89.2",
        "94.4",
        "≈ 82.5",
        "60.4",
        "84.2",
        "92.9",
        "≈ 79.2",
        "≈ 80.9",
    ]
    assert rows["ERNIE-ViL 2.0 Base ViT", "zero-shot"] == ["66.00", "–", "–", "–", "65.90", "–", "–", "–", "84.28"]
    assert rows["CN-CLIP B/16", "fine-tuned"][0] == "77.0"
    for shown in (text, page):
        assert "65.9/90.1" not in shown and "1,053 human captions" in shown and "2 points of R@1" in shown
        assert "does not say whether this is 1,000 x 1,000 or 1,053" in shown
    assert [row["name"] for row in content["benchmarks"][0]["rows"]][0] == "mine"


def test_a_protocol_without_published_figures_shows_ours_alone(run):
    for benchmark in ("coco-cn@5k", "mine@all"):
        table = compare_runs([read_run(run("mine", outcome(benchmark)))])["benchmarks"][0]
        assert [row["kind"] for row in table["rows"]] == ["ours"]


def test_all_formats_hold_the_same_figures(tmp_path, run):
    text, page, content = written(tmp_path, run("one", outcome(seed=1)), run("two", outcome(seed=2, notes=("a note",))))
    shown = " ".join(Page(page).text)
    figures = [value for table in content["benchmarks"] for row in table["rows"] for value in row["values"].values()]
    figures += [value for one in content["thresholds"] for row in one["rows"] for value in row.values()]
    assert len(figures) > 100
    in_text = {float(word) for word in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", text)}
    in_page = {float(word) for word in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", shown)}
    for value in figures:
        assert value is None or (abs(value) in in_text and abs(value) in in_page)
    for table in content["benchmarks"]:
        for note in table["footnotes"]:
            assert plain(note) in text and note in shown
    for word in ("d" * 64, "sha256:" + "e" * 64, "f" * 64, "my | data"):
        assert word in text and word in shown and word in json.dumps(content, ensure_ascii=False)
    assert "ernie_vil2 0.1.0" in text and "ernie_vil2 0.1.0" in shown
    assert content["provenance"][0]["provenance"]["versions"]["ernie_vil2"] == "0.1.0"
    assert content["caveat"] in text and content["thresholds_explained"] in shown


def test_printing_is_markdown_or_json(run, capsys):
    path = run("mine", outcome())
    main([path])
    assert capsys.readouterr().out.startswith("# Comparison of mine\n")
    main([path, "--format", "json"])
    assert json.loads(capsys.readouterr().out)["runs"] == ["mine"]
    with pytest.raises(SystemExit):
        main([path, "--format", "html"])
    assert "--output" in capsys.readouterr().err


def test_nothing_of_a_run_folder_is_taken_for_markup(tmp_path, run, random_image):
    found = outcome(HOSTILE, text=HOSTILE + " {}", notes=(HOSTILE,), image=lambda row: random_image(30, 40, row))
    name = "<b onclick=x>"
    text, page, _ = written(tmp_path, run(name, found, command=HOSTILE, data_sha256=HOSTILE, versions={HOSTILE: 1}))
    parsed = Page(page)
    assert not {"script", "b onclick"} & set(parsed.tags) and "alert(1)" in " ".join(parsed.text)
    assert not [key for key, _ in parsed.attributes if key.startswith("on")]
    sources = {value for key, value in parsed.attributes if key in ("src", "href")}
    assert sources and all(value.startswith("data:image/jpeg;base64,") for value in sources)
    assert not re.search(r"https?://|url\(|@import", page) and "default-src 'none'" in page
    outside = re.sub(r"`+ .*? `+|`[^`]*`", "", text)
    assert "<script" not in outside and "<b" not in outside and "\x1b" not in text and "\u202e" not in text
    for line in text.splitlines():
        if line.startswith("| **"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 12


def test_the_page_shows_curves_histograms_thresholds_and_errors(tmp_path, run, random_image):
    image = lambda row: random_image(30, 40, row)  # noqa: E731
    _, page, content = written(tmp_path, run("one", outcome(seed=1, image=image)), run("two", outcome(seed=2)))
    shown = " ".join(Page(page).text)
    assert page.count("recall among the first K</figcaption>") == 2 and page.count("Scores of ") >= 2
    assert "CN-CLIP H/14, R@5: 89.9" in page and "best F1 of all pairs" in shown
    assert "Hardest errors of one" in shown and page.count("data:image/jpeg") > 2 and 'class="none">image' in page
    assert [one["run"] for one in content["thresholds"]] == ["one", "two"]
    assert page.count("Precision and recall at each score") == 2


def test_runs_without_embeddings_have_tables_only(tmp_path, run):
    rows = [
        Result("imagenet-zh", "classification", {"acc@1": 40.123, "odd": None}, {"images": 5}),
        Result("sts@afqmc", "sts", {"spearman": 30.0}, {}),
        Result("cbvs", "graded-retrieval", {"t2i_r1": 41.0, "pnr": 2.75949, "ndcg_10": 88.1}, {}),
    ]
    text, page, content = written(tmp_path, run("mine", Outcome(rows, "d")))
    assert content["thresholds"] == [] and "40.12" in text and "2.759" in text and 'means "the same"' not in text
    assert "set afqmc" in text and "Hardest" not in page and "QA-CLIP" in text
    Page(page)


def test_one_direction_has_no_mean_of_both_and_one_chart(tmp_path, run):
    found = outcome("muge@valid")
    found.results[0].metrics = {"t2i_r1": 50.0, "t2i_mean": 60.0, "mean_recall": 60.0}
    _, page, content = written(tmp_path, run("mine", found))
    table = content["benchmarks"][0]
    assert "mean_recall" not in table["columns"] and table["rows"][0]["values"]["t2i_mean"] == 60
    assert page.count("recall among the first K</figcaption>") == 1 and "Wukong" in page


def test_runs_are_told_apart(tmp_path, run):
    paths = [run("a/best", outcome()), run("b/best", outcome(seed=1), data_sha256="other")]
    comparison = compare_runs([read_run(path) for path in paths])
    assert comparison["runs"] == ["a/best", "b/best"]
    assert any("did not read the same files" in note for note in comparison["benchmarks"][0]["footnotes"])
    assert not any(tmp_path.name in json.dumps(part) for part in (comparison["runs"], comparison["benchmarks"]))
    same = compare_runs([read_run(run("c", outcome())), read_run(run("d", outcome()))])
    assert not any("same files" in note for note in same["benchmarks"][0]["footnotes"])
    with pytest.raises(DataError, match="given twice"):
        compare_runs([read_run(paths[0]), read_run(paths[0] + "/")])


def test_a_folder_that_is_no_run_is_named(tmp_path, run):
    with pytest.raises(DataError, match="nowhere is not a run folder"):
        main([run("mine", outcome()), str(tmp_path / "nowhere")])


def test_charts_of_extreme_runs_are_drawn():
    """One candidate, a collapsed model, a perfect one: no division by nothing, no point outside the plot."""
    counts = np.zeros(2001, int)
    counts[2000] = 5
    svg = [
        score_figure("x", counts, counts, 1.0),
        score_figure("x", counts, np.zeros(2001, int)),
        score_figure("x", np.ones(2001, int), np.ones(2001, int), -1.0),
        recall_figure("x", [("a", [100.0])], []),
        recall_figure("x", [("a", [0.0] * 5)], [("b", {1: 50.0, 10: 60.0})]),
    ]
    for text in svg:
        Page(text)
        numbers = [float(word) for data in re.findall(r' d="M([^"]*)"', text) for word in re.findall(r"-?[\d.]+", data)]
        assert numbers and all(-10 <= number <= 480 for number in numbers) and "nan" not in text


def test_published_models_have_marks_of_their_own():
    """By shape and colour, in the legend as in the plot, for more models than any benchmark has."""
    published = [(f"model {number}", {1: 50.0, 5: 60.0}) for number in range(40)]
    svg = recall_figure("x", [("a", [10.0] * 5)], published)
    marks = re.findall(r'class="dot (c\d)" transform="translate\(17 6\)" d="([^"]*)"', svg)
    assert len(marks) == len(set(marks)) == 40
    assert max(len(published_for(name)) for name in PROTOCOLS) <= 40
