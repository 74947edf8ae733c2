"""Every published form of a benchmark gives the same images, texts and pairs, whatever the line ends and the layout."""

import os

import numpy as np
import pytest

from ernie_vil2.errors import DataError
from ernie_vil2.evaluation.benchmarks.benchmark_folder import MissingFile
from ernie_vil2.evaluation.benchmarks.retrieval import aic_icc, cbvs, coco_cn, flickr30k_cn, karpathy, muge
from ernie_vil2.evaluation.benchmarks.retrieval.captions import joined, read_captions
from tests.conftest import ROOT
from tests.evaluation.benchmarks import makers
from tests.evaluation.benchmarks.makers import CLEAN, WINDOWS, picture

STYLES = pytest.mark.parametrize("style", [CLEAN, WINDOWS])
FLICKR30K, MSCOCO = karpathy.PROTOCOLS["flickr30k"].read, karpathy.PROTOCOLS["mscoco"].read


def belongs(pairs):
    """{image id: its texts} of Pairs."""
    found = {key: [] for key in pairs.image_ids}
    for text, image in pairs.pairs:
        found[pairs.image_ids[image]].append(pairs.texts[text])
    return found


def stored(image):
    """Encoded bytes of an image of Pairs."""
    return image if isinstance(image, bytes) else image.read_bytes()


def check(pairs, wanted):
    """The pairs are those of {image id: texts}, in order, and the pictures those that the makers drew."""
    assert belongs(pairs) == wanted and pairs.texts == tuple(text for found in wanted.values() for text in found)
    assert [stored(pairs.images[row]) for row in range(len(wanted))] == [picture(row) for row in range(len(wanted))]
    assert pairs.pairs.dtype == np.int64 and all(len(value) == 64 for value in pairs.files.values())


@STYLES
@pytest.mark.parametrize("place", ["", "images", "."])
def test_coco_cn(tmp_path, style, place):
    wanted = makers.coco_cn(tmp_path, style, place)
    for protocol in ("1053", "5k"):
        pairs = coco_cn.read(tmp_path, protocol, allow_counts=True)
        check(pairs, wanted[protocol])
        assert pairs.name == f"coco-cn@{protocol}" and pairs.rule == "standard"
    first = coco_cn.read(tmp_path, "1k-official", allow_counts=True)
    check(first, {key: found[:1] for key, found in wanted["1053"].items()})
    assert first.rule == "row_by_row" and any("first caption" in note for note in first.notes)


def test_coco_images_by_number_and_through_links(tmp_path):
    ids = makers.coco_ids(4)
    wanted = makers.coco_cn(tmp_path / "set", place="elsewhere", ids=ids)
    (tmp_path / "set" / "elsewhere").rename(tmp_path / "coco")
    for key in ids[2:]:
        (tmp_path / "coco" / f"{key}.jpg").rename(tmp_path / "coco" / f"{key[-12:]}.jpg")
    os.symlink(tmp_path / "coco", tmp_path / "set" / "coco")
    os.symlink(tmp_path / "set", tmp_path / "set" / "loop")
    check(coco_cn.read(tmp_path / "set", "1053", allow_counts=True), wanted["1053"])


def test_other_splits_and_segmented_captions_of_coco_cn(tmp_path):
    makers.coco_cn(tmp_path)
    makers.put_images(tmp_path / "val2014", ["COCO_val2014_000000000001"])
    top = tmp_path / "coco-cn-version1805v1.1"
    pairs = coco_cn.read(tmp_path, None, "val", allow_counts=True)
    assert pairs.name == "coco-cn@val" and belongs(pairs) == {"COCO_val2014_000000000001": ["别的"]}
    (top / "imageid.human-written-caption.txt").unlink()
    makers.put(
        top / "imageid.human-written-caption.bosonseg.txt", ["COCO_val2014_000000000001#0\t一:m 只:q red:x cat:x"]
    )
    assert coco_cn.read(tmp_path, None, "val", allow_counts=True).texts == ("一只red cat",)


