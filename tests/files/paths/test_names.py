"""Names that are no UTF-8, in folders and in tars: text, stable and distinct, and the files still open."""

import io
import json
import os
import tarfile

import pytest
from PIL import Image

from ernie_vil2.cli.main import dispatch
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import DataError
from ernie_vil2.evaluation.benchmarks.classification.class_folders import read_folder
from ernie_vil2.evaluation.benchmarks.reading import Reading
from ernie_vil2.files.paths.names import decode_name, distinct_texts, name_text, other_forms

GBK = "猫照".encode("gbk")
LATIN = b"caf\xe9"
BROKEN = b"a\xff\xfe"


def picture(shade=0):
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (shade, 90, 30)).save(buffer, "PNG")
    return buffer.getvalue()


def stems(folder, *names):
    """A folder in which each name has an image of its own shade and a caption."""
    os.makedirs(folder, exist_ok=True)
    for shade, name in enumerate(names):
        for suffix, content in ((b".png", picture(shade)), (b".txt", "一只猫".encode())):
            with open(os.path.join(os.fsencode(folder), name + suffix), "wb") as handle:
                handle.write(content)


def test_names_are_read_as_what_they_most_likely_are():
    assert decode_name("猫照".encode()) == "猫照"
    assert decode_name(GBK) == "猫照"
    assert decode_name(BROKEN) == "a\\xff\\xfe"
    assert name_text(os.fsdecode(b"/data/" + GBK + b"/" + "猫".encode() + LATIN)) == "/data/猫照/猫caf\\xe9"
    assert name_text("half \ud800") == "half \\ud800"


def test_no_two_names_get_one_text():
    names = [os.fsdecode(name) for name in (GBK, "猫照".encode(), BROKEN, b"a\\xff\\xfe")]
    texts = distinct_texts(names)
    assert set(texts) == {names[0], names[2]} and not set(texts.values()) & set(names)
    assert len(set(texts.values())) == 2 and all(text.encode() for text in texts.values())
    assert texts == distinct_texts(names[::-1])


def test_a_folder_of_such_names_is_checked_and_written_as_shards(tmp_path, capsys):
    folder = os.path.join(os.fsencode(tmp_path), "相册".encode("gbk"))
    stems(folder, GBK, "猫照".encode(), LATIN, BROKEN, b"plain")
    path = os.fsdecode(folder)
    source = open_source(path)
    keys = [source.key(row) for row in range(5)]
    assert keys == [sample.id for sample in source] and len(set(keys)) == 5
    assert {"猫照", "plain", "caf\\xe9", "a\\xff\\xfe"} < set(keys)
    assert all(text.encode() for text in [*keys, source.name, source.describe(), *map(source.where, range(5))])
    assert dispatch(["data", "check", path, "--json", str(tmp_path / "report.json")]) == 0
    assert not dispatch(["data", "shard", path, str(tmp_path / "out")])
    assert json.loads((tmp_path / "out/index.json").read_text())["samples"] == 5
    assert [sample.id for sample in open_source(tmp_path / "out")] == keys
    assert "相册" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv", "tar"])
def test_files_in_a_folder_of_such_a_name_are_sources_whose_ids_are_text_when_joined(tmp_path, kind):
    folders = [os.fsdecode(os.path.join(os.fsencode(tmp_path), name)) for name in (GBK, BROKEN)]
    for shade, folder in enumerate(folders):
        os.makedirs(folder)
        place = os.path.join(folder, "captions." + kind)
        with open(os.path.join(folder, "a.png"), "wb") as handle:
            handle.write(picture(shade))
        if kind == "tar":
            tar_of(place, b"a.png", b"a.txt")
            continue
        text = {"jsonl": '{"image": "a.png", "text": "猫"}\n', "csv": "image,text\na.png,猫\n", "tsv": "猫\tid\tAAAA\n"}
        with open(place, "w", encoding="utf-8") as handle:
            handle.write(text[kind])
    joined = open_source([os.path.join(folder, "captions." + kind) for folder in folders])
    keys = [joined.key(row) for row in range(2)]
    assert len(set(keys)) == 2 and all(key.encode() for key in keys) and "猫照" in keys[0]
    assert [sample.id for sample in joined] == keys
    assert all(text.encode() for text in (joined.name, joined.describe(), joined.where(0), joined.where(1)))


def tar_of(path, *names):
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape") as tar:
        for shade, name in enumerate(names):
            content = "一只猫".encode() if name.endswith(b".txt") else picture(shade)
            about = tarfile.TarInfo(os.fsdecode(name))
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))


def test_members_of_such_names_are_samples(tmp_path):
    inside = [GBK, LATIN, BROKEN, "文件夹/乗".encode("gbk"), "猫".encode() * 60, "表".encode("gbk") * 70]
    tar_of(tmp_path / "a.tar", *(name + suffix for name in inside for suffix in (b".png", b".txt")))
    source = open_source(tmp_path / "a.tar")
    assert not source.notes
    keys = [source.key(row) for row in range(len(source))]
    expected = ["猫照", "caf\\xe9", "a\\xff\\xfe", "文件夹/乗", "猫" * 60, "表" * 70]
    assert keys == [f"a/{name}" for name in expected] == [sample.id for sample in source]


