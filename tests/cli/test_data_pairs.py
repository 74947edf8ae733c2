"""A split of a benchmark as JSON lines: training sees the images and captions that the reader saw."""

import json

import pytest

from ernie_vil2.cli.data import main as tool
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import ConfigError, DataError
from tests.evaluation.benchmarks import makers


def written(path):
    return {row["id"]: row for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())}


def test_training_reads_what_the_reader_read(tmp_path, capsys):
    wanted = makers.coco_cn(tmp_path)["1053"]
    out = tmp_path / "test.jsonl"
    tool.main(["pairs", "coco-cn@1053", str(tmp_path), str(out), "--allow-counts"])
    assert f"{len(wanted)} images with {sum(map(len, wanted.values()))} texts" in capsys.readouterr().out
    assert {key: row["texts"] for key, row in written(out).items()} == wanted
    source = open_source(str(out))
    assert len(source) == len(wanted)
    for number, key in enumerate(wanted):
        sample = source[number]
        assert (sample.id, list(sample.texts)) == (key, wanted[key])
        data = sample.image if isinstance(sample.image, bytes) else open(sample.image, "rb").read()
        assert data == makers.picture(number)


def test_a_folder_that_does_not_hold_the_images_is_refused(tmp_path):
    makers.coco_cn(tmp_path / "coco")
    (tmp_path / "other").mkdir()
    out = tmp_path / "other" / "test.jsonl"
    with pytest.raises(ConfigError, match=r"is not below .*other.*write them into the folder of the benchmark"):
        tool.main(["pairs", "coco-cn@1053", str(tmp_path / "coco"), str(out), "--allow-counts"])
    assert not out.exists()


def test_files_that_hold_the_images_are_read_as_they_are(tmp_path):
    makers.muge(tmp_path)
    with pytest.raises(DataError, match="kind: chinese_clip"):
        tool.main(["pairs", "muge", str(tmp_path), str(tmp_path / "muge.jsonl"), "--allow-counts"])


def test_benchmarks_without_pairs_say_so(tmp_path):
    with pytest.raises(ConfigError, match="sts has no pairs of images and texts"):
        tool.main(["pairs", "sts", str(tmp_path), str(tmp_path / "x.jsonl")])


def test_without_a_protocol_the_largest_set_or_the_customary_one_is_written(tmp_path, capsys):
    wanted = makers.coco_cn(tmp_path / "coco")["1053"]
    out = tmp_path / "coco" / "test.jsonl"
    tool.main(["pairs", "coco-cn", str(tmp_path / "coco"), str(out), "--allow-counts"])
    assert {key: row["texts"] for key, row in written(out).items()} == wanted
    makers.aic_icc(tmp_path / "aic")
    tool.main(["pairs", "aic-icc", str(tmp_path / "aic"), str(tmp_path / "aic" / "valid.jsonl"), "--allow-counts"])
    assert "6 images with 30 texts" in capsys.readouterr().out


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_to_train_on_is_compared_with_nothing(tmp_path, capsys, split):
    makers.coco_cn(tmp_path)
    makers.put_images(tmp_path / "train2014", ["COCO_train2014_000000000002"])
    tool.main(["pairs", "coco-cn", str(tmp_path), str(tmp_path / "x.jsonl"), "--split", split, "--allow-counts"])
    printed = capsys.readouterr().out
    assert "instead of" in printed and ("published figures" in printed) == (split == "test")
