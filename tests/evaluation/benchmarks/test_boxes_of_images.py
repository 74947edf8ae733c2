"""Boxes of a benchmark's images, from AIC-ICC as BriVL publishes it or from a file, go to the models that take some."""

import json

import numpy as np
import pytest

from ernie_vil2.cli.data import main as data_tool
from ernie_vil2.cli.eval.main import main as eval_tool
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import ConfigError, DataError
from ernie_vil2.evaluation.benchmarks.registry import benchmark
from ernie_vil2.evaluation.benchmarks.retrieval import aic_icc
from tests.evaluation.benchmarks import makers
from tests.evaluation.benchmarks.test_retrieval_rules import Hasher, by_number, recalls, same


class Looker(Hasher):
    """Stands in for a model that takes boxes: it remembers those of each image, None being none that are known."""

    most_boxes = 36

    def __init__(self):
        super().__init__()
        self.boxes = {}

    def encode_image(self, images, on_error, boxes=None):
        boxes = [None] * len(images) if boxes is None else boxes
        assert len(boxes) == len(images) and all(box is None or box.dtype == np.float32 for box in boxes)
        self.boxes.update(zip(images, [None if box is None else box.tolist() for box in boxes], strict=True))
        return super().encode_image(images, on_error)


def measured(model, name, data, **options):
    return benchmark(name).evaluate(model, name, data, allow_counts=True, **options)


BOXES = [[[0.0, 0.0, 5.0, 5.0], [9.0, 9.0, 2.0, 2.0]], [], None, [[1.0, 2.0, 3.5, 4.0]]]
CAPTIONS = [
    ["一 只 猫", " 两只猫", "三只 猫", "四只猫", "五只猫"],
    ["一条狗", "两 条 狗", "三条狗", "四条狗"],
    ["an apple", "b", "c", "d", "e"],
    ["一匹马"],
]
READ = [
    ["一只猫", "两只猫", "三只猫", "四只猫", "五只猫"],
    ["一条狗", "两条狗", "三条狗", "四条狗", "一条狗"],
    ["anapple", "b", "c", "d", "e"],
    ["一匹马", "一匹马"],
]


def aic_icc_of_brivl(folder, style=makers.CLEAN, place="annotation", split="val"):
    """AIC_val_bbox.jsonl with images of which two are named with their suffix."""
    ids = [f"c{number}ab" for number in (4, 1, 3, 2)]
    names = [key + ".jpg" * (number % 2) for number, key in enumerate(ids)]
    rows = [
        {"image_id": name, "captions": texts, "bbox": boxes}
        for name, texts, boxes in zip(names, CAPTIONS, BOXES, strict=True)
    ]
    makers.put(folder / place / f"AIC_{split}_bbox.jsonl", [json.dumps(row, ensure_ascii=False) for row in rows], style)
    makers.put_images(folder / "caption_validation_images_20170910", ids)
    return ids


@pytest.mark.parametrize("style", [makers.CLEAN, makers.WINDOWS])
@pytest.mark.parametrize("place", ["annotation", "."])
def test_brivls_file_is_read_in_its_order_as_its_release_reads_it(tmp_path, place, style, monkeypatch):
    ids = aic_icc_of_brivl(tmp_path, style, place)
    pairs = aic_icc.read(tmp_path, "30k", allow_counts=True)
    assert list(pairs.image_ids) == ids and [path.stem for path in pairs.images] == ids
    texts = [[pairs.texts[text] for text, image in pairs.pairs.tolist() if image == row] for row in range(4)]
    assert texts == READ
    assert [boxes if boxes is None else boxes.tolist() for boxes in pairs.boxes] == BOXES
    assert "without blanks" in pairs.notes[0]
    monkeypatch.setattr(aic_icc, "ROWS", 6)
    some = aic_icc.read(tmp_path, "10k-pairs", allow_counts=True)
    assert list(some.texts) == [*READ[0], READ[1][0]] and len(some.boxes) == len(some.image_ids) == 2
    aic_icc_of_brivl(tmp_path, style, place, "trn")
    assert len(aic_icc.read(tmp_path, None, "train", allow_counts=True).texts) == 17


def test_figures_are_those_of_the_captions_and_boxes_reach_the_model(tmp_path):
    aic_icc_of_brivl(tmp_path)
    looker, blind = Looker(), Hasher()
    for model in (looker, blind):
        result = measured(model, "aic-icc@30k", tmp_path).results[0]
        same(result, recalls(by_number(dict(enumerate(READ)))))
        assert ("2 of 4 images were encoded with their boxes" in result.notes) == (model is looker)
    assert looker.boxes == {makers.picture(number): boxes for number, boxes in enumerate(BOXES)}
    plain = Looker()
    makers.aic_icc(tmp_path / "official")
    assert not any("boxes" in note for note in measured(plain, "aic-icc@30k", tmp_path / "official").results[0].notes)
    assert set(plain.boxes.values()) == {None}


