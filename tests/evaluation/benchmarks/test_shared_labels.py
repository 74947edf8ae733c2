"""NUS-WIDE, COCO and the hashing papers' lists in small, and the mAP that a model gets on them."""

import json

import numpy as np
import pytest

from ernie_vil2.errors import ConfigError, DataError
from ernie_vil2.evaluation.benchmarks.image_retrieval import shared_labels
from ernie_vil2.evaluation.benchmarks.image_retrieval.label_files import (
    KNOWN_FAULT,
    Options,
    label_column,
    read_coco,
    read_list,
    read_nus_wide,
)
from ernie_vil2.evaluation.benchmarks.reading import Reading

LOOSE = {"allow_counts": True}
WIDTH = 6


class Files:
    """Stands in for a model: an image file holds its vector."""

    def __init__(self):
        self.images = []

    def encode_image(self, images, on_error):
        assert on_error == "skip"
        self.images += images
        rows, failures = np.full((len(images), WIDTH), np.nan, np.float32), []
        for position, path in enumerate(images):
            try:
                rows[position] = json.loads(path.read_text())
            except (OSError, ValueError):
                failures.append((position, f"{path}: not an image"))
        return rows, failures


def draw(path, seed):
    """An image file with a unit vector; returns the vector."""
    vector = np.random.default_rng(seed).standard_normal(WIDTH)
    vector /= np.linalg.norm(vector)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(vector.tolist()))
    return vector


def write(path, lines, ending="\n", bom=b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bom + "".join(line + ending for line in lines).encode("utf-8"))


def truth(queries, asked, database, held, k, own=None):
    """mAP@K in percent, by the definition."""
    values = []
    for row, (query, marks) in enumerate(zip(queries, asked, strict=True)):
        order = [place for place in np.argsort(-(database @ query), kind="stable") if own is None or place != own[row]]
        relevant = [bool((held[place] & marks).any()) for place in order[:k]]
        precisions = [np.mean(relevant[: rank + 1]) for rank, hit in enumerate(relevant) if hit]
        values.append(np.mean(precisions) if precisions else 0)
    return 100 * np.mean(values)


def nus_wide(folder, ending="\n", bom=b"", flickr="Flickr"):
    """Published form: {split: (vectors, marks of airport, lake and sky)}; the last test image has no label."""
    rng, sets = np.random.default_rng(0), {}
    for split, count in (("Test", 8), ("Train", 30)):
        names = [f"actor{number % 3}\\{number:04d}_{split}.jpg" for number in range(count)]
        marks = rng.random((count, 3)) < 0.4
        marks[-1], marks[0, 1] = split == "Train", True
        write(folder / "ImageList" / f"{split}Imagelist.txt", names, ending, bom)
        for column, concept in enumerate(("airport", "lake", "sky")):
            path = folder / "Groundtruth" / "TrainTestLabels" / f"Labels_{concept}_{split}.txt"
            write(path, map(str, marks[:, column].astype(int)), ending, bom)
        vectors = [
            draw(folder / flickr / name.replace("\\", "/"), [number, count]) for number, name in enumerate(names)
        ]
        sets[split] = np.stack(vectors), marks
    return sets


@pytest.mark.parametrize("ending, bom, flickr", [("\n", b"", "Flickr"), ("\r\n", b"\xef\xbb\xbf", "images")])
def test_nus_wide_queries_are_test_images_and_the_database_is_train(tmp_path, ending, bom, flickr):
    sets = nus_wide(tmp_path, ending, bom, flickr)
    data = read_nus_wide(tmp_path, "Test", Reading(), Options(**LOOSE))
    assert data.names == ["airport", "lake", "sky"] and np.array_equal(data.marks, sets["Test"][1])
    assert data.where(2) == f"{tmp_path / 'ImageList' / 'TestImagelist.txt'}:3"
    model = Files()
    [result] = shared_labels.evaluate(model, "image-retrieval@nus-wide", tmp_path, **LOOSE).results
    asks = sets["Test"][1].any(axis=1)
    assert not asks[-1] and result.counts == {"queries": int(asks.sum()), "database": 30, "labels": 3}
    wanted = truth(sets["Test"][0][asks], sets["Test"][1][asks], *sets["Train"], 5000)
    assert result.metrics == pytest.approx({"map@all": wanted}, abs=1e-4)
    assert len(model.images) == len(set(model.images)) == 30 + int(asks.sum())
    assert any("instead of the published 107,859" in note for note in result.notes)


