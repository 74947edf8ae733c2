"""Chinese-CLIP's TSV with JSONL and its lmdb: the same samples from both; orphans are counted; no pickle is run."""

import base64
import json
import os
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import lmdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.data.sources import lmdb as lmdb_source
from ernie_vil2.data.sources.base import RowError
from ernie_vil2.data.sources.lmdb import read_pair
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import DataError

IMAGES = {3: b"three", 1: b"one", 2: b"two", 9: b"nobody's"}
TEXTS = [(10, "一和三", [1, 3]), (11, "二", [2]), (12, "一", [1]), (13, "没有", [77])]
WANTED = {"1": (b"one", ("一和三", "一")), "2": (b"two", ("二",)), "3": (b"three", ("一和三",))}


def write_files(folder, images=IMAGES, texts=TEXTS, split="train"):
    folder.mkdir(exist_ok=True)
    lines = [f"{key}\t{base64.urlsafe_b64encode(image).decode()}\n" for key, image in images.items()]
    (folder / f"{split}_imgs.tsv").write_text("".join(lines))
    rows = [{"text_id": text_id, "text": text, "image_ids": ids} for text_id, text, ids in texts]
    (folder / f"{split}_texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def write_lmdb(folder, images=IMAGES, texts=TEXTS, protocol=None):
    pairs = [(image, text_id, text) for text_id, text, ids in texts for image in ids]
    with lmdb.open(str(folder / "imgs"), map_size=1 << 24) as store, store.begin(write=True) as transaction:
        for key, image in images.items():
            transaction.put(str(key).encode(), base64.urlsafe_b64encode(image))
        transaction.put(b"num_images", str(len(images)).encode())
    with lmdb.open(str(folder / "pairs"), map_size=1 << 24) as store, store.begin(write=True) as transaction:
        for number, pair in enumerate(pairs):
            content = pair if isinstance(pair, bytes) else pickle.dumps(pair, protocol)
            transaction.put(str(number).encode(), content)
        transaction.put(b"num_samples", str(len(pairs)).encode())
    return folder


def put(folder, key, value):
    with lmdb.open(str(folder / "pairs"), map_size=1 << 24) as store, store.begin(write=True) as transaction:
        transaction.put(key, value)


def contents(source):
    return {sample.id: (sample.image, sample.texts) for sample in source}


def test_files_give_an_image_with_all_its_texts(tmp_path):
    source = open_source(write_files(tmp_path / "set"))
    assert contents(source) == WANTED and [sample.id for sample in source] == ["3", "1", "2"]
    assert [source.key(index) for index in range(3)] == ["3", "1", "2"] and source.shard_sizes() == [3]
    assert source.where(2).endswith("train_imgs.tsv:3") and source[2].where == source.where(2)
    assert contents(pickle.loads(pickle.dumps(source))) == WANTED


def test_orphans_of_both_kinds_are_counted_and_named(tmp_path):
    folder = write_files(tmp_path / "set")
    with open(folder / "train_imgs.tsv", "a") as handle:
        handle.write("1\tAAAA\n2\tdHdv\n")  # another picture, and a copy
    with open(folder / "train_texts.jsonl", "a") as handle:
        handle.write('{\n{"text": "x"}\n{"text": " ", "image_ids": [1]}\n')
    source = open_source(folder)
    notes = "\n".join(source.notes)
    assert contents(source) == WANTED and len(source.notes) == 5
    assert "1 image that no text names" in notes and "train_imgs.tsv:4" in notes
    assert "1 image has the id of an earlier one with another picture; the first: " in notes
    assert f"train_imgs.tsv:5: the id '1' has another picture at {folder}/train_imgs.tsv:2; give each" in notes
    assert "2 images repeat the id" in notes and "train_imgs.tsv:5" in notes
    assert "1 name of an image" in notes and "train_texts.jsonl:4" in notes
    assert "3 texts cannot be used; the first: " in notes and "train_texts.jsonl:5: not valid JSON" in notes


def test_splits_and_missing_files(tmp_path):
    folder = write_files(tmp_path / "set", split="valid")
    assert contents(open_source({"kind": "chinese_clip", "path": folder, "split": "valid"})) == WANTED
    with pytest.raises(DataError, match="train_imgs.tsv: the file does not exist; set split: valid"):
        open_source(folder)
    (folder / "valid_texts.jsonl").unlink()
    with pytest.raises(DataError, match="valid_texts.jsonl: the file does not exist; add"):
        open_source({"kind": "chinese_clip", "path": folder, "split": "valid"})
    write_files(folder, texts=[(1, "x", [])], split="test")
    with pytest.raises(DataError, match="no text names an image"):
        open_source({"kind": "chinese_clip", "path": folder, "split": "test"})


def test_a_bad_image_is_a_bad_row(tmp_path):
    folder = write_files(tmp_path / "set")
    text = (folder / "train_imgs.tsv").read_text().replace("1\t", "1\t@", 1)
    (folder / "train_imgs.tsv").write_text(text)
    errors = []
    assert len(list(open_source(folder).samples("skip", errors))) == 2 and "train_imgs.tsv:2" in str(errors[0])


# lmdb


def open_files(_):
    """What lmdb has open in this process."""
    return list(lmdb_source._environments)


def ids_in(source):
    return sorted(sample.id for sample in source)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_lmdb_gives_the_same_samples(tmp_path, protocol):
    source = open_source(write_lmdb(tmp_path, protocol=protocol))
    assert contents(source) == WANTED
    assert [source.key(index) for index in range(3)] == [sample.id for sample in source] == ["1", "3", "2"]
    assert len(source.notes) == 2 and "1 image that no pair names" in source.notes[0] and "'77'" in source.notes[1]


def test_lmdb_is_read_in_forks_and_after_pickles_and_without_write_access(tmp_path):
    source = open_source(write_lmdb(tmp_path))
    for folder in ("imgs", "pairs"):
        (tmp_path / folder / "lock.mdb").unlink()
    assert open_files(None)
    for method in ("fork", "spawn"):
        with ProcessPoolExecutor(2, mp_context=get_context(method)) as pool:
            assert not pool.submit(open_files, None).result(120)
            assert list(pool.map(ids_in, [source] * 2, timeout=120)) == [["1", "2", "3"]] * 2
    assert contents(source) == WANTED
    assert sorted(os.listdir(tmp_path / "imgs")) == ["data.mdb"]


class Evil:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_pair_that_asks_for_a_global_is_refused_by_its_name(tmp_path, protocol):
    write_lmdb(tmp_path)
    flag = tmp_path / "ran"
    put(tmp_path, b"1", pickle.dumps((1, 2, Evil(os.mkdir, (str(flag),))), protocol))
    source = open_source(tmp_path)
    notes = "\n".join(source.notes)
    assert not flag.exists() and ids_in(source) == ["1", "2"] and "pairs:1: the pickle" in notes
    assert "posix.mkdir" in notes or protocol < 2


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x80\x04",
        b"\x80\x04N.",
        b"\x80\x04K\x01K\x02\x86.",
        b"x" * 100,
        pickle.dumps([1, 2, "x"]),
        pickle.dumps((1, 2, 3)),
        pickle.dumps((1.5, 2, "x")),
        pickle.dumps((True, 2, "x")),
        pickle.dumps((1, 2, " ")),
        pickle.dumps((1, 2, "x"))[:-4],
        bytes((1 << 20) + 1),
    ],
)
def test_pairs_that_are_none_are_counted(tmp_path, raw):
    write_lmdb(tmp_path)
    put(tmp_path, b"1", raw)
    source = open_source(tmp_path)
    assert ids_in(source) == ["1", "2"] and any("1 pair cannot be used" in note for note in source.notes)


