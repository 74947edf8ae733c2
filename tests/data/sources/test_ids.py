"""Ids belong to their source: equal ids of two sources are two images, wherever the two are joined."""

import base64
import hashlib
import json

import pytest

from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.sources.tar.write import write_shards
from ernie_vil2.data.tagging.labels import read_labels
from ernie_vil2.data.tagging.rules import Rules
from ernie_vil2.data.tagging.tagging import join
from ernie_vil2.errors import DataError
from tests.data.sources.tar.tars import info, write_tar
from tests.data.sources.test_chinese_clip import write_files, write_lmdb

IDS = ("1", "2")


def lines(folder, name, ids=IDS, **more):
    path = folder / name
    rows = [{"id": key, "text": f"{name}{key}", "image_base64": picture(f"{name}{key}"), **more} for key in ids]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def picture(name):
    """base64 of an image of one pixel, of a colour of its own."""
    colour = hashlib.sha256(name.encode()).digest()[:3]
    return base64.b64encode(b"P6\n1 1\n255\n" + colour).decode()


def tsv(folder, name, ids=IDS):
    path = folder / f"{name}.tsv"
    path.write_text("".join(f"text\t{key}\t{encoded(name + key)}\n" for key in ids))
    return path


def tar(folder, name, ids=IDS):
    members = []
    for key in ids:
        members.append((info(f"{key}.jpg"), f"{name}{key}".encode()))
        members.append((info(f"{key}.json"), json.dumps({"text": "t", "id": key}).encode()))
    write_tar(folder / f"{name}.tar", members)
    return folder / f"{name}.tar"


def table(folder, name):
    (folder / name).mkdir()
    lines(folder / name, "captions.jsonl")
    return folder / name


def stems(folder, name):
    (folder / name).mkdir()
    for key in IDS:
        (folder / name / f"x{key}.jpg").write_bytes(f"{name}{key}".encode())
        (folder / name / f"x{key}.json").write_text(json.dumps({"text": "t", "id": key}))
    return folder / name


def chinese(folder, name):
    (folder / name).mkdir()
    write_files(folder / name)
    return folder / name


def lmdb(folder, name):
    (folder / name).mkdir()
    write_lmdb(folder / name)
    return folder / name


def ids_of(source):
    ids = [sample.id for sample in source]
    assert [source.key(index) for index in range(len(source))] == ids
    return ids


def own_ids(source):
    return [source.own_id(index, source.key(index)) for index in range(len(source))]


KINDS = {
    "jsonl": lambda folder, name: lines(folder, f"{name}.jsonl"),
    "tsv": tsv,
    "tar": tar,
    "folder": table,
    "files": stems,
    "chinese_clip": chinese,
    "lmdb": lmdb,
}


@pytest.mark.parametrize("kind", KINDS)
def test_joined_in_any_way_equal_ids_are_told_apart(tmp_path, kind):
    first, second = (str(KINDS[kind](tmp_path, name)) for name in ("a", "b"))
    own = ids_of(open_source(first))
    assert own_ids(open_source(first)) == own and not any("#" in key for key in own)
    joins = {
        "list": [first, second],
        "nested": [[first, second], "scenes:size=1"],
        "mix": {"kind": "mix", "sources": [{"source": first}, {"source": second}]},
        "glob": {"kind": kind, "path": str(tmp_path / f"[ab]{first[len(str(tmp_path)) + 2 :]}")},
        "tagged": [{"path": first, "tags": str(lines(tmp_path, "tags.jsonl", ("x",)))}, second],
    }
    for how, spec in joins.items():
        source = open_source(spec)
        ids = ids_of(source)
        assert len(set(ids)) == len(ids) >= 2 * len(own), how
        assert sorted(own_ids(source))[: 2 * len(own)] == sorted([*own, *own]), how
        assert all(key.splitlines() == [key] for key in ids)


def test_a_source_that_is_joined_with_itself_is_one(tmp_path):
    path = str(tsv(tmp_path, "a"))
    assert len(set(ids_of(open_source([path, path])))) == 2


def test_two_splits_of_a_folder_are_two_sources(tmp_path):
    for split in ("train", "valid"):
        write_files(tmp_path, split=split)
    parts = [{"kind": "chinese_clip", "path": str(tmp_path), "split": split} for split in ("train", "valid")]
    ids = ids_of(open_source(parts))
    assert len(set(ids)) == len(ids)


