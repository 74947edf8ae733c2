"""Each fault of a benchmark's files is one sentence with file and line, and says what to do or where to apply."""

import base64
import errno
import json
import os
import re
from pathlib import Path

import pytest

from ernie_vil2.errors import DataError
from ernie_vil2.evaluation.benchmarks.classification.class_folders import read_folder
from ernie_vil2.evaluation.benchmarks.image_retrieval.label_files import Options, read_coco
from ernie_vil2.evaluation.benchmarks.reading import Reading, find, is_folder
from ernie_vil2.evaluation.benchmarks.retrieval import aic_icc, cbvs, coco_cn, flickr30k_cn, karpathy, muge
from tests.evaluation.benchmarks import makers
from tests.evaluation.benchmarks.makers import picture

FLICKR30K, MSCOCO = karpathy.PROTOCOLS["flickr30k"].read, karpathy.PROTOCOLS["mscoco"].read
HUMAN = "coco-cn-version1805v1.1/imageid.human-written-caption.txt"
LIST = "coco-cn-version1805v1.1/coco-cn_test.txt"


def refused(read, folder, *arguments, allow_counts=True):
    """The one sentence with which files are refused."""
    with pytest.raises(DataError) as caught:
        read(folder, *arguments, allow_counts=allow_counts)
    text = str(caught.value)
    assert "\n" not in text and ("; " in text or "give " in text)
    return text


def add(path, line):
    path.write_bytes(path.read_bytes() + line.encode())


@pytest.mark.parametrize(
    "read, arguments, words",
    [
        (
            coco_cn.read,
            ("1053",),
            ["coco-cn_test.txt", "imageid.human-written-caption.txt", "test_imgs.tsv", "li-xirong/coco-cn"],
        ),
        (coco_cn.read, ("5k",), ["imageid.manually-translated-caption.txt", "li-xirong/coco-cn"]),
        (
            flickr30k_cn.read,
            (),
            [
                "seg.flickr30kzhmbosontest.caption.txt",
                "flickr30k_cn_test.txt",
                "test_imgs.tsv",
                "li-xirong/cross-lingual-cap",
            ],
        ),
        (muge.read, (), ["MR_valid_queries.jsonl", "MR_valid_imgs.tsv", "valid_texts.jsonl", "Tianchi"]),
        (aic_icc.read, (), ["caption_validation_annotations_20170910.json", "valid_imgs.tsv", "AI Challenger"]),
        (FLICKR30K, (), ["dataset_flickr30k.json", "Karpathy"]),
        (MSCOCO, (), ["dataset_coco.json", "test_texts.jsonl"]),
        (cbvs.read, (), ["cbvs20k.txt", "QQBrowserVideoSearch/CBVS-UniCLIP"]),
    ],
)
def test_files_that_are_not_there_are_named_with_their_source(tmp_path, read, arguments, words):
    text = refused(read, tmp_path, *arguments)
    assert all(word in text for word in words) and str(tmp_path) in text
    assert "does not exist" in refused(read, tmp_path / "nowhere", *arguments)


@pytest.mark.parametrize(
    "gone, words",
    [
        (LIST, "lacks the list of test images, looked for as coco-cn_test.txt; "),
        (HUMAN, "lacks the captions, looked for as imageid.human-written-caption.txt or "),
    ],
)
def test_one_file_of_two(tmp_path, gone, words):
    makers.coco_cn(tmp_path)
    (tmp_path / gone).unlink()
    assert words in refused(coco_cn.read, tmp_path)


def test_one_file_of_two_of_muge(tmp_path):
    makers.muge(tmp_path)
    (tmp_path / "Multimodal_Retrieval" / "MR_valid_imgs.tsv").unlink()
    assert "lacks the images, looked for as MR_valid_imgs.tsv; " in refused(muge.read, tmp_path)