def test_the_documented_forms_of_coco_cn_s_lines_are_read(tmp_path):
    text = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    block = text.split("these forms are read, here one of each:\n\n```\n")[1].split("```")[0]
    lines = block.splitlines()
    assert len(lines) == 3 and ["#zhm#" in line for line in lines] == [False, True, False]
    found = []
    for line in [*lines, lines[0].replace("#0", ".jpg#0")]:
        (tmp_path / "c.txt").write_text(f"{line}\n", encoding="utf-8")
        found += read_captions(tmp_path / "c.txt", segmented=line == lines[2])
    assert {(caption.image, caption.text) for caption in found} == {("COCO_val2014_000000391895", "一名男子骑着摩托车")}


@STYLES
@pytest.mark.parametrize("as_file", [True, False])
def test_the_release_s_own_file(tmp_path, style, as_file):
    rows = [("一", "a", 0), ("二", "b", 1), ("三", "a", 0)]
    path = makers.release_tsv(tmp_path / "coco-cn_test.tsv", rows, style)
    pairs = coco_cn.read(path if as_file else tmp_path, "1k-official", allow_counts=True)
    assert pairs.texts == ("一", "二", "三") and pairs.image_ids == ("a", "b") and pairs.rule == "row_by_row"
    assert pairs.pairs.tolist() == [[0, 0], [1, 1], [2, 0]]
    assert [pairs.images[row] for row in (0, 1)] == [picture(0), picture(1)]
    with pytest.raises(MissingFile, match="release's form"):
        coco_cn.read(path, "1053")


@STYLES
@pytest.mark.parametrize("make", [makers.flickr30k_cn, makers.flickr30k_cna])
def test_flickr30k_cn(tmp_path, style, make):
    check(flickr30k_cn.read(tmp_path, allow_counts=make(tmp_path, style) is not None), make(tmp_path, style))


@STYLES
@pytest.mark.parametrize("name, read", [("flickr30k", FLICKR30K), ("mscoco", MSCOCO)])
def test_karpathy(tmp_path, style, name, read):
    wanted = makers.karpathy(tmp_path, name, style)
    pairs = read(tmp_path, "5k" if name == "mscoco" else "1k", allow_counts=True)
    check(pairs, wanted)
    assert any("26 captions instead of" in note for note in pairs.notes)


def test_an_image_that_is_there_twice_is_taken_from_its_published_folder(tmp_path):
    wanted = makers.karpathy(tmp_path, "mscoco")
    makers.put_images(tmp_path / "thumbnails", reversed(list(wanted)))
    check(MSCOCO(tmp_path, "5k", allow_counts=True), wanted)
    (tmp_path / "val2014").rename(tmp_path / "val")
    with pytest.raises(DataError, match="is there twice"):
        MSCOCO(tmp_path, "5k", allow_counts=True)


@STYLES
def test_aic_icc(tmp_path, style, monkeypatch):
    monkeypatch.setattr(aic_icc, "ROWS", 4)
    texts = makers.aic_icc(tmp_path, style)
    ids = list(texts)
    wanted = {
        "30k": texts,
        "10k-images": {key: texts[key] for key in ids[:4]},
        "10k-pairs": {ids[0]: texts[ids[0]][:4]},
    }
    for protocol, rows in wanted.items():
        check(aic_icc.read(tmp_path, protocol, allow_counts=True), rows)
        makers.clip_tsv(tmp_path / "clip", texts, "valid", style)
        if protocol != "10k-pairs":
            check(aic_icc.read(tmp_path / "clip", protocol, allow_counts=True), rows)
    monkeypatch.setattr(aic_icc, "ROWS", 10)
    pairs = {key: texts[key] for key in ids[:2]}
    check(aic_icc.read(tmp_path, "10k-pairs", allow_counts=True), pairs)
    check(aic_icc.read(tmp_path / "clip", "10k-pairs", allow_counts=True), pairs)


