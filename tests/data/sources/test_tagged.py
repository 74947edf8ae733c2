"""Detections become tags: formats, labels, rules and the join, each against what a person would write down."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.data.sources.beside import IdFile
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.tagging.detections import Found
from ernie_vil2.data.tagging.labels import read_labels
from ernie_vil2.data.tagging.rules import Rules
from ernie_vil2.data.tagging.tagging import join
from ernie_vil2.errors import ConfigError, DataError, UserError


@pytest.fixture
def photos(tmp_path, random_image, image_bytes):
    """A source of three images, the first with two rows' worth of captions and tags of its own."""
    (tmp_path / "photos").mkdir()
    rows = []
    for index, name in enumerate(("000000000139", "000000000285", "000000000632")):
        (tmp_path / f"photos/{name}.png").write_bytes(image_bytes(random_image(8, 8, index)))
        rows.append({"image": f"photos/{name}.png", "text": f"图{index}", "tags": ["旧"] if index == 0 else []})
    path = tmp_path / "photos.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def written(path, content):
    text = content if isinstance(content, str) else "".join(json.dumps(row) + "\n" for row in content)
    path.write_text(text, encoding="utf-8")
    return path


def test_coco_results_become_chinese_tags_of_a_source(tmp_path, photos):
    results = [
        {"image_id": 139, "category_id": 17, "score": 0.9, "bbox": [5, 0, 2, 2]},
        {"image_id": 285, "category_id": 23, "score": 0.8, "bbox": [0, 0, 4, 4]},
        {"image_id": 139, "category_id": 1, "score": 0.5, "bbox": [0, 0, 9, 9]},
        {"image_id": 139, "category_id": 17, "score": 0.7, "bbox": [0, 0, 1, 1]},
        {"image_id": 632, "category_id": 3, "score": 0.1, "bbox": [0, 0, 1, 1]},
        {"image_id": 777, "category_id": 3, "score": 0.9, "bbox": [0, 0, 1, 1]},
    ]
    detections = written(tmp_path / "bbox.json", json.dumps(results))
    source, out = open_source(photos), tmp_path / "tags.jsonl"
    report = join(source, [detections], out, read_labels("coco"), Rules(), match="stem")
    assert [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] == [
        {"id": "photos/000000000139.png", "tags": ["猫", "人"]},
        {"id": "photos/000000000285.png", "tags": ["熊"]},
    ]
    assert (report.images, report.filled, report.empty, report.missing_count) == (3, 2, 1, 0)
    assert report.unknown == ["777"] and "not in source    1 image of the detections: 777" in str(report)
    tagged = open_source({"path": str(photos), "tags": str(out)})
    assert [sample.tags for sample in tagged] == [("猫", "人"), ("熊",), ()]
    assert [sample.tags for sample in pickle.loads(pickle.dumps(tagged))] == [("猫", "人"), ("熊",), ()]
    assert "tags of 2 ids" in tagged.describe()
    assert [(tagged.key(row), tagged.where(row)) for row in range(3)] == [(item.id, item.where) for item in source]
    assert sorted(entry.name for entry in tmp_path.iterdir() if "join" in entry.name) == []


@pytest.mark.parametrize("order, tags", [("score", ["人", "猫"]), ("area", ["猫", "人"]), ("left", ["猫", "人"])])
def test_formats_mean_the_same(tmp_path, photos, order, tags):
    key = "photos/000000000139.png"
    lists = {"scores": [0.6, 0.9], "boxes": [[0, 0, 5, 5], [3, 0, 5, 2]]}
    rows = {
        "names": [{"id": key, "labels": ["cat", "person"], **lists}],
        "classes": [{"image": key, "classes": [15, 0], **lists}],
        "single": [
            {"image_id": key, "category_id": 15, "score": 0.6, "bbox": [0, 0, 5, 5]},
            {"image_id": key, "category_id": 0, "score": 0.9, "bbox": [3, 0, 2, 2]},
        ],
        "objects": [
            {
                "image_id": key,
                "objects": [
                    {
                        "names": ["cat", "kitten"],
                        "score": 0.6,
                        "x": 0,
                        "y": 0,
                        "w": 5,
                        "h": 5,
                        "object_id": 3,
                        "id": 1.5,
                    },
                    {"names": ["person"], "score": 0.9, "x": 3, "y": 0, "w": 2, "h": 2},
                ],
            }
        ],
    }
    labels, out = read_labels("coco80"), tmp_path / "tags.jsonl"
    for name, content in rows.items():
        detections = written(tmp_path / f"{name}.jsonl", content)
        join(open_source(photos), [detections], out, labels, Rules(order=order))
        assert json.loads(out.read_text(encoding="utf-8")) == {"id": key, "tags": tags}, name
    whole = written(tmp_path / "instances.json", json.dumps({"images": [], "annotations": rows["single"]}, indent=1))
    join(open_source(photos), [whole], out, labels, Rules(order=order))
    assert json.loads(out.read_text(encoding="utf-8"))["tags"] == tags