def test_each_image_against_the_rest_of_its_split(tmp_path):
    vectors, marks = nus_wide(tmp_path)["Train"]
    model = Files()
    [result] = shared_labels.evaluate(
        model, "image-retrieval@nus-wide", tmp_path, split="train", database="self", window=7, **LOOSE
    ).results
    asks = np.flatnonzero(marks.any(axis=1))
    assert result.metrics["map@all"] == pytest.approx(
        truth(vectors[asks], marks[asks], vectors, marks, 30, asks), abs=1e-4
    )
    assert len(model.images) == 30


def test_the_most_frequent_concepts_and_some_of_the_queries(tmp_path):
    sets = nus_wide(tmp_path)
    [result] = shared_labels.evaluate(
        Files(), "image-retrieval@nus-wide", tmp_path, concepts=2, queries=3, **LOOSE
    ).results
    best = np.sort(np.argsort(-sets["Test"][1].sum(axis=0), kind="stable")[:2])
    asks = np.flatnonzero(sets["Test"][1][:, best].any(axis=1))
    asks = asks[[0, round((len(asks) - 1) / 2), -1]]
    assert result.counts["queries"] == 3 and result.counts["labels"] == 2
    assert result.metrics["map@all"] == pytest.approx(
        truth(sets["Test"][0][asks], sets["Test"][1][asks][:, best], sets["Train"][0], sets["Train"][1][:, best], 30),
        abs=1e-4,
    )


def test_the_known_fault_of_the_published_ground_truth_is_read_as_0(tmp_path):
    file, line, value = KNOWN_FAULT
    lines = ["1"] * (line + 10)
    lines[line - 1] = value
    write(tmp_path / file, lines)
    reading = Reading()
    marks = label_column(tmp_path / file, len(lines), "list", reading)
    assert np.flatnonzero(~marks).tolist() == [line - 1] and file in reading.notes[0]
    lines[3] = "-1130179"
    write(tmp_path / file, lines)
    with pytest.raises(DataError, match="Labels_lake_Train.txt:4: '-1130179' is neither 0 nor 1"):
        label_column(tmp_path / file, len(lines), "list", reading)


def coco(folder, split="val2017", count=20, place="{split}", bom=b""):
    """COCO's instances with 70 categories of gapped numbers; returns vectors and marks, the last image without any."""
    rng = np.random.default_rng(count)
    numbers, ids = list(range(1, 141, 2)), [100 + 7 * number for number in range(count)]
    marks = rng.random((count, 70)) < 0.05
    marks[:4, 69], marks[-1] = True, False
    objects = [
        {"id": 1, "image_id": ids[row], "category_id": numbers[column]}
        for row, column in [*np.argwhere(marks), *np.argwhere(marks)[:5]]
    ]
    content = {
        "images": [{"id": key, "file_name": f"{key:012d}.jpg"} for key in ids],
        "annotations": objects,
        "categories": [{"id": key, "name": f"name{key}"} for key in reversed(numbers)],
    }
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / "annotations" / f"instances_{split}.json").write_bytes(bom + json.dumps(content).encode())
    vectors = [draw(folder / place.format(split=split) / f"{key:012d}.jpg", [key, count]) for key in ids]
    return np.stack(vectors), marks


@pytest.mark.parametrize(
    "split, place, bom",
    [("val2017", "{split}", b""), ("val2014", "images/{split}", b"\xef\xbb\xbf"), ("val2017", "images", b"")],
)
def test_coco_asks_with_each_labelled_image(tmp_path, split, place, bom):
    vectors, marks = coco(tmp_path, split, place=place, bom=bom)
    data = read_coco(tmp_path, split, Reading(), Options(**LOOSE))
    assert np.array_equal(data.marks, marks) and data.names[69] == "name139"
    [result] = shared_labels.evaluate(Files(), "image-retrieval@coco", tmp_path, **LOOSE).results
    asks = np.flatnonzero(marks.any(axis=1))
    assert result.metrics == pytest.approx(
        {"map@all": truth(vectors[asks], marks[asks], vectors, marks, 20, asks)}, abs=1e-4
    )
    assert result.counts == {"queries": len(asks), "database": 20, "labels": 70}
    assert any(f"queries: {split}" in note for note in result.notes)


def test_coco_against_its_train_images(tmp_path):
    queries, asked = coco(tmp_path, "val2017", 20)
    database, held = coco(tmp_path, "train2017", 150)
    [result] = shared_labels.evaluate(Files(), "image-retrieval@coco", tmp_path, database="train", **LOOSE).results
    asks = asked.any(axis=1)
    for k, name in ((100, "map@100"), (150, "map@all")):
        assert result.metrics[name] == pytest.approx(truth(queries[asks], asked[asks], database, held, k), abs=1e-4)
    assert list(result.metrics) == ["map@100", "map@all"] and result.notes[0].startswith("headline metric map@all")


