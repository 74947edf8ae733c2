"""One source however it is spelled: what goes on from a checkpoint or beside finished tars knows its files again."""

import dataclasses
import json
import os

import pytest

from ernie_vil2.config.run import RunConfig
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.sources.tar.write import write_shards
from ernie_vil2.errors import ConfigError
from ernie_vil2.files.paths.spellings import same_source
from ernie_vil2.schema import as_dict, build
from ernie_vil2.training.resume import compare

SAME = [
    ("photos.jsonl", "./photos.jsonl"),
    ("photos.jsonl", "more/../photos.jsonl"),
    ("photos.jsonl", "link.jsonl"),
    ("photos.jsonl", "{absolute}/photos.jsonl"),
    ("photos.jsonl", {"path": "./photos.jsonl"}),
    ("photos.jsonl", "{path: ./photos.jsonl}"),
    ({"path": "photos.jsonl", "tags": "t.jsonl"}, {"tags": "./t.jsonl", "path": "photos.jsonl"}),
    (["a.tsv", "more/*.tsv"], ["./a.tsv", "./more/*.tsv"]),
    (
        {"kind": "mix", "sources": [{"source": "a.tsv", "weight": 2}]},
        {"kind": "mix", "sources": [{"source": "./a.tsv", "weight": 2}]},
    ),
    ("scenes:size=9", "scenes:size=9"),
]
OTHERS = [
    ("photos.jsonl", "more/photos.jsonl"),
    ("scenes:size=9", "scenes:size=8"),
    ({"path": "photos.jsonl", "metadata": "a"}, {"path": "photos.jsonl", "metadata": "./a"}),
    ("{path: [", "{path: {"),
    (["a.tsv", "b.tsv"], ["b.tsv", "a.tsv"]),
    ("a\0", "./a\0"),
    (None, "photos.jsonl"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more").mkdir()
    (tmp_path / "photos.jsonl").write_text("x")
    os.symlink("photos.jsonl", "link.jsonl")
    return tmp_path


def run_of(train):
    config = build(RunConfig, {"data": {"train": "x"}}, "run.yaml")
    return dataclasses.replace(config, data=dataclasses.replace(config.data, train=train))


@pytest.mark.parametrize("one, other", SAME)
def test_another_spelling_is_the_same_source_and_the_same_run(folder, one, other):
    other = other.replace("{absolute}", str(folder)) if isinstance(other, str) else other
    assert same_source(one, other) and same_source(other, one)
    assert compare(run_of(other), as_dict(run_of(one)), "step-5") == []


@pytest.mark.parametrize("one, other", OTHERS)
def test_another_source_is_none_of_these(folder, one, other):
    assert not same_source(one, other)
    if one is not None:
        with pytest.raises(ConfigError, match="belongs to another run: data.train was"):
            compare(run_of(other), as_dict(run_of(one)), "step-5")


def test_shards_go_on_from_another_spelling(folder, image_bytes, random_image):
    for number in range(3):
        (folder / f"{number}.png").write_bytes(image_bytes(random_image(32, 32, number)))
    rows = [{"image": f"{number}.png", "text": "x"} for number in range(3)]
    (folder / "photos.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    done = write_shards(open_source("photos.jsonl"), "out", per_shard=2)
    assert write_shards(open_source("./photos.jsonl"), "out", per_shard=2) == done
    with pytest.raises(ConfigError, match="holds shards with source"):
        (folder / "a.jsonl").write_text(json.dumps(rows[0]))
        write_shards(open_source("a.jsonl"), "out", per_shard=2)
