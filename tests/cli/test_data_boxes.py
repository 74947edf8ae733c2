"""Detections become boxes of images: corners in pixels, the surest first, whatever wrote them."""

import json

import pytest

from ernie_vil2.cli.data import main as tool
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import ConfigError, DataError

NAMES = ("000000000139", "000000000285", "000000000632")
IDS = [f"photos/{name}.png" for name in NAMES]
BOXES = [[5.0, 1.0, 7.0, 9.5], [0.0, 0.0, 4.0, 4.0], [3.0, 0.0, 9.0, 2.0]]


@pytest.fixture
def photos(tmp_path, random_image, image_bytes):
    """A source of three images, each with a box of its own."""
    (tmp_path / "photos").mkdir()
    for index, key in enumerate(IDS):
        (tmp_path / key).write_bytes(image_bytes(random_image(12, 12, index)))
    rows = [{"image": key, "text": "图", "boxes": [[8, 8, 9, 9]]} for key in IDS]
    return lines(tmp_path / "photos.jsonl", rows)


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def sides(box):
    """x, y, width, height of two corners."""
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def forms():
    """{name: (what a detector writes of the first image with scores 0.4, 0.9, 0.6, how its ids are matched)}."""
    scores = [0.4, 0.9, 0.6]
    pairs = list(zip(BOXES, scores, strict=True))
    single = [{"image_id": 139, "bbox": sides(box), "score": score} for box, score in pairs]
    objects = [
        {**dict(zip("xywh", item["bbox"], strict=True)), "names": ["a"], "score": item["score"]} for item in single
    ]
    lists = {"boxes": BOXES, "scores": scores}
    return {
        "lists without names": ([{"id": IDS[0], **lists}], "id"),
        "lists with names": ([{"id": IDS[0], "labels": ["a", "b", "a"], **lists}], "id"),
        "class numbers without a label file": ([{"id": IDS[0], "classes": [0, 7, 1000], **lists}], "id"),
        "spread over lines": ([{"id": IDS[0], "boxes": [box], "score": s} for box, s in pairs], "id"),
        "COCO's results": ([{**item, "category_id": 1} for item in single], "stem"),
        "results without classes": (single, "stem"),
        "Visual Genome's objects": ([{"image_id": 139, "objects": objects}], "stem"),
    }


@pytest.mark.parametrize("form", forms())
def test_forms_of_detections_mean_the_same_boxes(tmp_path, photos, form, capsys):
    rows, match = forms()[form]
    detections, out = lines(tmp_path / "d.jsonl", rows), str(tmp_path / "boxes.jsonl")
    whole = tmp_path / "d.json"
    whole.write_text(json.dumps({"images": [], "annotations": rows}))
    for path in (detections, str(whole)):
        tool.main(["boxes", photos, out, path, "--match", match, "--replace"])
        source = open_source({"path": photos, "boxes": out})
        assert [list(map(list, sample.boxes)) for sample in source] == [
            [BOXES[1], BOXES[2], BOXES[0]],
            [[8, 8, 9, 9]],
            [[8, 8, 9, 9]],
        ]
    told = capsys.readouterr().out
    assert "with boxes       1 image, 3.0 boxes each" in told and f"`boxes: {out}`" in told and "tags" not in told


def test_the_surest_boxes_are_kept_and_an_image_without_any_is_known(tmp_path, photos):
    many = [[number, 0, number + 2, 5] for number in range(50)]
    rows = [
        {"id": IDS[0], "boxes": many, "scores": [0.2 + number / 100 for number in range(50)]},
        {"id": IDS[1], "boxes": many[:1], "scores": [0.1]},
        {"id": IDS[2], "labels": ["background", "a"], "boxes": many[:2]},
        {"id": "other", "boxes": []},
    ]
    out, detections = tmp_path / "boxes.jsonl", lines(tmp_path / "d.jsonl", rows)
    for options, kept in (
        ([], range(49, 13, -1)),
        (["--most", "3"], (49, 48, 47)),
        (["--threshold", "0.65"], (49, 48, 47, 46, 45)),
    ):
        tool.main(["boxes", photos, str(out), detections, "--replace", *options])
        found = {row["id"]: row["boxes"] for row in map(json.loads, out.read_text().splitlines())}
        assert found == {IDS[0]: [many[number] for number in kept], IDS[1]: [], IDS[2]: many[1:2]}