def test_two_globs_of_two_folders_keep_equal_paths_apart(tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.jpg").write_bytes(folder.encode())
        for name in "xy":
            (tmp_path / folder / f"{name}.jsonl").write_text('{"image": "1.jpg", "text": "t"}\n')
    ids = ids_of(open_source([str(tmp_path / folder / "*.jsonl") for folder in "ab"]))
    # A path names one picture, whichever table of its folder names it.
    assert ids == [f"{tmp_path}/a/1.jpg"] * 2 + [f"{tmp_path}/b/1.jpg"] * 2


def test_the_same_bytes_without_an_id_are_one_image(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"image_base64": encoded("x"), "text": name}) + "\n")
    first, second = ids_of(open_source(str(tmp_path / "*.jsonl")))
    assert first == second


def test_tars_are_sources_but_shards_of_one_source_are_one(tmp_path):
    (tmp_path / "plain").mkdir()
    for name in "ab":
        tar(tmp_path / "plain", name)
    for spec in (tmp_path / "plain", str(tmp_path / "plain" / "*.tar")):
        ids = ids_of(open_source(spec))
        assert len(set(ids)) == 4 and own_ids(open_source(spec)) == [*IDS, *IDS]
    for name in "cd":
        write_shards(open_source(lines(tmp_path, f"{name}.jsonl", ("1", "2", "3"))), tmp_path / name, per_shard=1)
    for spec in (tmp_path / "c", str(tmp_path / "c" / "*.tar")):
        assert ids_of(open_source(spec)) == ["1", "2", "3"]
    both = open_source(str(tmp_path / "[cd]" / "*.tar"))
    assert len(set(ids_of(both))) == 6 and own_ids(both) == ["1", "2", "3"] * 2


@pytest.fixture
def numbered(tmp_path):
    """Two files that both number from 1."""
    return [str(lines(tmp_path, f"{name}.jsonl", tags=["旧"])) for name in "ab"]


def written(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_a_part_takes_its_tags_by_its_own_ids(tmp_path, numbered):
    tags = [written(tmp_path / f"{name}.tags", [{"id": "1", "tags": [name]}]) for name in "ab"]
    parts = [{"path": path, "tags": file} for path, file in zip(numbered, tags, strict=True)]
    assert [sample.tags for sample in open_source(parts)] == [("a",), ("旧",), ("b",), ("旧",)]


def test_a_join_takes_its_tags_by_whole_ids_or_else_by_own_ones(tmp_path, numbered):
    rows = [{"id": f"{numbered[1]}#1", "tags": ["b"]}, {"id": "2", "tags": ["both"]}]
    spec = {"path": str(tmp_path / "*.jsonl"), "tags": written(tmp_path / "file.tags", rows)}
    assert [sample.tags for sample in open_source(spec)] == [("旧",), ("both",), ("b",), ("both",)]


@pytest.mark.parametrize("match", ["id", "stem"])
def test_detections_name_an_image_of_a_join_by_either_id(tmp_path, match):
    sources = [str(lines(tmp_path, f"{name}.jsonl", (name, "1"))) for name in "ab"]
    labels = [{"id": "a", "labels": ["猫"]}, {"id": "b", "labels": ["狗"]}]
    if match == "id":
        labels.append({"id": f"{sources[1]}#1", "labels": ["人"]})
        source = open_source(sources)
    else:
        source = open_source([{"path": sources[0]}, str(lines(tmp_path, "c.jsonl", ("x/b.jpg",)))])
    out = tmp_path / "out.tags"
    join(source, [written(tmp_path / "d.det", labels)], out, read_labels(), Rules(), match=match)
    tagged = open_source({"kind": "mix", "sources": [{"source": source}], "tags": str(out)})
    found = {sample.texts[0]: sample.tags for sample in tagged if sample.tags}
    wanted = {"a.jsonla": ("猫",), "b.jsonlb": ("狗",), "b.jsonl1": ("人",)}
    assert found == (wanted if match == "id" else {"a.jsonla": ("猫",), "c.jsonlx/b.jpg": ("狗",)})


def test_detections_of_an_id_that_two_files_have_are_refused(tmp_path, numbered):
    detections = written(tmp_path / "d.det", [{"id": "1", "labels": ["猫"]}])
    with pytest.raises(DataError, match=r"a.jsonl#1 and .*b.jsonl#1 are both the id 1 of their own file; name them"):
        join(open_source(numbered), [detections], tmp_path / "out", read_labels(), Rules())
