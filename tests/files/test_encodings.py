"""Encodings: a file is GBK where that is sure, and one broken row decides nothing."""

import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.data.sources import lines
from ernie_vil2.data.sources.base import RowError
from ernie_vil2.data.sources.lines import LineFile
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.tagging.labels import read_labels
from ernie_vil2.errors import ConfigError, DataError
from ernie_vil2.files.encodings import GB, UTF8, codec_of, codec_of_bytes
from ernie_vil2.files.text import decode_text
from tests.files.kinds import LINES, WHOLE, saved

CHINESE = ["一只猫", "小猫", "一张图片", "一只狗在草地上奔跑", "红色的连衣裙，夏季新款", "“你好”", "商品标题：手机壳"]
USUAL = st.text(st.sampled_from("的一是不了有和人这中大为上个国我以要他时来"), min_size=2).map("{}在".format)
HEAD = "image,text\n"


def rows(texts, encoding):
    return HEAD.encode() + b"".join(f"a.jpg,{text}\n".encode(encoding) for text in texts)


@pytest.mark.parametrize("text", CHINESE)
@pytest.mark.parametrize("encoding", ["gbk", "gb18030"])
def test_a_file_of_one_chinese_text_is_known(text, encoding):
    assert codec_of_bytes(text.encode(encoding)) == codec_of_bytes(rows([text], encoding)) == GB
    assert codec_of_bytes(text.encode()) == codec_of_bytes(rows([text], "utf-8")) == UTF8
    assert decode_text(text.encode(encoding), "a.txt") == text


@given(st.lists(USUAL, min_size=1, max_size=30))
def test_usual_chinese_is_known_in_both(texts):
    assert codec_of_bytes(rows(texts, "gbk")) == GB and codec_of_bytes(rows(texts, "utf-8")) == UTF8


@pytest.mark.parametrize(
    "text",
    [
        "café",
        "µá",
        "ͼƬ",
        "αé",
        "naïve Ärger",
        "Привет, мир",
        "αβγ",
        "日本語のテキスト",
        "한국어",
        "שלום",
        "🎉",
        "20 °C",
        "θéʃ",
        "āʻā",
        "é",
    ],
)
@pytest.mark.parametrize("count", [1, 30])
def test_what_is_utf_8_stays_utf_8(text, count):
    assert codec_of_bytes(rows([text] * count, "utf-8")) == UTF8


@pytest.mark.parametrize(
    "good, bad",
    [
        (["一只猫在草地"] * 6, "一只猫在草地".encode("gbk")),
        (["一只猫"], "一只狗在跑".encode("gbk")),
        (["a cat"] * 30, "一只狗在跑".encode("gbk")),
        (["café"] * 30, "一只狗在跑".encode("gbk")),
        (["café"] * 5, "一只狗在跑".encode("gbk")),
        (["a cat"], b"caf\xe9 au lait"),
        (["a cat"], b"\xff\xfe"),
        (["一只猫"] * 2, "一只狗".encode()[:-1]),
        ([], "一只狗".encode()[:-1]),
        ([], "カタカナ".encode("shift_jis")),
    ],
)
def test_a_broken_row_stays_a_broken_row(tmp_path, good, bad):
    (tmp_path / "a.jpg").write_bytes(b"x")
    path, errors = tmp_path / "a.csv", []
    path.write_bytes(rows(good, "utf-8") + b"a.jpg," + bad + b"\n")
    source = open_source(path)
    assert [sample.texts for sample in source.samples("skip", errors)] == [(text,) for text in good]
    assert [error.cause for error in errors] == ["bad UTF-8"] and not source.notes


def test_a_broken_row_of_a_gbk_table_is_a_broken_row(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "a.csv").write_bytes(rows(CHINESE, "gbk") + b"a.jpg,\xff\xff\n" + rows(CHINESE, "gbk")[len(HEAD) :])
    source, errors = open_source(tmp_path / "a.csv"), []
    assert [sample.texts for sample in source.samples("skip", errors)] == [(text,) for text in CHINESE * 2]
    assert [error.cause for error in errors] == [
        "bad encoding"
    ] and f"a.csv:{len(CHINESE) + 2}: the line is not GBK" in str(errors[0])
    assert "a.csv: read as GBK" in source.notes[0]


@pytest.mark.parametrize("kind", [kind for kind in LINES if kind != "embeddings"])
def test_a_file_of_lines_is_read_in_gbk(tmp_path, kind):
    path, read = saved(tmp_path, {kind: (LINES[kind][0], chinese(LINES[kind][1]), LINES[kind][2])}, kind)
    wanted = read(path)
    path.write_bytes(path.read_bytes().decode().encode("gbk"))
    assert read(path) == wanted


