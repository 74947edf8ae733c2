"""The released BriVL's own numbers: a model that has them passes, and each line fails alone where it has not."""

import json

import numpy as np
import pytest

import ernie_vil2
from ernie_vil2.cli import parity as tool
from ernie_vil2.config.model import PIXEL_PROFILES, ModelConfig
from ernie_vil2.config.tower_fields import EfficientNetConfig, TextTowerConfig
from ernie_vil2.conversion import published_brivl as published
from ernie_vil2.errors import UserError

BOXES = {name: [[index, 2, 30 + index, 40]] * (index + 1) for index, name in enumerate(published.EXAMPLES)}
LINES = [f"image {name} . texts" for name in published.EXAMPLES]
BEGINNINGS = [f"{kind} {published.EXAMPLES[0]} begins" for kind in ("image", "text")]


def embeddings():
    """(images, texts) of unit length, float64 [3, 2048], that have the published numbers."""
    rng = np.random.default_rng(0)
    rows = np.linalg.qr(rng.standard_normal((2048, 3)))[0].T.copy()
    rows[:, :3] = 0
    rows[0, :3] = published.IMAGE_BEGINS
    texts = np.zeros((3, 2048))
    texts[0, :3] = published.TEXT_BEGINS
    for row in rows:
        row[3:] *= np.sqrt(1 - row[:3] @ row[:3]) / np.linalg.norm(row[3:])
    wanted = np.array(published.SIMILARITY) - rows[:, :3] @ texts[:, :3].T
    texts[:, 3:] = (np.linalg.pinv(rows[:, 3:]) @ wanted).T
    spare = np.linalg.svd(rows[:, 3:])[2][3:6]
    for row, direction in zip(texts, spare, strict=True):
        row[3:] += direction * np.sqrt(1 - row @ row)
    return rows, texts


class Fake:
    """A model that knows its images by their names and its texts by their words, and was given their boxes."""

    config = ModelConfig(
        system="brivl",
        settings={"embed_dim": 2048},
        image_tower=EfficientNetConfig(image_size=380, projection=0),
        text_tower=TextTowerConfig(),
        pixels=PIXEL_PROFILES["brivl"],
    )

    def __init__(self):
        self.images, self.texts = embeddings()

    def encode_image(self, images, boxes=None):
        names = [next(name for name in published.EXAMPLES if name in image.name) for image in images]
        assert boxes == [BOXES[name] for name in names] and all(image.is_file() for image in images)
        return self.images[[published.EXAMPLES.index(name) for name in names]]

    def encode_text(self, texts):
        return self.texts[[int(text.removeprefix("text ")) for text in texts]]


def line_of(index, name, sentences=None):
    sentences = sentences or [["alt_text", "text 9"], ["sur_text", f"text {index}"]]
    return {"image_id": f"./data/imgs/baike_{name}_0.jpg", "bbox": BOXES[name], "sentences": sentences}


@pytest.fixture
def folder(tmp_path):
    """The examples as a user may have them: in another order, with a line too many, images beside the lines."""
    (tmp_path / "examples/imgs").mkdir(parents=True)
    for name in published.EXAMPLES:
        (tmp_path / f"examples/imgs/baike_{name}_0.jpg").write_bytes(b"")
    lines = [line_of(index, name) for index, name in enumerate(published.EXAMPLES)]
    write(tmp_path / "examples", [{"image_id": "other.jpg"}, *lines[::-1]])
    return tmp_path / "examples"


def write(folder, lines):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "example.jsonl").write_text(text + "\n", encoding="utf-8")


def statuses(printed):
    return {line.split("  ")[0]: line.split()[-1] for line in printed.splitlines()[1:]}


@pytest.mark.parametrize(
    ("side", "place", "amount", "fails"),
    [
        ("images", (0, 0), 0.0, []),
        ("images", (0, 1), 1e-4, []),
        ("images", (0, 1), 3e-4, BEGINNINGS[:1]),
        ("texts", (0, 2), -3e-4, BEGINNINGS[1:]),
        ("images", (1, slice(3, None)), 3e-3, LINES[1:2]),
        ("images", slice(None), np.nan, [*LINES, BEGINNINGS[0]]),
    ],
)
def test_numbers_that_differ_fail_alone(folder, monkeypatch, capsys, side, place, amount, fails):
    model = Fake()
    getattr(model, side)[place] += amount
    monkeypatch.setattr(ernie_vil2, "load", lambda *_: model)
    status = tool.main(["model", "--published", "--examples", str(folder)])
    found = statuses(capsys.readouterr().out)
    assert list(found) == [*LINES, *BEGINNINGS]
    assert [name for name, passed in found.items() if passed != "pass"] == fails and status == bool(fails)


@pytest.mark.parametrize("before", (True, False))
def test_the_model_stands_before_the_options_or_after_them(folder, monkeypatch, capsys, before):
    monkeypatch.setattr(ernie_vil2, "load", lambda path, vocab: {"model": Fake()}[path])
    options = ["--examples", str(folder), "--published"]
    assert tool.main(["model", *options] if before else [*options, "model"]) == 0
    assert len(statuses(capsys.readouterr().out)) == 5


def test_rows_in_another_order_fail(folder, monkeypatch, capsys):
    model = Fake()
    model.texts = model.texts[::-1]
    monkeypatch.setattr(ernie_vil2, "load", lambda *_: model)
    assert tool.main(["model", "--published", "--examples", str(folder)]) == 1


def test_a_text_of_no_kind_that_the_release_reads_is_its_first(folder):
    lines = [
        line_of(index, name, [["0", f"text {index}"], ["1", "x"]]) for index, name in enumerate(published.EXAMPLES)
    ]
    write(folder, lines)
    assert [example.text for example in published.read_examples(folder)] == ["text 0", "text 1", "text 2"]


def absent(folder):
    (folder / "imgs/baike_14708276_0.jpg").unlink()


WRONG = {
    "no folder": (lambda folder: folder.rename(folder.with_name("x")), "is not a folder; give --examples FOLDER"),
    "a line less": (
        lambda folder: write(folder, [line_of(0, "14361859")]),
        "no line of the images 14014334",
    ),
    "no lines": (lambda folder: (folder / "example.jsonl").unlink(), "no line of the images 14361859, 14014334"),
    "an image less": (absent, "names ./data/imgs/baike_14708276_0.jpg, which is not in"),
    "no JSON": (lambda folder: (folder / "example.jsonl").write_text("{]"), "example.jsonl:1 is no JSON object"),
    "no text": (lambda folder: write(folder, [line_of(0, "14361859", ["sur_text"])]), "example.jsonl:1 lacks bbox or"),
}


@pytest.mark.parametrize("name", WRONG)
def test_examples_that_are_not_whole_are_one_sentence(folder, name):
    change, words = WRONG[name]
    change(folder)
    with pytest.raises(UserError) as caught:
        published.read_examples(folder)
    assert words in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_the_examples_are_asked_for(monkeypatch):
    monkeypatch.setattr(ernie_vil2, "load", lambda *_: Fake())
    with pytest.raises(UserError, match="give --examples FOLDER, with the release's three example images"):
        tool.main(["model", "--published"])
