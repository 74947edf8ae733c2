"""Folding and compacting change how rows lie on the disk and nothing of what an index shows; merging loses none."""

import numpy as np
import pytest

from ernie_vil2.errors import DataError
from ernie_vil2.search.store.check import check
from ernie_vil2.search.store.compact import compact
from ernie_vil2.search.store.folding import FAN, SMALL, first_to_fold, tier
from ernie_vil2.search.store.merge import merge
from ernie_vil2.search.store.snapshot import open_snapshot
from ernie_vil2.search.store.writer import open_writer
from tests.search.store.indexes import content, manifest, pictures, sentences, unit


def grown(sizes):
    """(rows of the segments after commits of these sizes, rows that were written in all)."""
    segments, written = [], 0
    for size in sizes:
        segments.append(size)
        first = first_to_fold(segments)
        written += size
        if first < len(segments) - 1:
            segments[first:] = [sum(segments[first:])]
            written += segments[-1]
    return segments, written


@pytest.mark.parametrize(
    "sizes",
    [
        [1] * 20_000,
        [64] * 5000,
        [65_536] * 300,
        np.random.default_rng(0).integers(1, 3000, 2000).tolist(),
        [1, 9000] * 500,
        [SMALL * FAN**level for level in range(5)] * 30,
    ],
    ids=["one", "batches", "large", "any", "in turns", "tiers"],
)
def test_segments_stay_few_and_rows_are_written_a_few_times(sizes):
    segments, written = grown(sizes)
    assert sum(segments) == sum(sizes)
    tiers = tier(sum(sizes)) + 1
    assert len(segments) <= (FAN - 1) * tiers
    assert sorted(map(tier, segments), reverse=True) == list(map(tier, segments))
    smallest = min(sizes)
    assert written <= sum(sizes) * (tiers + SMALL / FAN / smallest + 1)


def changed_index(folder, batches=12):
    """An index with changes and removals that cross segments, folded once."""
    with open_writer(folder, manifest()) as writer:
        writer.root("图", "/图", "folder")
        for batch in range(batches):
            numbers = range(4 * batch, 4 * batch + 4)
            writer.add_texts(sentences([batch]), unit([batch], seed=1))
            writer.add(pictures(numbers, texts=lambda number, batch=batch: (batch,)), unit(numbers))
            if batch > 2:
                known = [5 if batch < 7 else 6, 4 * batch - 9, 4 * batch, numbers[1]]
                writer.change(
                    known,
                    pictures(
                        [number + 1000 * batch for number in known],
                        texts=lambda number, batch=batch: (batch - 1, batch),
                    ),
                )
                writer.remove([4 * batch - 2])
            writer.commit()
    return folder


def test_folding_changes_nothing_that_is_shown(tmp_path, monkeypatch):
    folded = changed_index(tmp_path / "folded")
    monkeypatch.setattr("ernie_vil2.search.store.writer.first_to_fold", lambda rows: len(rows) - 1)
    plain = changed_index(tmp_path / "plain")
    few, many = (len(open_snapshot(folder).manifest.segments) for folder in (folded, plain))
    assert (few, many) == (5, 12)
    assert content(folded) == content(plain) and check(folded) == check(plain) == []


def test_compacting_leaves_one_segment_of_what_is_alive_and_changes_nothing_that_is_shown(tmp_path):
    folder = changed_index(tmp_path / "index")
    with open_writer(folder) as writer:
        writer.remove(range(12))
        writer.commit()
        before = content(folder)
        made = compact(writer)
        assert compact(writer).manifest == made.manifest  # there is nothing left to do
        next_ids = made.manifest.next_ids
    assert content(folder) == before and check(folder) == []
    snapshot = open_snapshot(folder)
    (segment,) = snapshot.manifest.segments
    assert segment.rows == {"images": len(before["image"]), "texts": len(before["text"])}
    assert snapshot.manifest.removed is None and next_ids == {"image": 48, "text": 12}
    assert snapshot.images.alive(np.array([0, 47, 5])).tolist() == [False, True, False]