def lists(folder, prefix="", bom=b"", ending="\n"):
    """test.txt and database.txt with 21 marks a line; returns (vectors, marks) of both."""
    rng, sets = np.random.default_rng(3), []
    for name, count in (("test.txt", 6), ("database.txt", 40)):
        marks = rng.random((count, 21)) < 0.15
        marks[:, 0] |= ~marks.any(axis=1)
        files = [f"images/{name[:2]} {number}.jpg" for number in range(count)]
        write(
            folder / name,
            (f"{prefix}{file} {' '.join(map(str, row.astype(int)))}" for file, row in zip(files, marks, strict=True)),
            ending,
            bom,
        )
        sets.append((np.stack([draw(folder / file, [number, count]) for number, file in enumerate(files)]), marks))
    return sets


@pytest.mark.parametrize("name", ["nus-wide", "coco"])
@pytest.mark.parametrize(
    "prefix, bom, ending",
    [("", b"", "\n"), ("/data/nus_wide/", b"\xef\xbb\xbf", "\r\n"), ("../../data/nus/", b"", "\n")],
)
def test_lists_of_the_hashing_papers(tmp_path, name, prefix, bom, ending):
    (queries, asked), (database, held) = lists(tmp_path, prefix, bom, ending)
    [result] = shared_labels.evaluate(Files(), f"image-retrieval@{name}", tmp_path).results
    assert result.metrics == pytest.approx({"map@all": truth(queries, asked, database, held, 40)}, abs=1e-4)
    assert result.counts == {"queries": 6, "database": 40, "labels": 21}


def test_an_image_in_both_lists_is_encoded_once_and_no_answer_to_itself(tmp_path):
    (queries, asked), (database, held) = lists(tmp_path)
    with open(tmp_path / "database.txt", "a") as handle:
        handle.write((tmp_path / "test.txt").read_text())
    model = Files()
    [result] = shared_labels.evaluate(model, "image-retrieval@coco", tmp_path).results
    wanted = truth(
        queries, asked, np.concatenate([database, queries]), np.concatenate([held, asked]), 46, np.arange(40, 46)
    )
    assert result.metrics["map@all"] == pytest.approx(wanted, abs=1e-4) and len(model.images) == 46


def test_an_image_that_stands_twice_in_the_database_counts_once(tmp_path):
    lists(tmp_path)
    first = shared_labels.evaluate(Files(), "image-retrieval@coco", tmp_path).results[0]
    lines = (tmp_path / "database.txt").read_text().splitlines(keepends=True)
    (tmp_path / "database.txt").write_text("".join([*lines[:5], *lines]))
    second = shared_labels.evaluate(Files(), "image-retrieval@coco", tmp_path).results[0]
    assert second.metrics == first.metrics and second.counts == first.counts
    assert any("5 lines of the database repeat" in note for note in second.notes)


def test_broken_and_missing_images_are_named_or_left_out(tmp_path):
    (queries, asked), (database, held) = lists(tmp_path)
    (tmp_path / "images" / "da 4.jpg").write_text("{")
    with pytest.raises(DataError, match=r"database.txt:5: .*da 4.jpg: not an image"):
        shared_labels.evaluate(Files(), "image-retrieval@coco", tmp_path)
    (tmp_path / "images" / "te 2.jpg").unlink()
    with pytest.raises(DataError, match=r"test.txt:3: the image .*te 2.jpg is missing .*--skip-broken"):
        shared_labels.evaluate(Files(), "image-retrieval@coco", tmp_path)
    [result] = shared_labels.evaluate(Files(), "image-retrieval@coco", tmp_path, skip_broken=True).results
    kept = [np.delete(rows, row, axis=0) for rows, row in ((queries, 2), (asked, 2), (database, 4), (held, 4))]
    assert result.metrics["map@all"] == pytest.approx(truth(*kept, 39), abs=1e-4)
    assert any("images left out: 2" in note for note in result.notes)


def test_images_may_lie_elsewhere(tmp_path):
    nus_wide(tmp_path / "data")
    (tmp_path / "data" / "Flickr").rename(tmp_path / "pictures")
    with pytest.raises(DataError, match="looked for in"):
        shared_labels.evaluate(Files(), "image-retrieval@nus-wide", tmp_path / "data", **LOOSE)
    shared_labels.evaluate(
        Files(), "image-retrieval@nus-wide", tmp_path / "data", images=tmp_path / "pictures", **LOOSE
    )