found = st.builds(Found, st.sampled_from("abcde"), st.floats(0, 1), st.tuples(*[st.floats(0, 9)] * 4))


@given(st.lists(found, max_size=12), st.floats(0, 1), st.integers(1, 6), st.sampled_from(["score", "area", "left"]))
def test_rules(items, threshold, most, order):
    tags = Rules(threshold, most, order).tags(items)
    best = {}
    for item in items:
        if item.score >= threshold:
            best[item.tag] = max(best.get(item.tag, 0.0), item.score)
    assert len(tags) == len(set(tags)) == min(most, len(best))
    assert min((best[tag] for tag in tags), default=1) >= max((best[tag] for tag in best.keys() - set(tags)), default=0)
    if order == "score":
        assert [best[tag] for tag in tags] == sorted((best[tag] for tag in tags), reverse=True)
    else:
        boxes = {item.tag: item for item in sorted(items, key=lambda item: item.score) if item.score >= threshold}
        ties = len({item.score for item in items}) < len(items)
        places = [-boxes[tag].area if order == "area" else boxes[tag].left for tag in tags]
        assert ties or places == sorted(places)
    repeated = Rules(threshold, 99, order, once=False).tags(items)
    assert sorted(repeated) == sorted(item.tag for item in items if item.score >= threshold)


def test_label_files(tmp_path):
    vg = written(tmp_path / "objects_vocab.txt", "yolk\ntennis racket,racket\n")
    chinese = written(tmp_path / "zh.txt", "蛋黄\n网球拍，球拍\n")
    assert [read_labels(vg, chinese, first=1).name(number, "x") for number in (1, 2)] == ["蛋黄", "网球拍"]
    assert read_labels(vg, chinese, "en").name(1, "x") == "tennis racket"
    assert read_labels(vg, chinese).name("yolk", "x") == "蛋黄" and read_labels(vg, chinese).name("sky", "x") == "sky"
    both = written(tmp_path / "both.txt", "yolk\t蛋黄\nsky\t天空\n")
    assert read_labels(both).name(1, "x") == "天空" and read_labels(both, None, "en").name(1, "x") == "sky"
    own = written(tmp_path / "own.txt", "蛋黄\n天空\n")
    assert read_labels(own).name(1, "x") == "天空"
    instances = {"categories": [{"id": 7, "name": "train"}, {"id": 3, "name": "car"}]}
    coco = written(tmp_path / "instances.json", json.dumps(instances))
    assert read_labels(coco, None, "en").name(7, "x") == "train"
    assert read_labels(coco, written(tmp_path / "two.txt", "火车\n汽车\n")).name(3, "x") == "汽车"
    listed = written(tmp_path / "list.json", '["a", "b"]')
    mapped = written(tmp_path / "map.json", '{"4": "b"}')
    assert read_labels(listed, None, "en").name(1, "x") == read_labels(mapped, None, "en").name(4, "x") == "b"
    assert len(read_labels("coco")) == len(read_labels("coco80")) == 80
    assert read_labels("coco").name(90, "x") == read_labels("coco80").name(79, "x") == "牙刷"
    assert read_labels("coco", None, "en").name("人", "x") == "person"


def test_wrong_labels_are_one_sentence(tmp_path):
    english = written(tmp_path / "en.txt", "cat\ndog\n")
    with pytest.raises(DataError, match="d.jsonl:3: class 2 has no name in .*en.txt, which knows 0 to 1"):
        read_labels(english, None, "en").name(2, "d.jsonl:3")
    with pytest.raises(DataError, match="class 1 .dog. has no Chinese name"):
        read_labels(english).name(1, "d")
    with pytest.raises(DataError, match="1 names, but .* 2 classes"):
        read_labels(english, written(tmp_path / "zh.txt", "猫\n"))
    for content, name in (("{", "x.json"), ('{"categories": []}', "y.json"), ("", "x.txt"), ("a\n\nb", "y.txt")):
        with pytest.raises(DataError):
            read_labels(written(tmp_path / name, content))
    with pytest.raises(DataError, match="cannot be read"):
        read_labels(tmp_path / "none.txt")
    for label in (True, None, float("nan"), [1]):
        with pytest.raises(DataError, match="neither a class number nor a name"):
            read_labels("coco").name(label, "d")