@pytest.mark.parametrize(
    "read, make, image, words",
    [
        (
            coco_cn.read,
            makers.coco_cn,
            "val2014/COCO_val2014_000000001001.jpg",
            r"image 'COCO_val2014_0+1001', named at .*coco-cn_test\.txt:2, is not in .*train2014, .*val2014 "
            r"\(missing images: 1 of 6\); .*COCO",
        ),
        (
            flickr30k_cn.read,
            makers.flickr30k_cn,
            "flickr30k-images/1000092796.jpg",
            r"image '1000092796', named at .*bosontest\.txt:2, .*missing images: 1 of 5.*University of Illinois",
        ),
        (flickr30k_cn.read, makers.flickr30k_cna, "images/1000092796.jpg", r"named at .*flickr30k_cn_test\.txt:6, "),
        (
            aic_icc.read,
            makers.aic_icc,
            f"ai_challenger_caption_validation_20170910/caption_validation_images_20170910/01{'ab12' * 9}.jpg",
            r"named at .*20170910\.json, entry 2, .*caption_validation_images",
        ),
        (
            MSCOCO,
            lambda folder: makers.karpathy(folder, "mscoco"),
            "val2014/COCO_val2014_000000001004.jpg",
            r"named at .*dataset_coco\.json, images\[12\], .*val2014 from",
        ),
        (cbvs.read, makers.cbvs, "imgs/70001002_b.png", r"image '70001002_b', named at .*cbvs20k\.txt:2, .*docid"),
    ],
)
def test_a_missing_image(tmp_path, read, make, image, words):
    make(tmp_path)
    (tmp_path / image).unlink()
    assert re.search(words, refused(read, tmp_path, allow_counts=False))


def test_no_image_at_all(tmp_path):
    makers.coco_cn(tmp_path)
    for folder in ("train2014", "val2014"):
        for path in (tmp_path / folder).iterdir():
            path.unlink()
    assert "which holds no image (missing images: 6 of 6)" in refused(coco_cn.read, tmp_path)


@pytest.mark.parametrize(
    "read, make, arguments, words",
    [
        (
            coco_cn.read,
            makers.coco_cn,
            ("1053",),
            "6 images and 7 captions, but 1,000 images and 1,053 captions belong",
        ),
        (coco_cn.read, makers.coco_cn, ("5k",), "6 images and 30 captions, but 1,000 images and 5,000 captions belong"),
        (flickr30k_cn.read, makers.flickr30k_cn, (), "5 images and 25 captions, but 1,000 images and 5,000 captions"),
        (muge.read, makers.muge, (), "5 images and 3 queries, but 25,000 to 35,000 images and 4,500 to 5,500 queries"),
        (aic_icc.read, makers.aic_icc, ("30k",), "6 images and 30 captions, but 30,000 images and 150,000 captions"),
        (aic_icc.read, makers.aic_icc, ("10k-pairs",), "but 2,000 images and 10,000 captions"),
        (
            FLICKR30K,
            lambda folder: makers.karpathy(folder, "flickr30k"),
            (),
            "5 images and 26 captions, but 1,000 images",
        ),
        (
            MSCOCO,
            lambda folder: makers.karpathy(folder, "mscoco"),
            ("5k",),
            "but 5,000 images and 25,010 captions belong",
        ),
        (cbvs.read, makers.cbvs, (), "5 documents and 3 queries and 8 graded pairs, but 19,662 documents and 2,487"),
    ],
)
def test_counts_that_differ(tmp_path, read, make, arguments, words):
    make(tmp_path)
    text = refused(read, tmp_path, *arguments, allow_counts=False)
    assert words in text and text.endswith("add --allow-counts to measure on what is there")
    assert any("not comparable" in note for note in read(tmp_path, *arguments, allow_counts=True).notes)