@given(st.binary(max_size=60))
def test_no_bytes_break_the_machine(raw):
    for data in (raw, b"\x80\x04" + raw):
        try:
            assert len(read_pair(data, "here")) == 3
        except RowError as error:
            assert str(error).startswith("here: ") and "\n" not in str(error)


@pytest.mark.parametrize("claimed", [b"6", b"9999", b"999999999999"])
def test_a_num_samples_beyond_what_is_stored_is_refused_at_once(tmp_path, claimed):
    write_lmdb(tmp_path)
    put(tmp_path, b"num_samples", claimed)
    with pytest.raises(DataError, match=f"pairs: num_samples is {int(claimed):,}, and 5 pairs are stored"):
        open_source(tmp_path)


def test_long_texts_and_text_ids_come_back(tmp_path):
    long = "长" * 3000
    images = {"a/b": b"A", 2**70: b"B"}
    source = open_source(write_lmdb(tmp_path, images, [("t", long, ["a/b"]), (None, "短", [2**70])]))
    assert contents(source) == {"a/b": (b"A", (long,)), str(2**70): (b"B", ("短",))}


def test_what_is_no_lmdb_is_one_sentence(tmp_path):
    write_lmdb(tmp_path)
    for folder, words in (("pairs", "holds no data.mdb"), ("imgs", "holds no data.mdb")):
        shutil.move(tmp_path / folder / "data.mdb", tmp_path / "aside")
        with pytest.raises(DataError, match=words):
            open_source({"kind": "lmdb", "path": str(tmp_path)}) if folder == "pairs" else open_source(tmp_path)
        shutil.move(tmp_path / "aside", tmp_path / folder / "data.mdb")
    other = tmp_path / "other"
    for folder in ("imgs", "pairs"):
        (other / folder).mkdir(parents=True)
        (other / folder / "data.mdb").write_bytes(b"not lmdb" * 2000)
    with pytest.raises(DataError, match="cannot be read as lmdb"):
        open_source(other)


@pytest.mark.parametrize("encoding", ["gbk", "utf-16"])
def test_texts_may_be_in_gbk_or_utf_16(tmp_path, encoding):
    folder = write_files(tmp_path / "set")
    rows = [{"text_id": text_id, "text": f"{text}在草地上", "image_ids": ids} for text_id, text, ids in TEXTS]
    lines = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    (folder / "train_texts.jsonl").write_bytes(lines.encode(encoding))
    source = open_source(folder)
    wanted = {key: tuple(f"{text}在草地上" for text in texts) for key, (_, texts) in WANTED.items()}
    assert {sample.id: sample.texts for sample in source} == wanted and "train_texts.jsonl: read as" in source.notes[-1]
    (folder / "train_texts.jsonl").write_bytes(lines.encode("gbk"))
    named = open_source({"path": str(folder), "encoding": "gbk"})
    assert {sample.id: sample.texts for sample in named} == wanted and len(named.notes) == len(source.notes) - 1