@pytest.mark.parametrize(
    "kind", ["names of classes", "JSON of classes", "caption beside an image", "JSON beside an image"]
)
def test_a_whole_file_is_read_in_gbk(tmp_path, kind, caplog):
    path, read = saved(tmp_path, {kind: (WHOLE[kind][0], chinese(WHOLE[kind][1]), WHOLE[kind][2])}, kind)
    wanted = read(path)
    path.write_bytes(path.read_bytes().decode().encode("gbk"))
    assert read(path) == wanted
    assert "beside" in kind or "read as GBK" in caplog.text


def chinese(text):
    """A text of a kind of file with more Chinese in it than a character, of which nothing is sure."""
    return text.replace("狗", "一只狗在草地上").replace("猫", "两只猫").replace("七", "七号图片").replace("八", "八号")


def test_labels_that_are_no_text_are_one_sentence(tmp_path):
    (tmp_path / "l.txt").write_bytes("狗\n猫\n".encode() + b"\xff\n")
    with pytest.raises(DataError, match="l.txt:3: the file is not UTF-8"):
        read_labels(tmp_path / "l.txt")


@pytest.mark.parametrize("encoding", ["GBK", "gb2312", "GB18030", "cp936", "UTF8", "utf-8-sig", "Big5", "utf-16", ""])
def test_an_encoding_may_be_named(tmp_path, encoding):
    (tmp_path / "a.jpg").write_bytes(b"x")
    for suffix, text in (
        ("csv", 'image,text\na.jpg,"中"\n'),
        ("jsonl", '{"image": "a.jpg", "text": "中"}\n'),
        ("tsv", "中\t1\tAAAA\n"),
    ):
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(text.encode(encoding or "utf-8"))
        source = open_source({"path": str(path), "encoding": encoding})
        assert source[0].texts == ("中",) and source.notes == []
    (tmp_path / "a.txt").write_bytes("中".encode(encoding or "utf-8"))
    assert open_source({"kind": "files", "path": str(tmp_path), "encoding": encoding})[0].texts == ("中",)


@pytest.mark.parametrize("name", ["gbkk", "base64", "rot13", "latin-1", "\0", "utf-7", "x" * 500])
def test_an_encoding_that_is_not_read_is_one_sentence(name):
    with pytest.raises(ConfigError, match="encoding: .* is not read; (did you mean|known are)"):
        codec_of(name)


def test_a_named_encoding_wins_over_what_the_bytes_say(tmp_path):
    (tmp_path / "a.txt").write_bytes("一只猫在草地上".encode("gbk"))
    with pytest.raises(RowError, match="a.txt:1"):
        LineFile(tmp_path / "a.txt", encoding="utf-16").read(0)
    assert LineFile(tmp_path / "a.txt", encoding="utf-8").read(0) == "一只猫在草地上".encode("gbk")


@pytest.mark.parametrize("encoding", ["gbk", "utf-16", "utf-16-le", "utf-16-be", "utf-8"])
def test_lines_are_those_of_the_text_at_every_cut(tmp_path, monkeypatch, encoding):
    text = "image,text\r\n" + "".join(f"{number}.jpg,一只猫在草地上{number}\n" for number in range(40))
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    wanted = [line.encode() for line in text.split()]
    for chunk, block in itertools.product((32, 50, 4096), (64, 1 << 16)):
        monkeypatch.setattr(lines, "CHUNK_BYTES", chunk)
        monkeypatch.setattr("ernie_vil2.files.encodings.BLOCK_BYTES", block)
        file = LineFile(tmp_path / "a.txt")
        if chunk < 4096 and encoding != "utf-8":  # the head is too short to tell
            file = LineFile(tmp_path / "a.txt", encoding=encoding)
        assert [file.read(row) for row in range(len(file))] == wanted
        assert [fetch(1).strip() for _, fetch in file.walk()] == wanted
        assert [wanted[row].startswith(head[:8]) for row, head in enumerate(file.heads(20))] == [True] * 41


def test_folders_of_captions_in_gbk_are_read_and_said(tmp_path):
    for number, text in enumerate(CHINESE):
        (tmp_path / f"{number}.jpg").write_bytes(b"x")
        (tmp_path / f"{number}.txt").write_bytes(text.encode("gbk"))
    source = open_source(tmp_path)
    assert [sample.texts for sample in source] == [(text,) for text in CHINESE]
    assert "captions that are not UTF-8 are read as GBK" in source.notes[-1]


def test_what_is_no_plain_file_is_one_sentence(tmp_path):
    os.mkfifo(tmp_path / "a.tsv")
    with pytest.raises(DataError, match="no plain file"):
        open_source(tmp_path / "a.tsv")


def test_a_text_behind_many_letters_is_told_by_itself():
    english = "a red dress on a white background " * 20
    assert codec_of_bytes(f"{english}一只猫在草地上".encode("gbk")) == GB
    assert codec_of_bytes(f"{english}一只猫在草地上".encode()) == codec_of_bytes(f"{english}café".encode()) == UTF8
