"""Labelled pairs against an index: what an item means, what is kept, and that its name then serves a search."""

import json

import numpy as np
import pytest
from PIL import Image

from ernie_vil2.cli.eval import main as tool
from ernie_vil2.errors import ConfigError, DataError, UserError
from ernie_vil2.evaluation.labelled_pairs import read_labelled
from ernie_vil2.search.calibration import PairVectors, checked_name
from ernie_vil2.search.store.columns import ImageRow
from ernie_vil2.search.store.snapshot import open_snapshot
from ernie_vil2.search.store.writer import open_writer
from tests.search.store.indexes import WIDTH, manifest, unit

COUNT = 40


class Model:
    """A text's vector is that of its last number, a picture's that of its grey."""

    embed_dim = WIDTH

    def __init__(self):
        self.encoded = []

    def encode_text(self, texts, on_error):
        self.encoded += texts
        return unit([int(text.split()[-1]) for text in texts]), []

    def encode_image(self, images, on_error):
        self.encoded += images
        return unit([Image.open(path).getpixel((0, 0)) for path in images]), []


@pytest.fixture
def index(tmp_path):
    """An index of pictures i and i + COUNT that are alike, without a model; 3 is gone, a key is there twice."""
    rng = np.random.default_rng(0)
    vectors = np.concatenate([unit(range(COUNT))] * 2) + 0.05 * rng.normal(size=(2 * COUNT, WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with open_writer(tmp_path / "index", manifest(model={"digest": ""})) as writer:
        roots = [writer.root(name, f"/nowhere/{name}", "folder") for name in "ab"]
        writer.add([ImageRow(roots[0], f"{number}.jpg", path=b"x") for number in range(2 * COUNT)], vectors)
        writer.add([ImageRow(roots[1], "5.jpg", path=b"x")], unit([99]))
        writer.remove([3])
        writer.commit()
    return tmp_path / "index"


def written(path, rows):
    path.write_text("".join(f"{left}\t{right}\t{label:d}\n" for left, right, label in rows), encoding="utf-8")
    return path


def labelled(tmp_path):
    """Pairs of alike pictures, by id and by key, and of others."""
    alike = [(f"{one}.jpg", one + COUNT, True) for one in range(COUNT) if one not in (3, 5)]
    others = [(one, f"{one + COUNT + 1}.jpg", False) for one in range(10, COUNT - 1)] + [
        (one + COUNT, one + COUNT + 2, False) for one in range(20)
    ]
    return written(tmp_path / "pairs.tsv", alike + others)


def test_a_picture_is_named_by_id_by_key_or_by_file(index, tmp_path):
    Image.new("L", (9, 9), 7).save(tmp_path / "grey.png")
    part, model = open_snapshot(index).part("image"), Model()
    pairs = read_labelled(
        written(tmp_path / "p.tsv", [("7", "7.jpg", 1), ("grey.png", 7, 1), ("grey.png", "8.jpg", 0)])
    )
    scores = PairVectors(tmp_path, lambda: model, part).scores(pairs, "image-image")
    kept = part.vectors([7, 8]).astype(np.float64)
    kept /= np.linalg.norm(kept, axis=1, keepdims=True)
    assert scores == pytest.approx([1, unit([7])[0] @ kept[0], unit([7])[0] @ kept[1]], abs=1e-6)
    assert model.encoded == [tmp_path / "grey.png"]


def test_the_left_items_of_text_image_are_sentences_whatever_they_look_like(index, tmp_path):
    part, model = open_snapshot(index).part("image"), Model()
    pairs = read_labelled(written(tmp_path / "p.tsv", [("7", "8.jpg", 1), ("图 9", "9.jpg", 0), ("7", 7, 0)]))
    scores = PairVectors(tmp_path, lambda: model, part).scores(pairs, "text-image")
    expected = np.einsum("nd,nd->n", unit([7, 9, 7]), part.vectors([8, 9, 7]))
    assert scores == pytest.approx(expected, abs=2e-3) and model.encoded == ["7", "图 9"]


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("3", "the index has no picture .3.; correct the id"),
        ("900", "the index has no picture"),
        ("9" * 40, "the index has no picture"),
        ("5.jpg", "is in several sources of the index, for example as 5 and 80; write one of these ids"),
        ("none.jpg", "does not exist"),
        ("3.jpg", "does not exist"),
    ],
)
def test_an_item_that_is_none_is_named_with_its_row(index, tmp_path, item, told):
    pairs = read_labelled(written(tmp_path / "p.tsv", [("1", "2", 1), ("1", item, 1)]))
    with pytest.raises(DataError, match=rf"p\.tsv:2: .*{told}"):
        PairVectors(tmp_path, Model, open_snapshot(index).part("image")).scores(pairs, "image-image")
    with pytest.raises(DataError, match=r"p\.tsv:1: 1 is the id of a picture in an index, and none is given"):
        PairVectors(tmp_path, Model).scores(pairs, "image-image")


def test_a_threshold_is_kept_under_its_name_and_the_last_one_holds(index, tmp_path, capsys):
    pairs = labelled(tmp_path)
    tool.main(["calibrate", str(index), "--pairs", str(pairs), "--json", str(tmp_path / "out.json")])
    printed = capsys.readouterr().out
    record = open_snapshot(index).manifest.thresholds["same"]
    written_too = json.loads((tmp_path / "out.json").read_text())
    assert {name: written_too[name] for name in record} == record
    assert 0.5 < record["threshold"] < 1 and record["precision"] >= 95 and record["of"] == "image-image"
    assert record["pairs"]["same"] == COUNT - 2 and record["precision_interval"][0] < 95
    assert f"threshold {record['threshold']:.3f}: precision" in printed and "kept in" in printed
    assert "label more" in printed
    tool.main(["calibrate", str(index), "--pairs", str(pairs), "--precision", "60", "--name", "like"])
    tool.main(["calibrate", str(index), "--pairs", str(pairs), "--precision", "99"])
    kept = open_snapshot(index).manifest.thresholds
    assert sorted(kept) == ["like", "same"] and kept["same"]["wanted_precision"] == 99
    assert kept["like"]["threshold"] <= record["threshold"] and len(open_snapshot(index).part("image")) == 2 * COUNT


def test_what_is_refused_changes_nothing(index, tmp_path):
    before = (index / "manifest.json").read_bytes()
    few = written(tmp_path / "few.tsv", [(1, 2, True), (4, 6, False)] * 5)
    for options, told in (
        (["--pairs", few], "at least 30 of either"),
        (["--pairs", few, "--name", "0.9"], "is no name of a threshold"),
        (["--pairs", labelled(tmp_path), "--of", "text-image"], "does not say which model its vectors are of"),
        (["--pairs", tmp_path / "none.tsv"], "none.tsv"),
    ):
        with pytest.raises(UserError, match=told):
            tool.main(["calibrate", str(index), *map(str, options)])
    assert (index / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("name", ["", "1", "0.9", "nan", "-x", "a b", "a" * 41, "Infinity", "图/片"])
def test_a_name_is_no_number_and_no_option(name):
    with pytest.raises(ConfigError, match="no name of a threshold"):
        checked_name(name)
    assert checked_name("相同-2_a") == "相同-2_a"