def test_members_that_lead_out_of_the_folder_are_still_left_out(tmp_path):
    wrong = [b"../" + GBK, b"/" + BROKEN, BROKEN + b"/../../x", b"\\" + BROKEN, BROKEN + b"\\..\\x", b"c:\\" + GBK]
    tar_of(tmp_path / "a.tar", b"a.png", b"a.txt", *(name + b".png" for name in wrong))
    source = open_source(tmp_path / "a.tar")
    assert len(source) == 1
    assert any("names that lead out of the folder (6)" in note for note in source.notes), source.notes


@pytest.mark.parametrize("form", ["gb18030", "mistaken", "utf-8 mistaken", "decomposed"])
def test_a_row_finds_the_file_that_unpacking_has_renamed(tmp_path, form):
    value = "猫照/café猫.png"
    forms = list(other_forms(value))
    name = {"gb18030": forms[3], "mistaken": forms[4], "utf-8 mistaken": forms[5], "decomposed": forms[2]}[form]
    os.makedirs(tmp_path / os.path.dirname(name))
    (tmp_path / name).write_bytes(picture())
    (tmp_path / "captions.jsonl").write_text(json.dumps({"image": value, "text": "猫"}))
    source = open_source(tmp_path)
    sample = source[0]
    assert sample.id == value and sample.image.read_bytes() == picture()
    assert list(source.unused_files()) == []
    assert dispatch(["data", "check", str(tmp_path)]) == 0


@pytest.mark.parametrize("kind", ["stems", "tar", "jsonl"])
def test_no_name_moves_the_cursor_of_a_terminal(tmp_path, capsys, kind):
    name = b"\x1b[2J\x07\xc2\x9b31m"
    lonely = [name + b"-lonely.png"]
    if kind == "stems":
        stems(tmp_path / "in", name, b"b")
        (tmp_path / "in" / os.fsdecode(lonely[0])).write_bytes(picture(9))
    elif kind == "tar":
        (tmp_path / "in").mkdir()
        tar_of(tmp_path / "in" / os.fsdecode(name + b".tar"), b"a.png", b"a.txt", b"../" + lonely[0])
    else:
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / os.fsdecode(lonely[0])).write_bytes(picture(9))
        (tmp_path / "in" / os.fsdecode(name + b".png")).write_bytes(b"no picture")
        row = json.dumps({"image": os.fsdecode(name + b".png"), "text": "猫"})
        (tmp_path / "in" / "captions.jsonl").write_text(row + "\n" + row)
    dispatch(["data", "check", str(tmp_path / "in"), "--checksums"])
    told = capsys.readouterr()
    assert "\\x1b[2J" in told.out and all(line.isprintable() for line in (told.out + told.err).splitlines())


def test_halves_of_surrogate_pairs_in_json_cost_their_own_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "rows.jsonl").write_text('{"id": "0", "image": "a.png", "text": "猫"}\n')
    lines = [
        '{"id": "\\ud800x", "labels": ["a"], "scores": [0.9]}',
        '{"id": "0", "labels": ["\\udc80"], "scores": [0.9]}',
    ]
    good = '{"id": "0", "labels": ["猫"], "scores": [0.9]}\n'
    (tmp_path / "found.jsonl").write_text("\n".join(lines) + "\n" + good)
    assert not dispatch(["data", "tags", "rows.jsonl", "out.jsonl", "found.jsonl"])
    assert json.loads((tmp_path / "out.jsonl").read_text())["tags"] == ["猫"]
    (tmp_path / "tags.jsonl").write_text('{"id": "\\ud800x", "tags": ["a"]}\n')
    with pytest.raises(DataError, match="tags.jsonl:1: the id has half a surrogate pair"):
        open_source({"path": "rows.jsonl", "tags": "tags.jsonl"})


def test_the_name_of_an_output_does_not_move_the_cursor_either(tmp_path, capsys):
    stems(tmp_path / "in", b"a", b"b")
    assert not dispatch(["data", "shard", str(tmp_path / "in"), str(tmp_path / "out\x1b[2J")])
    told = capsys.readouterr().out
    assert "out\\x1b[2J: 2 samples" in told and all(line.isprintable() for line in told.splitlines())


def test_the_name_of_a_class_folder_is_text(tmp_path):
    for name in (GBK, "狗".encode()):
        os.makedirs(os.path.join(os.fsencode(tmp_path), name))
        with open(os.path.join(os.fsencode(tmp_path), name, b"a.png"), "wb") as handle:
            handle.write(picture())
    (tmp_path / "classes.txt").write_text("猫照\t猫的照片\n狗\t狗\n")
    assert set(read_folder(tmp_path, Reading()).classes) == {("猫的照片",), ("狗",)}
    (tmp_path / "classes.txt").unlink()
    assert set(read_folder(tmp_path, Reading()).classes) == {("猫照",), ("狗",)}