def test_boxes_that_a_source_would_take_for_fractions_are_left_out_and_told(tmp_path, photos, capsys):
    rows = [
        {"id": IDS[0], "boxes": [[0, 0, 1, 1], [3, 3, 10, 10]], "scores": [0.9, 0.2]},
        {"id": IDS[1], "boxes": [[0, 0, 1, 1], [3, 3, 10, 10]], "scores": [0.9, 0.8]},
        {"id": IDS[2], "boxes": [[3, 3, 10, 10]], "scores": [0.1]},
    ]
    out = str(tmp_path / "boxes.jsonl")
    tool.main(["boxes", photos, out, lines(tmp_path / "d.jsonl", rows)])
    told = capsys.readouterr().out
    source = open_source({"path": photos, "boxes": out})
    assert [sample.boxes for sample in source] == [(), ((0, 0, 1, 1), (3, 3, 10, 10)), ()]
    assert (
        "with boxes       1 image, 2.0 boxes each, 1 with detections, but none that passed, 1 written without" in told
    )
    tool.main(["check", json.dumps({"path": photos, "boxes": out})])
    assert "bad boxes" not in capsys.readouterr().out


def test_bad_detections_are_named_with_file_and_line(tmp_path, photos):
    bad = [
        ({"id": "a"}, "the entry has no boxes; add one of boxes"),
        ({"id": "a", "labels": ["x"]}, "the entry has no boxes"),
        ({"boxes": [[1, 2, 3, 4]]}, "the entry has no image id"),
        ({"id": "a", "boxes": [[1, 2, 3, 4]], "scores": [1, 2]}, "labels, scores and boxes differ: 1, 2, 1"),
        ({"id": "a", "boxes": [[0.1, 0.2, 0.5, 0.9]]}, "in [0, 1]; multiply"),
        ({"id": "a", "boxes": [[1, 2, 3]]}, "a score or a box is no number"),
        ({"id": "a", "boxes": [[1, 2, 3, float("nan")]]}, "box 1 holds nan"),
        ({"id": "a", "boxes": [["x", 2, 3, 4]]}, "a score or a box is no number"),
        ({"id": "a", "boxes": [7]}, "a score or a box is no number"),
    ]
    for row, words in bad:
        path = lines(tmp_path / "d.jsonl", [row])
        with pytest.raises(DataError) as error:
            tool.main(["boxes", photos, str(tmp_path / "out"), path])
        assert f"the first: {path}:1: " in str(error.value) and words in str(error.value)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="give the detections as files, or --detector DIR"):
        tool.main(["boxes", photos, str(tmp_path / "out")])


def test_a_coco_file_is_matched_by_the_names_of_its_images(tmp_path, photos):
    images = [{"id": 7 - place, "file_name": f"train/{name}.png"} for place, name in enumerate(NAMES)]
    rows = [{"image_id": 7 - place, "bbox": [place + 1, 2, 10, 20]} for place in range(3)]
    whole, out = tmp_path / "coco.json", str(tmp_path / "boxes.jsonl")
    whole.write_text(json.dumps({"images": images, "annotations": rows}), encoding="utf-8")
    tool.main(["boxes", photos, out, str(whole), "--match", "stem"])
    found = [list(map(list, sample.boxes)) for sample in open_source({"path": photos, "boxes": out})]
    assert found == [[[place + 1, 2, place + 11, 22]] for place in range(3)]