def test_an_index_from_which_all_was_removed_compacts_to_nothing_and_grows_again(tmp_path):
    folder = changed_index(tmp_path / "index")
    with open_writer(folder) as writer:
        writer.remove(range(48))
        assert compact(writer).manifest.segments == []
        assert writer.add(pictures([1]), unit([1])).tolist() == [48]
        writer.commit()
    assert len(open_snapshot(folder).images) == 1 and check(folder) == []


@pytest.fixture
def two(tmp_path):
    """Two indexes with a root, some pictures and a text in common."""
    for name, numbers, place in (("one", range(5), "/图"), ("other", range(3, 9), "/另")):
        with open_writer(tmp_path / name, manifest()) as writer:
            if name == "other":
                assert writer.root("elsewhere", place, "folder") == 0
            root = writer.root("图", "/图", "folder")
            writer.add_texts(sentences(numbers), unit(numbers))
            rows = pictures(numbers, texts=lambda number, first=numbers[0]: (number - first,))
            writer.add([row.__class__(**{**vars(row), "root": root}) for row in rows], unit(numbers))
            writer.set_threshold(name, {"threshold": 0.5})
            writer.remove([numbers[-1] - numbers[0]])
            writer.commit()
    return tmp_path / "one", tmp_path / "other"


def test_a_merged_index_has_every_picture_once(two):
    one, other = two
    with open_writer(one) as writer:
        assert merge(writer, [open_snapshot(other)]) == {"added": 4, "there": 1}
        assert merge(writer, [open_snapshot(other)]) == {"added": 0, "there": 5}
    snapshot = open_snapshot(one)
    ids = snapshot.images.live_ids()
    rows = snapshot.images.take(ids).to_pylist()
    assert [row["key"] for row in rows] == [f"图/{number}.jpg" for number in (0, 1, 2, 3, 4, 5, 6, 7)]
    assert {row["root"] for row in rows} == {0} and len(snapshot.manifest.roots) == 2
    texts = snapshot.texts
    assert sorted(texts.take(texts.live_ids()).column("text").to_pylist()) == [f"第{n}张图" for n in range(8)]
    for row, number in zip(rows, range(8), strict=True):
        np.testing.assert_allclose(snapshot.images.vectors([row["id"]]), unit([number]), atol=1e-3)
        np.testing.assert_allclose(texts.vectors(row["texts"]), unit([number]), atol=1e-3)
        assert texts.take(row["texts"]).column("text").to_pylist() == [f"第{number}张图"]
    assert set(snapshot.manifest.thresholds) == {"one", "other"} and check(one) == []


def test_a_root_that_comes_with_another_index_keeps_what_is_passed_over(two):
    one, other = two
    with open_writer(other) as writer:
        kept = {number: {**root, "left_out": ["图/5.jpg"]} for number, root in writer.manifest.roots.items()}
        writer.manifest = writer.manifest.replaced(roots=kept)
        writer.commit()
    with open_writer(one) as writer:
        merge(writer, [open_snapshot(other)])
    roots = {root["spec"]: root.get("left_out") for root in open_snapshot(one).manifest.roots.values()}
    assert roots == {"图": None, "elsewhere": ["图/5.jpg"]}  # the first has pictures here already


def test_an_index_of_another_model_and_the_index_itself_are_refused_before_anything_is_written(two, tmp_path):
    one, other = two
    for place, fields in (("width", {"width": 8}), ("model", {"model": {"digest": "d2", "path": "另"}})):
        with open_writer(tmp_path / place, manifest(**fields)):
            pass
        before = open_snapshot(one).manifest
        with open_writer(one) as writer, pytest.raises(DataError, match="which is another; build"):
            merge(writer, [open_snapshot(other), open_snapshot(tmp_path / place)])
        assert open_snapshot(one).manifest == before
    with open_writer(one) as writer, pytest.raises(DataError, match="is the index that is written to"):
        merge(writer, [open_snapshot(one)])