def test_bad_entries_are_counted_and_too_many_stop(tmp_path, photos):
    key, out = "photos/000000000139.png", tmp_path / "tags.jsonl"
    bad = [
        "no json",
        "[1]",
        '{"labels": ["a"]}',
        '{"id": "a"}',
        '{"id": "a", "labels": ["a"], "scores": []}',
        '{"id": "a", "labels": ["a"], "scores": ["x"]}',
        '{"id": "a", "labels": ["a"], "scores": [NaN]}',
        '{"id": "a", "labels": ["a"], "boxes": [[1, 2]]}',
    ]
    good = json.dumps({"id": key, "labels": ["猫", "background"], "scores": [0.9, 0.8]})
    broken = json.dumps({"id": "b", "error": "truncated"})
    detections = written(tmp_path / "d.jsonl", "\n".join([*bad, good, broken]))
    report = join(open_source(photos), [detections], out, read_labels(), Rules())
    assert (len(report.bad_entries), report.filled, report.tags, report.broken) == (len(bad), 1, {"猫": 1}, 1)
    assert [error.where for error in report.bad_entries] == [f"{detections}:{line + 1}" for line in range(len(bad))]
    out.unlink()
    for content, words in (("\n".join(bad * 2 + [good]), "16 of 17"), (bad[0], "1 of 1")):
        with pytest.raises(DataError, match=f"{words} detections cannot be used, the first: .*d.jsonl:1"):
            join(open_source(photos), [written(detections, content)], out, read_labels(), Rules())
    foreign = written(tmp_path / "e.jsonl", '{"id": "other", "labels": ["a"]}')
    with pytest.raises(DataError, match="no image of the detections is in the source.*try --match stem"):
        join(open_source(photos), [foreign], out, read_labels(), Rules())
    with pytest.raises(DataError, match="needs boxes"):
        join(open_source(photos), [written(detections, good)], out, read_labels(), Rules(order="left"))
    assert not out.exists() and [entry for entry in tmp_path.iterdir() if "join" in entry.name] == []


def test_a_stem_of_two_images_is_refused(tmp_path, random_image, image_bytes):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.png").write_bytes(image_bytes(random_image(8, 8)))
    source = written(tmp_path / "s.jsonl", [{"image": f"{folder}/1.png", "text": "图"} for folder in "ab"])
    detections = written(tmp_path / "d.jsonl", [{"id": 1, "labels": ["猫"]}])
    with pytest.raises(DataError, match="a/1.png and b/1.png both have the stem 1; match by id"):
        join(open_source(source), [detections], tmp_path / "out", read_labels(), Rules(), match="stem")


@pytest.mark.parametrize("count", [1, 700])
def test_a_tag_file_is_a_dictionary(tmp_path, count):
    rng = np.random.default_rng(0)
    truth = {f"图{key}": tuple("abc"[: rng.integers(4)]) for key in rng.permutation(10 * count)[:count]}
    lines = [json.dumps({"id": key, "tags": list(tags)}, ensure_ascii=False) for key, tags in truth.items()]
    tags = IdFile(written(tmp_path / "tags.jsonl", "\n\n".join(lines)), "tags")
    assert len(tags) == count and {key: tags.get(key) for key in truth} == truth
    assert tags.get("图") is None and tags.get("") is None


@pytest.mark.parametrize(
    "text, words",
    [
        ('{"id": "a"}\n{"id": "a", "tags": []}', "2: the id 'a' was on a line before"),
        ('["a"]', "no JSON object"),
        ('{"tags": []}', "no JSON object with an id"),
        ("", "is empty"),
        ("{", "no JSON object"),
    ],
)
def test_a_bad_tag_file_is_named(tmp_path, text, words):
    with pytest.raises(DataError, match=words):
        IdFile(written(tmp_path / "tags.jsonl", text), "tags")


def test_options_of_tags(photos):
    with pytest.raises(ConfigError, match="tags: 5 is no file"):
        open_source({"path": str(photos), "tags": 5})
    for wrong in ({"order": "size"}, {"most": 0}, {"threshold": float("nan")}):
        with pytest.raises(UserError):
            Rules(**wrong)


def test_tags_of_joined_folders_keep_their_ids(tmp_path, random_image, image_bytes):
    specs = []
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.png").write_bytes(image_bytes(random_image(8, 8)))
        written(tmp_path / folder / "s.jsonl", [{"image": "1.png", "text": "图"}])
        tags = written(tmp_path / f"{folder}.tags", [{"id": "1.png", "tags": [folder]}])
        specs.append({"path": str(tmp_path / folder / "s.jsonl"), "tags": str(tags)})
    assert [sample.tags for sample in open_source(specs)] == [("a",), ("b",)]