def test_a_missing_image_takes_its_boxes_with_it(tmp_path):
    ids = aic_icc_of_brivl(tmp_path)
    (tmp_path / "caption_validation_images_20170910" / f"{ids[0]}.jpg").unlink()
    pairs = aic_icc.read(tmp_path, "30k", allow_counts=True)
    assert list(pairs.image_ids) == ids[1:]
    assert [boxes if boxes is None else boxes.tolist() for boxes in pairs.boxes] == BOXES[1:]


@pytest.mark.parametrize(
    "line, words",
    [
        ("{", "jsonl:2: not valid JSON"),
        ('["a"]', "jsonl:2: the JSON is .* instead of an object; write .*bbox"),
        ('{"captions": ["a"]}', "jsonl:2: the row has no image_id with a list of captions; write .*bbox"),
        ('{"image_id": "x", "captions": []}', "jsonl:2: the row has no image_id with a list"),
        ('{"image_id": "x", "captions": [1]}', "jsonl:2: the row has no image_id with a list"),
        ('{"image_id": "x", "captions": ["  "]}', "jsonl:2: a caption is empty"),
        ('{"image_id": "x", "captions": ["a"], "bbox": [[1, 2]]}', "jsonl:2: box 1 is not four numbers; write"),
        ('{"image_id": "x", "captions": ["a"], "bbox": [[0, 0, 0.5, 1]]}', r"jsonl:2: all boxes lie in \[0, 1\]; mult"),
        ('{"image_id": "a.jpg", "captions": ["a"]}', "jsonl:2: image 'a' was already named at .*jsonl:1"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, words):
    makers.put(tmp_path / "AIC_val_bbox.jsonl", ['{"image_id": "a", "captions": ["x"]}', line])
    with pytest.raises(DataError, match=words):
        aic_icc.read(tmp_path, "30k", allow_counts=True)


def test_boxes_of_any_benchmark_come_from_a_file(tmp_path):
    makers.karpathy(tmp_path / "flickr", "flickr30k")
    file = str(makers.put(tmp_path / "boxes.jsonl", ['{"id": "5001", "boxes": [[1, 2, 3, 4]]}', '{"id": 5003}']))
    model, plain = Looker(), Looker()
    with_file = measured(model, "flickr30k", tmp_path / "flickr", boxes=file)
    without = measured(plain, "flickr30k", tmp_path / "flickr")
    wanted = dict.fromkeys(map(makers.picture, range(5)))
    assert plain.boxes == wanted and model.boxes == {**wanted, makers.picture(1): [[1.0, 2.0, 3.0, 4.0]]}
    assert "1 of 5 images were encoded with their boxes" in with_file.results[0].notes
    assert with_file.data_sha256 != without.data_sha256  # other boxes are other data
    with pytest.raises(ConfigError, match=f"^{file}: the model takes no boxes; leave --boxes out"):
        measured(Hasher(), "flickr30k", tmp_path / "flickr", boxes=file)
    other = str(makers.put(tmp_path / "other.jsonl", ['{"id": "x", "boxes": []}']))
    with pytest.raises(DataError, match=f"^{other}: has none of the images of flickr30k; name them .* such as '5000'"):
        measured(Looker(), "flickr30k", tmp_path / "flickr", boxes=other)
    bad = str(makers.put(tmp_path / "bad.jsonl", ['{"id": "5001", "boxes": [[1, 2, 3]]}']))
    with pytest.raises(DataError, match=f"^{bad}:1: box 1 is not four numbers; write"):
        measured(Looker(), "flickr30k", tmp_path / "flickr", boxes=bad)


def test_boxes_are_joined_over_those_of_the_benchmark(tmp_path):
    ids = aic_icc_of_brivl(tmp_path)
    rows = [{"id": ids[0], "boxes": []}, {"id": ids[2], "boxes": [[5, 6, 7, 8]]}]
    file, model = makers.put(tmp_path / "b.jsonl", map(json.dumps, rows)), Looker()
    measured(model, "aic-icc", tmp_path, boxes=str(file))
    assert list(model.boxes.values()) == [[], BOXES[1], [[5.0, 6.0, 7.0, 8.0]], BOXES[3]]


def test_the_command_asks_for_a_benchmark_that_takes_boxes(tmp_path, capsys):
    with pytest.raises(SystemExit):
        eval_tool(["--model", "m", "--input", "x.jsonl", "--boxes", "b.jsonl"])
    assert "--boxes and -o belong to --benchmark" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="boxes"):
        eval_tool(["--model", "m", "--benchmark", "sts", "--data", str(tmp_path), "--boxes", "b.jsonl"])


def test_pairs_to_train_on_keep_their_boxes(tmp_path):
    aic_icc_of_brivl(tmp_path)
    data_tool.main(["pairs", "aic-icc@30k", str(tmp_path), str(tmp_path / "valid.jsonl"), "--allow-counts"])
    boxes = [sample.boxes for sample in open_source(str(tmp_path / "valid.jsonl"))]
    assert boxes == [found if found is None else tuple(map(tuple, found)) for found in BOXES]