@pytest.mark.parametrize(
    "name, line, words",
    [
        (
            HUMAN,
            "COCO_val2014_000000001001#1\t再来\n",
            r"caption\.txt:10: text 'COCO_val2014_0+1001#1' was already given at .*caption\.txt:5; keep one",
        ),
        (HUMAN, "COCO_val2014_000000001001#2\n", r"caption\.txt:10: the line has no sentence after"),
        (
            LIST,
            "COCO_val2014_000000001001\n",
            r"coco-cn_test\.txt:7: image '.*1001' was already listed at .*test\.txt:2; ",
        ),
        (
            LIST,
            "COCO_val2014_000000001001".replace("1001", "1002") + "\n",
            r"test\.txt:7: .* listed at .*test\.txt:3; ",
        ),
    ],
)
def test_lines_of_coco_cn(tmp_path, name, line, words):
    makers.coco_cn(tmp_path)
    add(tmp_path / name, line)
    assert re.search(words, refused(coco_cn.read, tmp_path))


TRANSLATED = "coco-cn-version1805v1.1/imageid.manually-translated-caption.txt"


@pytest.mark.parametrize("lists", [True, False])
@pytest.mark.parametrize(
    "name, protocol",
    [(HUMAN, "1053"), (HUMAN.replace(".txt", ".bosonseg.txt"), "1k-official"), (TRANSLATED, "5k"), (HUMAN, None)],
)
def test_a_line_that_is_none_is_named(tmp_path, name, protocol, lists):
    """Also where the lists of the other splits are not there, so that nothing is known of most captions."""
    makers.coco_cn(tmp_path)
    path = tmp_path / name
    if "boson" in name:
        path = (tmp_path / HUMAN).rename(path)
    for split in () if lists else {"train", "val"} - ({"val"} if protocol is None else set()):
        (tmp_path / LIST.replace("test", split)).unlink()
    lines = path.read_text(encoding="utf-8").splitlines()
    makers.put(path, [*lines[:2], "garbage line", *lines[2:]])
    found = refused(coco_cn.read, tmp_path, protocol, "val" if protocol is None else "test")
    assert re.search(rf"{re.escape(path.name)}:3: .*'garbage'", found)


def test_a_caption_of_an_image_of_no_split_is_told(tmp_path):
    makers.coco_cn(tmp_path)
    add(tmp_path / HUMAN, "COCO_val2014_000000099999#0\t谁\n")
    told = r"captions left out because no list names their image: 1, the first at .*caption\.txt:10"
    assert re.search(told, "\n".join(coco_cn.read(tmp_path, allow_counts=True).notes))
    assert re.search(told, refused(coco_cn.read, tmp_path, allow_counts=False))


def test_a_caption_of_an_unknown_image_in_a_file_of_one_split(tmp_path):
    makers.coco_cn(tmp_path)
    makers.flickr30k_cn(tmp_path)
    add(tmp_path / "coco-cn-version1805v1.1" / "imageid.manually-translated-caption.txt", "COCO_val2014_9#zhm#0 谁\n")
    assert "caption.txt:31: the text belongs to image 'COCO_val2014_9'" in refused(coco_cn.read, tmp_path, "5k")
    add(tmp_path / "flickr30kzhmbosontest" / "TextData" / "seg.flickr30kzhmbosontest.caption.txt", "77#zhm#0 谁\n")
    text = refused(flickr30k_cn.read, tmp_path)
    assert re.search(r"caption\.txt:26: the text belongs to image '77', which is not among the 5 images", text)


@pytest.mark.parametrize(
    "data, words",
    [
        (b"\xff\xfe\0\0C\0\0\0", "UTF-32"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"", "is empty"),
        ("COCO_val2014_000000001001#0\t图片里有猫".encode("big5", "ignore"), "not UTF-8"),
    ],
)
def test_files_of_another_kind(tmp_path, data, words):
    makers.coco_cn(tmp_path)
    (tmp_path / HUMAN).write_bytes(data)
    assert words in refused(coco_cn.read, tmp_path)


