"""From files to figures: each protocol equals a count of ranks by hand, and everything is encoded once."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from ernie_vil2.errors import CheckpointError, ConfigError, DataError, ImageError
from ernie_vil2.evaluation.benchmarks.registry import benchmark
from ernie_vil2.evaluation.benchmarks.retrieval import (
    aic_icc,
    clip_files,
    coco_cn,
    flickr30k_cn,
    karpathy,
    outcome,
    rules,
)
from ernie_vil2.evaluation.benchmarks.retrieval.pairs import Pairs
from ernie_vil2.evaluation.benchmarks.run import tables
from ernie_vil2.evaluation.metrics.ranks import retrieval_metrics
from tests.evaluation.benchmarks import makers
from tests.evaluation.benchmarks.makers import picture


def evaluate(model, name, data, **options):
    """As `registry` has it."""
    return benchmark(name).evaluate(model, name, data, **options)


def vector(data):
    """A unit vector that bytes stand for."""
    seed = int.from_bytes(hashlib.sha256(data).digest()[:8], "little")
    drawn = np.random.default_rng(seed).standard_normal(6)
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


class Hasher:
    """Stands in for a model: an embedding is a hash of the content; `broken` bytes cannot be decoded."""

    def __init__(self, broken=b""):
        self.broken, self.images, self.texts = broken, [], []

    def encode_image(self, images, on_error):
        assert on_error == "skip"
        self.images += images
        return np.stack([vector(image) for image in images]), [
            (position, "not an image") for position, image in enumerate(images) if image == self.broken
        ]

    def encode_text(self, texts):
        self.texts += texts
        return np.stack([vector(text.encode()) for text in texts])


def recalls(wanted, number=None):
    """{name: percent} of both directions of {image number: texts}, by sorting; images up to `number` are candidates."""
    images = {key: vector(picture(key)) for key in range(number or len(wanted))}
    texts = [(text, key) for key, found in wanted.items() for text in found]
    result = {}
    for k in (1, 5, 10):
        hits = []
        for text, key in texts:
            ranked = sorted(images, key=lambda other: -float(images[other] @ vector(text.encode())))
            hits.append(key in ranked[:k])
        result[f"t2i_r{k}"] = 100 * sum(hits) / len(hits)
        hits = []
        for key in wanted:
            ranked = sorted(texts, key=lambda row: -float(images[key] @ vector(row[0].encode())))
            hits.append(any(owner == key for _, owner in ranked[:k]))
        result[f"i2t_r{k}"] = 100 * sum(hits) / len(hits)
    result["mean_recall"] = sum(result.values()) / 6
    return result


def by_number(texts):
    return dict(enumerate(texts.values()))


def same(result, wanted):
    assert {key: result.metrics[key] for key in wanted} == pytest.approx(wanted)


def test_coco_cn_measures_all_its_protocols_and_encodes_once(tmp_path):
    wanted, model, seen = makers.coco_cn(tmp_path), Hasher(), []
    outcome = evaluate(model, "coco-cn", tmp_path, allow_counts=True, progress=lambda *at: seen.append(at))
    first, official, translated = outcome.results
    assert [row.benchmark for row in outcome.results] == ["coco-cn@1053", "coco-cn@1k-official", "coco-cn@5k"]
    same(first, recalls(by_number(wanted["1053"])))
    same(translated, recalls(by_number(wanted["5k"])))
    alone = {key: found[:1] for key, found in by_number(wanted["1053"]).items()}
    same(official, {"t2i_r1": recalls(alone)["t2i_r1"]})
    assert official.metrics == {
        key: value
        for key, value in retrieval_metrics(
            np.stack([vector(picture(key)) for key in alone]),
            np.stack([vector(text.encode()) for (text,) in alone.values()]),
            protocol="official",
        ).items()
        if not key.startswith("num_")
    }
    assert len(model.images) == 6 and len(model.texts) == len(set(model.texts)) == 30
    assert seen[-1] == (36, 36)
    assert first.counts == {"images": 6, "texts": 7, "image queries": 6, "text queries": 7}
    assert outcome.embeddings.text_image.tolist() == [0, 1, 1, 2, 3, 4, 5] and outcome.texts[2] == "图1的第1句"
    assert outcome.embeddings.image_ids == tuple(wanted["1053"]) and outcome.image(3).name.endswith("1003.jpg")


def test_every_table_has_the_notes_that_belong_to_it(tmp_path):
    makers.coco_cn(tmp_path)
    results = evaluate(Hasher(), "coco-cn", tmp_path, allow_counts=True).results
    blocks = dict(zip(("1053", "1k-official", "5k"), tables(results).split("\n\n"), strict=True))
    for key, captions, wanted in (("1053", 7, "1,053"), ("1k-official", 6, "1,000"), ("5k", 30, "5,000")):
        note = f"6 images and {captions} captions instead of 1,000 images and {wanted} captions: not comparable"
        assert f"note: {note}" in blocks[key] and blocks[key].count("instead of") == 1
    assert "first caption" in blocks["1k-official"] and "first caption" not in blocks["1053"]


def test_a_note_of_two_tables_stands_under_both(tmp_path):
    makers.karpathy(tmp_path, "mscoco", count=10)
    whole, folds = tables(evaluate(Hasher(), "mscoco", tmp_path, allow_counts=True).results).split("\n\n")
    note = "note: 10 images and 51 captions instead of 5,000 images and 25,010 captions: not comparable"
    assert note in whole and note in folds


def test_an_image_without_caption_is_told_by_the_official_protocol(tmp_path, monkeypatch):
    """Also where the file has as many captions as it must, since the first of each image are taken."""
    makers.coco_cn(tmp_path)
    monkeypatch.setitem(coco_cn.COUNTS, "1k-official", {"images": 6, "captions": 7})
    monkeypatch.setattr(coco_cn, "TAKEN", {"images": 6, "captions": 6})
    assert len(coco_cn.read(tmp_path, "1k-official").texts) == 6
    path = tmp_path / "coco-cn-version1805v1.1" / "imageid.human-written-caption.txt"
    makers.put(path, path.read_text(encoding="utf-8").replace("1005#0", "1004#1"))
    with pytest.raises(DataError, match="gives 5 captions, but 6 captions belong to it"):
        coco_cn.read(tmp_path, "1k-official")


def test_one_protocol_alone_and_what_is_not_there(tmp_path):
    makers.coco_cn(tmp_path)
    alone = evaluate(Hasher(), "coco-cn@5k", tmp_path, allow_counts=True).results
    assert [row.benchmark for row in alone] == ["coco-cn@5k"]
    (tmp_path / "coco-cn-version1805v1.1" / "imageid.manually-translated-caption.txt").unlink()
    results = evaluate(Hasher(), "coco-cn", tmp_path, allow_counts=True).results
    assert [row.benchmark for row in results] == ["coco-cn@1053", "coco-cn@1k-official"]
    assert any(
        note.startswith("coco-cn@5k is not measured: ") and "manually-translated" in note for note in results[0].notes
    )
    with pytest.raises(DataError, match="manually-translated"):
        evaluate(Hasher(), "coco-cn@5k", tmp_path, allow_counts=True)


def test_the_checksum_tells_contents_and_not_places(tmp_path):
    def checksum(folder):
        return evaluate(Hasher(), "coco-cn@1053", folder, allow_counts=True).data_sha256

    makers.coco_cn(tmp_path / "a")
    makers.coco_cn(tmp_path / "b", place="images")
    assert checksum(tmp_path / "a") == checksum(tmp_path / "b")
    image = next((tmp_path / "b" / "images").iterdir())
    image.write_bytes(picture(99))
    assert checksum(tmp_path / "a") != checksum(tmp_path / "b")


@pytest.mark.parametrize(
    "name, make, module, count",
    [
        ("flickr30k-cn", makers.flickr30k_cn, flickr30k_cn, 1),
        ("aic-icc", makers.aic_icc, aic_icc, 3),
        ("flickr30k", lambda folder: makers.karpathy(folder, "flickr30k"), karpathy, 1),
    ],
)
def test_captions_of_images(tmp_path, name, make, module, count):
    wanted = make(tmp_path)
    assert benchmark(name) is module.BENCHMARKS[name]
    results = evaluate(Hasher(), name, tmp_path, allow_counts=True).results
    assert len(results) == count and all(row.benchmark.partition("@")[0] == name for row in results)
    assert (results[0].benchmark == name) == (count == 1)
    same(results[0], recalls(by_number(wanted)))


def test_mscoco_all_at_once_and_in_folds(tmp_path):
    wanted = by_number(makers.karpathy(tmp_path, "mscoco", count=10))
    whole, folds = evaluate(Hasher(), "mscoco", tmp_path, allow_counts=True).results
    assert (whole.benchmark, folds.benchmark) == ("mscoco@5k", "mscoco@1k")
    same(whole, recalls(wanted))
    runs = []
    for start in range(0, 10, 2):
        images = np.stack([vector(picture(key)) for key in (start, start + 1)])
        texts = [(text, key - start) for key in (start, start + 1) for text in wanted[key]]
        embeds = np.stack([vector(text.encode()) for text, _ in texts])
        runs.append(retrieval_metrics(images, embeds, np.array([key for _, key in texts])))
    same(folds, {key: np.mean([run[key] for run in runs]) for key in folds.metrics})
    assert folds.counts == {"images": 10, "texts": 51, "folds": 5} and "5 folds of 2 images" in "".join(folds.notes)
    assert folds.metrics["t2i_r1"] > whole.metrics["t2i_r1"]


@pytest.mark.parametrize(
    "count, sizes",
    [
        (5, "5 folds of 1 image"),
        (8, "5 folds of 1 or 2 images"),
        (10, "5 folds of 2 images"),
        (13, "5 folds of 2 or 3 images"),
    ],
)
def test_folds_are_told_with_their_sizes(tmp_path, count, sizes):
    makers.karpathy(tmp_path, "mscoco", count=count)
    [result] = evaluate(Hasher(), "mscoco@1k", tmp_path, allow_counts=True).results
    assert f"mean over {sizes}" in result.notes


def test_too_few_images_for_folds_leave_the_other_figures(tmp_path):
    makers.karpathy(tmp_path, "mscoco", count=4)
    [whole] = evaluate(Hasher(), "mscoco", tmp_path, allow_counts=True).results
    assert whole.benchmark == "mscoco@5k" and any(
        note.startswith("mscoco@1k is not measured: ") and "4 images with 21 captions are too few" in note
        for note in whole.notes
    )
    model = Hasher()
    with pytest.raises(DataError, match="mscoco@1k is a mean over 5 folds, .* too few; complete the files"):
        evaluate(model, "mscoco@1k", tmp_path, allow_counts=True)
    assert not model.images


def test_muge_counts_any_of_a_query_s_images_among_all(tmp_path):
    makers.muge(tmp_path)
    [result] = evaluate(Hasher(), "muge", tmp_path, allow_counts=True).results
    images = [vector(picture(number)) for number in range(5)]
    for k in (1, 5):
        hits = []
        for text, wanted in makers.QUERIES:
            ranked = np.argsort([-float(vector(text.encode()) @ image) for image in images])
            hits.append(any(makers.PRODUCTS[row] in wanted for row in ranked[:k]))
        assert result.metrics[f"t2i_r{k}"] == pytest.approx(100 * np.mean(hits))
    assert result.metrics["mean_recall"] == result.metrics["t2i_mean"]
    assert not any(key.startswith("i2t") for key in result.metrics) and result.counts["images"] == 5


def test_cbvs_ranks_all_documents_and_the_labelled_ones(tmp_path):
    documents = makers.cbvs(tmp_path)
    outcome = evaluate(Hasher(), "cbvs", tmp_path, allow_counts=True)
    [result] = outcome.results
    score = {
        (query, document): float(vector(query.encode()) @ vector(picture(documents.index(document))))
        for query in ("大宅门", "绝迹", "薛之谦")
        for document in documents
    }
    good = sum(score[q, d] > score[q, e] for q, d, a in makers.GRADED for p, e, b in makers.GRADED if p == q and a > b)
    bad = sum(score[q, d] < score[q, e] for q, d, a in makers.GRADED for p, e, b in makers.GRADED if p == q and a > b)
    assert (result.counts["concordant pairs"], result.counts["discordant pairs"]) == (good, bad) and good + bad == 5
    ranks = [
        sorted(documents, key=lambda d: -score[q, d]).index(right)
        for q, right in (("大宅门", "70001002_b"), ("绝迹", "80000851_c"))
    ]
    assert result.metrics["t2i_r1"] == pytest.approx(100 * np.mean([rank < 1 for rank in ranks]))
    assert result.metrics["t2i_mrr"] == pytest.approx(np.mean([1 / (1 + rank) for rank in ranks]))
    assert result.task == "graded-retrieval" and {"ndcg_10", "map"} < set(result.metrics)
    assert result.counts["queries in MAP"] == 2 and result.counts["graded pairs"] == 8


def test_val_and_valid_are_one_split(tmp_path):
    makers.aic_icc(tmp_path)
    makers.muge(tmp_path)
    for name in ("aic-icc", "muge"):
        first, second = (
            evaluate(Hasher(), name, tmp_path, split=split, allow_counts=True).results for split in ("val", "valid")
        )
        assert first == second
    assert len(aic_icc.read(tmp_path, None, "val", allow_counts=True).texts) == 30


def test_partial_data_is_measured_when_allowed_and_told(tmp_path):
    wanted = by_number(makers.coco_cn(tmp_path)["1053"])
    (tmp_path / "val2014" / f"{makers.coco_ids(6)[1]}.jpg").unlink()
    [result] = evaluate(Hasher(), "coco-cn@1053", tmp_path, allow_counts=True).results
    del wanted[1]
    images = np.stack([vector(picture(key)) for key in wanted])
    texts = np.stack([vector(text.encode()) for found in wanted.values() for text in found])
    same(
        result,
        {
            key: value
            for key, value in retrieval_metrics(images, texts, np.arange(5)).items()
            if not key.startswith("num_")
        },
    )
    assert any("missing images: 1 of 6, left out" in note for note in result.notes)
    makers.cbvs(tmp_path / "cbvs")
    (tmp_path / "cbvs" / "imgs" / "80000851_c.webp").unlink()
    [result] = evaluate(Hasher(), "cbvs", tmp_path / "cbvs", allow_counts=True).results
    assert result.counts["graded pairs"] == 6 and result.counts["text queries"] == 1


def test_a_broken_image_is_named_with_its_file(tmp_path):
    makers.coco_cn(tmp_path)
    with pytest.raises(ImageError, match=r"image 'COCO_val2014_0+1002', .*1002\.jpg: not an image"):
        evaluate(Hasher(picture(2)), "coco-cn@5k", tmp_path, allow_counts=True)
    makers.muge(tmp_path)
    with pytest.raises(ImageError, match=r"image '901', .*MR_valid_imgs\.tsv:2: not an image"):
        evaluate(Hasher(picture(1)), "muge", tmp_path, allow_counts=True)


def test_windows_change_nothing(tmp_path, monkeypatch):
    makers.coco_cn(tmp_path)
    first = evaluate(Hasher(), "coco-cn", tmp_path, allow_counts=True)
    monkeypatch.setattr(outcome, "IMAGE_WINDOW", 4)
    monkeypatch.setattr(outcome, "TEXT_WINDOW", 3)
    second = evaluate(Hasher(), "coco-cn", tmp_path, allow_counts=True)
    assert first.results == second.results and first.data_sha256 == second.data_sha256


def test_tables_show_every_metric(tmp_path):
    makers.cbvs(tmp_path)
    makers.coco_cn(tmp_path)
    for name in ("cbvs", "coco-cn"):
        results = evaluate(Hasher(), name, tmp_path, allow_counts=True).results
        text = tables(results)
        for result in results:
            assert text.count(f"{result.benchmark} (") == 1
            for key, value in result.metrics.items():
                assert f"{value:.2f}" in text or f"{value:.4f}" in text or f"{value:g}" in text, key
            assert all(text.count(note) == 1 for note in result.notes)


def test_results_can_be_written_as_json(tmp_path):
    makers.cbvs(tmp_path)
    [result] = evaluate(Hasher(), "cbvs", tmp_path, allow_counts=True).results
    assert json.loads(json.dumps([result.metrics, result.counts, result.notes], allow_nan=False))


@pytest.mark.parametrize(
    "name, words",
    [
        ("coco_cn", "did you mean 'coco-cn'"),
        ("flickr30", "did you mean 'flickr30k'"),
        ("zzz", "known are coco-cn, "),
        ("", "known are"),
    ],
)
def test_unknown_benchmarks(name, words):
    with pytest.raises(ConfigError, match=words):
        benchmark(name)


@pytest.mark.parametrize(
    "name, split, words",
    [
        ("coco-cn@1054", "test", "did you mean '1053'"),
        ("coco-cn@x", "test", "known are 1053, 1k-official, 5k"),
        ("coco-cn@5k", "val", "coco-cn@5k is a protocol of the split test"),
        ("coco-cn", "vall", "did you mean 'val'"),
        ("cbvs", "val", "no other split"),
        ("muge", "dev", "no split 'dev'"),
        ("aic-icc", "test", "no split 'test'"),
        ("flickr30k-cn", "dev", "no split 'dev'"),
        ("mscoco", "dev", "has no split 'dev'; it has test, val, restval"),
    ],
)
def test_unknown_protocols_and_splits(tmp_path, name, split, words):
    makers.coco_cn(tmp_path)
    makers.karpathy(tmp_path, "mscoco")
    with pytest.raises(ConfigError, match=words):
        evaluate(Hasher(), name, tmp_path, split=split)


def test_images_that_are_left_of_a_file_are_taken_when_they_are_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(aic_icc, "ROWS", 3)
    makers.clip_tsv(tmp_path, makers.captions(["11", "12", "13", "14"]), "valid")
    taken = []
    original = clip_files.TsvImages.__getitem__
    monkeypatch.setattr(clip_files.TsvImages, "__getitem__", lambda self, row: taken.append(row) or original(self, row))
    part = aic_icc.read(tmp_path, "10k-images", allow_counts=True)
    assert (part.image_ids, taken) == (("11", "12", "13"), [])
    assert part.images[2] == picture(2) and taken == [2]
    with pytest.raises(ImageError, match=r"'12', .*valid_imgs\.tsv:2: not an image"):
        outcome.outcome(Hasher(broken=picture(1)), [part])


def test_the_images_kept_are_the_right_ones(tmp_path):
    """With a missing image in the middle, every other one keeps its own file and texts."""
    makers.coco_cn(tmp_path)
    whole, gone = coco_cn.read(tmp_path, allow_counts=True), makers.coco_ids(6)[2]
    whole = {key: whole.images[row].read_bytes() for row, key in enumerate(whole.image_ids)}
    (tmp_path / gone.split("_")[1] / f"{gone}.jpg").unlink()
    part = coco_cn.read(tmp_path, allow_counts=True)
    assert len(part.images) == 5 and gone not in part.image_ids
    for row, key in enumerate(part.image_ids):
        assert part.images[row].read_bytes() == whole[key] and part.place(row).endswith(f"{key}.jpg")


def test_graded_scores_that_differ_by_rounding_are_equal():
    """All documents point the same way; only the rounding of their lengths differs."""
    scales = np.random.default_rng(0).uniform(0.1, 9, (40, 1))
    image, text = np.tile([[0.3, 0.7, 0.11]], (40, 1)) * scales, np.array([[0.9, 0.2, 0.5]])
    grades = np.stack([np.zeros(40, int), np.arange(40), np.arange(40) % 3], axis=1)
    part = Pairs(
        "cbvs",
        tuple(map(str, range(40))),
        [b""] * 40,
        ("x",),
        grades[grades[:, 2] == 2, :2],
        {},
        rule="graded",
        grades=grades,
    )
    metrics, counts = rules.graded(image, text, part)[1:3]
    assert "pnr" not in metrics and counts["concordant pairs"] == counts["discordant pairs"] == 0
    assert metrics["ndcg_10"] == 0


@pytest.mark.parametrize("side, words", [("encode_text", "the text '图2的第"), ("encode_image", "image 'COCO_train")])
def test_a_model_that_gives_nan_is_refused_by_name(tmp_path, side, words):
    makers.coco_cn(tmp_path)
    model = Hasher()
    whole = getattr(model, side)

    def broken(items, **more):
        found = whole(items, **more)
        (found[0] if side == "encode_image" else found)[3] = np.inf
        return found

    setattr(model, side, broken)
    with pytest.raises(CheckpointError, match=f"embeddings are not finite: .* 1 of [67] .*, the first is {words}"):
        evaluate(model, "coco-cn@1053", tmp_path, allow_counts=True)


@pytest.mark.parametrize("rule", ["standard", "text_to_image"])
def test_repeated_texts_of_a_benchmark_are_told_and_measured_as_its_authors_do(rule):
    texts, pairs = ("a", "b", "a", "c"), np.stack([np.arange(4), np.arange(4)], 1)
    images = [picture(key) for key in range(4)]
    part = Pairs("set", tuple("0123"), images, texts, pairs, {}, rule)
    found = outcome.outcome(Hasher(), [part]).results[0]
    assert found.notes == (
        "1 of 4 texts repeat an earlier one; as its authors measure it, each is right for its own images alone",
    )
    wanted = retrieval_metrics(
        np.stack(list(map(vector, images))), np.stack([vector(x.encode()) for x in texts]), pairs
    )
    assert found.metrics["t2i_r1"] == wanted["t2i_r1"]
    assert outcome.outcome(Hasher(), [replace(part, texts=tuple("abcd"))]).results[0].notes == ()
