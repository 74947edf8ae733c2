"""Own sets and parts of benchmarks: tables of their own, never with published figures, one for each data."""

import numpy as np
import pytest

from ernie_vil2.data.sources.base import Sample, Source
from ernie_vil2.evaluation.benchmarks.counts import INCOMPARABLE
from ernie_vil2.evaluation.compare.markdown import to_markdown
from ernie_vil2.evaluation.compare.own_tables import size_told
from ernie_vil2.evaluation.compare.page import page
from ernie_vil2.evaluation.compare.tables import compare_runs
from ernie_vil2.evaluation.embeddings import Embeddings
from ernie_vil2.evaluation.metrics.ranks import ranks
from ernie_vil2.evaluation.own_set import own_outcome
from ernie_vil2.evaluation.retrieval import evaluate
from ernie_vil2.evaluation.runs.records import Outcome, Result
from ernie_vil2.evaluation.runs.results import read_run, write_run
from ernie_vil2.keys import stable_hash

COUNT = 9


class Own(Source):
    """Grey images with two texts each; the first text of the rows in `shared` is the same one."""

    def __init__(self, name="photos/valid.jsonl", shared=(), word="图"):
        self.name, self.shared, self.word = name, shared, word

    def __len__(self):
        return COUNT

    def load(self, index):
        first = "同一句" if index in self.shared else f"{self.word}{index}"
        image = np.full((20, 30, 3), 20 * index, np.uint8)
        return Sample(f"i{index}", image, (first, f"another {index}"), (), f"v:{index}")


def embedded(source, seed=0):
    rng, texts = np.random.default_rng(seed), [text for row in range(COUNT) for text in source[row].texts]
    owner = np.repeat(np.arange(COUNT), 2)
    return Embeddings(
        rng.normal(size=(COUNT, 6)).astype(np.float32),
        rng.normal(size=(2 * COUNT, 6)).astype(np.float32),
        owner,
        image_ids=tuple(f"{source.name}#{row}" for row in range(COUNT)),
        text_keys=np.array(list(map(stable_hash, texts))),
        image_rows=np.arange(COUNT),
        text_rows=np.stack([owner, np.tile([0, 1], COUNT)], axis=1),
        pictures=np.arange(COUNT),
    )


@pytest.fixture
def run(tmp_path):
    def write(name, source, seed=0):
        embeddings = embedded(source, seed)
        found = own_outcome(embeddings, source, evaluate(embeddings))
        write_run(tmp_path / name, found, {"data_sha256": found.data_sha256})
        return read_run(tmp_path / name)

    return write


def test_curves_and_queries_agree_with_the_figures_where_texts_are_shared(run):
    source = Own(shared=(0, 3, 5))
    found = run("a", source)
    standard, official = found.results
    assert [row.benchmark for row in found.results] == ["own:valid.jsonl@standard", "own:valid.jsonl@official"]
    assert found.analysis["benchmark"] == standard.benchmark and standard.metrics != official.metrics
    for way in ("t2i", "i2t"):
        assert [found.analysis["recall"][way][k - 1] for k in (1, 5)] == pytest.approx(
            [standard.metrics[f"{way}_r{k}"] for k in (1, 5)]
        )
    embeddings = embedded(source)
    rank = ranks(embeddings.image, embeddings.text, embeddings.text_image, text_keys=embeddings.text_keys)[0]
    for one in found.analysis["asked"]:
        assert one["rank"] == rank[one["query"]] + 1 and one["scores"] == sorted(one["scores"], reverse=True)
        owners = {0, 3, 5} if one["query"] in (0, 6, 10) else {one["query"] // 2}
        assert one["right"] == [row in owners for row in one["images"]]
        assert one["right"].index(True) + 1 == one["rank"] if any(one["right"]) else one["rank"] > 5


def test_the_same_data_share_a_table_whatever_its_name_and_other_data_have_another(run):
    runs = [run("a", Own()), run("b", Own("elsewhere/copy.jsonl"), 1), run("c", Own(word="另"), 2)]
    found = compare_runs(runs)
    assert found["benchmarks"] == [] and found["caveat"] == ""
    mine, theirs = runs[0].results[0].provenance["data_sha256"][:8], runs[2].results[0].provenance["data_sha256"][:8]
    titles = [
        f"valid.jsonl, {way} protocol (data {data})" for data in (mine, theirs) for way in ("standard", "official")
    ]
    assert [one["title"] for one in found["own"]] == titles and mine != theirs
    assert [one["title"] for one in compare_runs(runs[:2])["own"]] == [title.partition(" (")[0] for title in titles[:2]]
    names = [[row["name"] for row in one["rows"]] for one in found["own"]]
    assert names == [["a", "b"], ["a", "b"], ["c"], ["c"]]
    assert {row["kind"] for one in found["own"] for row in one["rows"]} == {"ours"}
    assert all("9 images and 18 texts" in one["size"] for one in found["own"])
    html, text = page(found, runs), to_markdown(found)
    assert "Queries and their best images: a, b" in html and "Queries and their best images: c" in html
    assert html.count('<li class="right"><img') > 0 and f"### {titles[0]}" in text and titles[3] in html
    assert "published" not in html.replace("No published figure", "")


def test_a_part_of_a_benchmark_never_stands_beside_published_figures(tmp_path):
    metrics, counts = {"t2i_r1": 90.0}, {"images": 3, "texts": 4}
    runs = []
    for name, notes in (("part", (f"3 images instead of 1,000 images{INCOMPARABLE}",)), ("whole", ())):
        row = Result("coco-cn@1053", "retrieval", metrics, counts, notes=notes)
        write_run(tmp_path / name, Outcome([row], "0"), {"data_sha256": name})
        runs.append(read_run(tmp_path / name))
    found = compare_runs(runs)
    (public,), (own,) = found["benchmarks"], found["own"]
    assert [row["name"] for row in own["rows"]] == ["part"] and own["title"] == "A part of coco-cn@1053"
    assert [row["name"] for row in public["rows"] if row["kind"] == "ours"] == ["whole"] and len(public["rows"]) > 1


def test_so_many_equal_texts_leave_out_the_analysis_and_say_so(run, monkeypatch):
    monkeypatch.setattr("ernie_vil2.evaluation.own_set.MOST_PAIRS", 2 * COUNT)
    assert run("plain", Own()).analysis is not None
    found = run("many", Own(shared=range(COUNT)))
    assert found.analysis is None and "left out" in found.results[0].notes[-1]


@pytest.mark.parametrize("texts, worth", [(1, "100"), (12, "8.33"), (5000, "0.02")])
def test_what_one_right_answer_is_worth_is_told_in_figures(texts, worth):
    told = size_told(Result("own:a@standard", "retrieval", {}, {"images": 4, "texts": texts}))
    assert f"is {worth} points" in told