def test_a_file_that_is_there_twice(tmp_path):
    makers.coco_cn(tmp_path)
    makers.put(tmp_path / "copy" / "coco-cn_test.txt", "x")
    assert "of which one is needed" in refused(coco_cn.read, tmp_path)


@pytest.mark.parametrize(
    "line, words",
    [
        (
            '{"query_id": 7, "query_text": "又", "item_ids": [900]}',
            r"jsonl:4: text '7' was already given at .*jsonl:1; ",
        ),
        (
            '{"query_id": 99, "query_text": "又", "item_ids": [555]}',
            r"jsonl:4: .* image '555', .* the 5 images of muge",
        ),
        ('{"query_id": 99, "query_text": "又", "item_ids": []}', r"jsonl:4: item_ids is \[\], .* with its answers"),
        ('{"query_id": 99, "query_text": "又"}', r"jsonl:4: item_ids is null"),
        ("{", r"jsonl:4: not valid JSON"),
        ('{"query_id": 99, "item_ids": [900]}', r"jsonl:4: query_text is null"),
        ('{"query_id": 99, "query_text": " ", "item_ids": [900]}', r"jsonl:4: a caption is empty"),
    ],
)
def test_queries_of_muge(tmp_path, line, words):
    makers.muge(tmp_path)
    add(tmp_path / "Multimodal_Retrieval" / "MR_valid_queries.jsonl", line)
    assert re.search(words, refused(muge.read, tmp_path))


def test_images_of_muge(tmp_path):
    makers.muge(tmp_path)
    path = tmp_path / "Multimodal_Retrieval" / "MR_valid_imgs.tsv"
    add(path, "900\tAAAA\n")
    assert re.search(r"imgs\.tsv:6: image '900' was already named at .*imgs\.tsv:1; ", refused(muge.read, tmp_path))
    makers.muge(tmp_path)
    add(path, "905\n")
    assert "imgs.tsv:6: the line has no tab" in refused(muge.read, tmp_path)
    makers.muge(tmp_path)
    add(path, "905\t!!!\n")
    pairs = muge.read(tmp_path, allow_counts=True)
    with pytest.raises(DataError, match=r"imgs\.tsv:6: the image is not base64"):
        pairs.images[5]


@pytest.mark.parametrize(
    "content, words",
    [
        ("{", r"dataset_coco\.json:1: not valid JSON"),
        ("[]", "has no list `images`"),
        ('{"images": [{}]}', r"images\[0\]: \{\} has no filename"),
        ('{"images": [{"filename": "a.jpg", "split": "test", "sentences": [{}]}]}', r"images\[0\]: \{\} has no `raw`"),
        (
            json.dumps({"images": [{"filename": "a.jpg", "split": "test", "sentences": [{"raw": "x"}]}] * 2}),
            r"images\[1\]: image 'a' was already named at .*images\[0\]",
        ),
        (
            '{"images": [{"filename": "../../etc/passwd", "split": "test", "sentences": [{"raw": "x"}]}]}',
            "which holds no",
        ),
    ],
)
def test_karpathy_s_json(tmp_path, content, words):
    makers.put(tmp_path / "dataset_coco.json", content)
    assert re.search(words, refused(MSCOCO, tmp_path))


@pytest.mark.parametrize(
    "content, words",
    [
        ("{}", "holds no JSON list"),
        ('[{"image_id": "a.jpg"}]', "entry 1: .*no image_id with a list of captions"),
        (
            '[{"image_id": "a.jpg", "caption": ["一"]}, {"image_id": "a.jpg", "caption": ["二"]}]',
            "entry 2: image 'a' was already named at .*entry 1",
        ),
        ('[{"image_id": "a.jpg", "caption": [" "]}]', "entry 1: a caption is empty"),
    ],
)
def test_aic_icc_s_json(tmp_path, content, words):
    makers.put(tmp_path / "caption_validation_annotations_20170910.json", content, makers.WINDOWS)
    assert re.search(words, refused(aic_icc.read, tmp_path))