def test_bare_name_runs_the_sets_in_folders_of_their_names(tmp_path):
    coco(tmp_path / "coco")
    results = shared_labels.evaluate(Files(), "image-retrieval", tmp_path, **LOOSE).results
    assert [result.benchmark for result in results] == ["image-retrieval@coco"]
    assert results[0].notes[-1].endswith("nus-wide")
    nus_wide(tmp_path / "nus_wide")
    assert len(shared_labels.evaluate(Files(), "image-retrieval", tmp_path, **LOOSE).results) == 2


def edit(name, change):
    def damage(folder):
        path = folder / name
        path.write_text(change(path.read_text()))

    return damage


LAKE = "Groundtruth/TrainTestLabels/Labels_lake_Test.txt"
JSON = "annotations/instances_val2017.json"


@pytest.mark.parametrize(
    "build, damage, words",
    [
        (nus_wide, edit(LAKE, lambda text: "2" + text[1:]), "Labels_lake_Test.txt:1: '2' is neither 0 nor 1"),
        (nus_wide, edit(LAKE, lambda text: text[:-2]), "has 7 lines but"),
        (nus_wide, lambda folder: (folder / LAKE.replace("Test.", "Train.")).unlink(), "has no Labels_lake_Train.txt"),
        (nus_wide, lambda folder: (folder / "Groundtruth").rename(folder / "g"), "TrainTestLabels/Labels_*_Test.txt"),
        (
            nus_wide,
            lambda folder: (folder / "ImageList/TrainImagelist.txt").unlink(),
            "the split train; it has those of",
        ),
        (nus_wide, lambda folder: (folder / "ImageList").rename(folder / "l"), "has no ImageList/TestImagelist.txt or"),
        (nus_wide, edit("ImageList/TestImagelist.txt", lambda text: "..\\" + text), ":1: the image '../actor0"),
        (coco, edit(JSON, lambda text: text[:-9]), "instances_val2017.json:1: not valid JSON"),
        (coco, edit(JSON, lambda text: text.replace('"images"', '"pictures"')), "lack 'images'"),
        (coco, edit(JSON, lambda text: text.replace('"image_id": 100,', '"image_id": 99,', 1)), "names image 99"),
        (coco, lambda folder: (folder / "val2017" / "000000000107.jpg").unlink(), "json: image 107: the image "),
        (coco, lambda folder: (folder / JSON).unlink(), "annotations/instances_val2017.json or test.txt with"),
        (
            lists,
            edit("test.txt", lambda text: text.replace(" 0 ", " 2 ", 1)),
            "test.txt:1: the line is not an image and",
        ),
        (lists, edit("database.txt", lambda text: text + "images/a.jpg 0 1\n"), "database.txt:41: the line is not"),
        (lists, edit("test.txt", lambda text: text.replace("\n", " 1\n")), "22 labels a line but"),
        (lists, edit("test.txt", lambda text: "image.jpg\n" + text), "test.txt:1: the line is not an image and 21"),
        (lists, edit("test.txt", lambda text: "image.jpg\n"), "test.txt:1: the line is not an image and some"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path, build, damage, words):
    build(tmp_path)
    damage(tmp_path)
    name = "nus-wide" if build is nus_wide else "coco"
    with pytest.raises(DataError) as caught:
        shared_labels.evaluate(Files(), f"image-retrieval@{name}", tmp_path, **LOOSE)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_another_count_is_an_error(tmp_path):
    nus_wide(tmp_path / "n")
    coco(tmp_path / "c")
    for name, folder, words in (("nus-wide", "n", "8 instead of the published 107,859"), ("coco", "c", "20 instead")):
        with pytest.raises(DataError, match=f"{words}.*--allow-counts"):
            shared_labels.evaluate(Files(), f"image-retrieval@{name}", tmp_path / folder)


@pytest.mark.parametrize(
    "name, options, words",
    [
        ("image-retrieval@nus", {}, "did you mean 'nus-wide'"),
        ("image-retrieval@coco", {"database": "test"}, "'self'"),
        ("image-retrieval@coco", {"querys": 3}, "did you mean 'queries'"),
        ("image-retrieval@coco", {"concepts": 3}, "leave out concepts"),
    ],
)
def test_wrong_names_and_options(tmp_path, name, options, words):
    lists(tmp_path)
    with pytest.raises(ConfigError, match=words):
        shared_labels.evaluate(Files(), name, tmp_path, **options)


def test_names_in_lists_stay_below_the_folder(tmp_path):
    draw(tmp_path / "outside.jpg", 0)
    draw(tmp_path / "data" / "inside.jpg", 0)
    write(tmp_path / "data" / "test.txt", ["inside.jpg 0 1", "../outside.jpg 0 1"])
    with pytest.raises(DataError, match="test.txt:2: the image .*data/outside.jpg is missing"):
        read_list(tmp_path / "data" / "test.txt", tmp_path / "data", Reading(), Options())