@STYLES
def test_muge(tmp_path, style):
    makers.muge(tmp_path, style)
    pairs = muge.read(tmp_path, allow_counts=True)
    assert pairs.image_ids == ("900", "901", "902", "903", "904") and pairs.rule == "text_to_image"
    assert pairs.texts == tuple(text for text, _ in makers.QUERIES)
    assert pairs.pairs.tolist() == [[0, 0], [0, 1], [1, 2], [2, 1], [2, 2], [2, 3]]
    assert [pairs.images[row] for row in range(5)] == [picture(row) for row in range(5)]


@STYLES
def test_cbvs(tmp_path, style):
    documents = makers.cbvs(tmp_path, style)
    pairs = cbvs.read(tmp_path, allow_counts=True)
    assert pairs.image_ids == tuple(documents) and pairs.texts == ("大宅门", "绝迹", "薛之谦")
    grades = [(pairs.texts[query], pairs.image_ids[document], label) for query, document, label in pairs.grades]
    assert grades == makers.GRADED
    assert pairs.pairs.tolist() == [[0, 1], [1, 2]]
    assert [stored(pairs.images[row]) for row in range(5)] == [picture(row) for row in range(5)]
    assert any(note.startswith("lines that repeat a query and a document: 1,") for note in pairs.notes)


@pytest.mark.parametrize(
    "read, protocol, split",
    [
        (coco_cn.read, "5k", "test"),
        (flickr30k_cn.read, "1k", "test"),
        (FLICKR30K, "1k", "test"),
        (MSCOCO, "5k", "test"),
        (muge.read, "valid", "valid"),
        (aic_icc.read, "30k", "valid"),
    ],
)
def test_chinese_clip_s_forms(tmp_path, read, protocol, split):
    texts = makers.captions([11, 22, 33])
    makers.clip_tsv(tmp_path / "tsv", texts, split, WINDOWS)
    makers.clip_lmdb(tmp_path / "lmdb", texts, split)
    wanted = {str(key): found for key, found in texts.items()}
    first, second = (read(tmp_path / kind, protocol, allow_counts=True) for kind in ("tsv", "lmdb"))
    check(first, wanted)
    assert belongs(first) == belongs(second)
    assert {key: second.images[row] for row, key in enumerate(second.image_ids)} == {
        key: picture(row) for row, key in enumerate(wanted)
    }


def test_chinese_clip_s_coco_cn_is_told_by_its_number_of_captions(tmp_path):
    makers.clip_tsv(tmp_path, makers.captions([1, 2, 3], [1, 2, 1]))
    assert len(coco_cn.read(tmp_path, "1053", allow_counts=True).texts) == 4
    assert coco_cn.read(tmp_path, "1k-official", allow_counts=True).texts == ("图0的第0句", "图1的第0句", "图2的第0句")
    with pytest.raises(MissingFile, match="holds the human-written captions, by their number of 4"):
        coco_cn.read(tmp_path, "5k", allow_counts=True)


def test_val_is_valid_to_chinese_clip(tmp_path):
    makers.clip_tsv(tmp_path, makers.captions([1, 2]), "valid")
    assert flickr30k_cn.read(tmp_path, None, "val", allow_counts=True).name == "flickr30k-cn@val"


def test_words_are_joined_as_they_were_written():
    assert joined("一:m 辆:q BMW:nx X5:nx 在:p 3:m 点:q 。:wj") == "一辆BMW X5在3点。"
    assert joined("一 辆 车 : 红") == "一辆车:红"


def test_checksums_do_not_depend_on_the_place(tmp_path):
    for name in ("a", "b"):
        makers.coco_cn(tmp_path / name, place="" if name == "a" else "images")
    first, second = (coco_cn.read(tmp_path / name, "1053", allow_counts=True).files for name in ("a", "b"))
    assert first == second