@pytest.mark.parametrize(
    "line, words",
    [
        ("一\ta\t1", "txt:9: the line has 3 columns instead of 4"),
        ("一\ta\thttp://x\t3", "txt:9: the label is '3'"),
        ("\ta\thttp://x\t1", "txt:9: a caption is empty"),
    ],
)
def test_lines_of_cbvs(tmp_path, line, words):
    makers.cbvs(tmp_path)
    add(tmp_path / "cbvs20k.txt", line)
    assert words in refused(cbvs.read, tmp_path)


def test_release_file(tmp_path):
    path = makers.release_tsv(tmp_path / "test.tsv", [("一", "a", 0)])
    add(path, f"二\t{base64.b64encode(picture(1)).decode()}\n")
    assert "test.tsv:2: the line has 2 columns instead of 3" in refused(coco_cn.read, path, "1k-official")


def test_lmdb(tmp_path):
    texts = makers.captions([1, 2])
    makers.clip_lmdb(tmp_path / "a", texts)
    makers.write_lmdb(tmp_path / "b" / "imgs", {"1": b"AAAA"}, "num_images")
    makers.write_lmdb(tmp_path / "b" / "pairs", {"0": b"cos\nsystem\n(S'x'\ntR."}, "num_samples")
    assert "os.system" in refused(FLICKR30K, tmp_path / "b", "1k")
    (tmp_path / "a" / "lmdb" / "test" / "imgs" / "data.mdb").write_bytes(b"x" * 8192)
    assert "cannot be read as lmdb" in refused(FLICKR30K, tmp_path / "a", "1k")


@pytest.mark.parametrize("blank", ["\t\n", "\u3000\r\n", " " * 30 + "\n"])
@pytest.mark.parametrize("file", [HUMAN, LIST])
def test_a_line_of_blanks_is_no_line(tmp_path, file, blank):
    makers.coco_cn(tmp_path)
    wanted = coco_cn.read(tmp_path, allow_counts=True)
    add(tmp_path / file, blank)
    found = coco_cn.read(tmp_path, allow_counts=True)
    assert (found.texts, found.image_ids) == (wanted.texts, wanted.image_ids)


def test_coco_s_ids_that_are_no_plain_numbers_are_refused_in_one_sentence(tmp_path):
    wrong = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 1, "category_id": 1}],
        "categories": [{"id": 1, "name": "a"}, {"id": "x", "name": "b"}],
    }
    path = makers.put(tmp_path / "annotations" / "instances_val2017.json", json.dumps(wrong))
    with pytest.raises(DataError, match="give COCO's instances file"):
        read_coco(tmp_path, "val2017", Reading(), Options(allow_counts=True))
    wrong["categories"].pop()
    wrong["images"][0]["file_name"] = 5
    makers.put(path, json.dumps(wrong))
    with pytest.raises(DataError, match="give COCO's instances file"):
        read_coco(tmp_path, "val2017", Reading(), Options(allow_counts=True))


def test_folders_that_may_not_be_read(tmp_path, monkeypatch):
    """As another user sees them; root may read everything, so the answers of the system are put in place."""
    makers.coco_cn(tmp_path)
    listing, answer = os.scandir, os.access
    shut = tmp_path / "val2014"

    def scandir(path):
        if Path(path) == shut:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != shut and answer(path, mode))
    assert f"(and {shut} cannot be read)" in refused(coco_cn.read, tmp_path, allow_counts=False)
    for read in (lambda: coco_cn.read(shut), lambda: is_folder(shut), lambda: read_folder(tmp_path, Reading())):
        with pytest.raises(DataError, match=r"val2014: cannot be read \(Permission denied\)"):
            read()
    exists = Path.exists

    def closed(path):
        if shut in path.parents:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return exists(path)

    monkeypatch.setattr(Path, "exists", closed)
    with pytest.raises(DataError, match=r"label\.txt: cannot be read"):
        find([tmp_path, shut], ["label.txt"])
