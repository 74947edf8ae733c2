"""What is made of the vectors of a side: any number and width of them, the kind that fits, the record, its file."""

import numpy as np
import pytest

from ernie_vil2.errors import CheckpointError, ConfigError, DataError
from ernie_vil2.search.neighbours import build as module
from ernie_vil2.search.neighbours import choice
from ernie_vil2.search.neighbours.build import build_neighbours, outdated, update_neighbours
from ernie_vil2.search.neighbours.kinds import KINDS
from ernie_vil2.search.neighbours.neighbours import Neighbours
from ernie_vil2.search.neighbours.opening import open_neighbours, read_index
from ernie_vil2.search.neighbours.ranking import recall
from ernie_vil2.search.neighbours.tuning import QUESTIONS, WANTED
from ernie_vil2.search.store.writer import open_writer
from tests.search.neighbours.sides import Side, grouped, right
from tests.search.store.indexes import WIDTH, manifest, pictures, unit

ODD = {
    "one row": grouped(1, 8),
    "two values": grouped(300, 2),
    "one value": np.ones((50, 1)),
    "an odd width": grouped(200, 13),
    "a wide one": grouped(40, 2048),
    "equal rows": np.repeat(grouped(1, 16), 500, axis=0),
    "few distinct rows": grouped(400, 16)[np.arange(400) % 7],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ODD)
def test_every_kind_takes_every_number_and_width_of_vectors(tmp_path, name, kind, capfd):
    side = Side(ODD[name])
    record = build_neighbours(side, tmp_path, kind)
    index = read_index(tmp_path, record) if record["files"] else None
    queries = side.vectors(np.array([0]))
    scores, ids = Neighbours(side, index, record["options"], record["bound"]).search(queries, 3)
    np.testing.assert_allclose(scores, right(side, queries, 3)[0], atol=2e-3)
    assert (ids >= 0).sum() == min(3, len(side)) and capfd.readouterr() == ("", "")


def test_a_side_without_rows_has_no_file(tmp_path):
    record = build_neighbours(Side(np.empty((0, 4))), tmp_path, "pq")
    assert record["files"] == {} and record["rows"] == 0 and not any(tmp_path.iterdir())


def test_the_same_rows_have_the_same_record(tmp_path):
    side, records = Side(grouped(1500, 24)), []
    for kind in ("sq8", "ivf", "pq"):
        for turn in range(2):
            place = tmp_path / f"{kind}{turn}"
            place.mkdir()
            records.append(build_neighbours(side, place, kind))
        assert records[-1] == records[-2]


def test_the_kind_is_chosen_by_rows_and_memory_and_says_why(monkeypatch):
    assert choice.chosen("auto", 1000, 64)[0] == "flat"
    assert choice.chosen("auto", choice.FLAT_ROWS, 768, 1 << 40)[0] == "flat"
    kind, reason = choice.chosen("auto", choice.FLAT_ROWS + 1, 768)
    assert kind == "pq" and f"{choice.FLAT_ROWS:,}" in reason and "\n" not in reason
    kind, reason = choice.chosen("auto", 40_000, 768, memory=10 << 20)
    assert kind == "pq" and "59 MiB" in reason and "10" in reason
    assert choice.chosen("hnsw", 5, 768, memory=1) == ("hnsw", "hnsw, as it was asked for")
    with pytest.raises(ConfigError, match="did you mean hnsw"):
        choice.chosen("hnws", 5, 768)


def test_where_codes_find_too_little_lists_are_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "FLAT_ROWS", 100)
    monkeypatch.setattr("ernie_vil2.search.neighbours.tuning.CANDIDATES", (10,))
    monkeypatch.setattr(module, "CANDIDATES", (10,))
    side = Side(grouped(1500, 40, groups=1500))
    places = [tmp_path / "much", tmp_path / "little"]
    for place in places:
        place.mkdir()
    much = build_neighbours(side, places[0], memory=1 << 30)
    assert much["kind"] == "ivf" and "pq finds 0." in much["reason"] and much["recall"]["near"] >= WANTED
    assert build_neighbours(side, places[1], memory=1000)["kind"] == "pq"


def test_rows_are_put_into_a_file_without_training(tmp_path):
    vectors = grouped(3000, 32)
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    before = build_neighbours(Side(vectors[:2000]), old, "pq")
    side = Side(vectors, removed=[3, 2500])
    after = update_neighbours(side, new, before, old)
    assert (after["rows"], after["bound"], after["trained"]) == (2999, 3000, 2000)
    search = Neighbours(side, read_index(new, after), after["options"], after["bound"])
    queries = grouped(50, 32, seed=5)
    assert search.indexes[-1].ntotal == 2999 and len(search.indexes) == 1
    assert recall(search.search(queries, 10)[1], right(side, queries, 10)[1]) >= 0.95
    assert after["recall"]["against"] == 2998 and min(after["recall"]["near"], after["recall"]["far"]) >= 0.95


def test_what_neighbours_want_depends_on_what_came_and_went(monkeypatch):
    monkeypatch.setattr(module, "MOST_NEWER", 100)
    vectors = grouped(2500, 4)
    record = {"kind": "pq", "reason": "", "bound": 1000, "rows": 1000, "trained": 1000}
    assert outdated(Side(vectors[:1000]), None) == "build"
    assert outdated(Side(vectors[:1000]), record) == ""
    assert outdated(Side(vectors[:1100]), record) == ""
    assert outdated(Side(vectors[:1101]), record) == "update"
    assert outdated(Side(vectors[:2001]), record) == "build"
    assert outdated(Side(vectors[:1000], removed=range(501)), record) == "build"
    flat = {**record, "kind": "flat", "reason": "flat, for 9 rows"}
    assert outdated(Side(vectors), flat) == ""
    monkeypatch.setattr(choice, "FLAT_ROWS", 2000)
    assert outdated(Side(vectors), flat) == "build"
    assert outdated(Side(vectors), {**flat, "reason": choice.chosen("flat", 9, 4)[1]}) == ""


def test_an_index_keeps_its_neighbours_and_refuses_damaged_ones(tmp_path):
    with open_writer(tmp_path / "索引", manifest()) as writer:
        writer.add(pictures(range(600)), unit(range(600)))
        writer.commit()
        plain = open_neighbours(writer.snapshot, "image").search(unit([5, 9]), 4)
        writer.set_neighbours("image", lambda part, place: build_neighbours(part, place, "ivf"))
        snapshot = writer.commit()
    kept = open_neighbours(snapshot, "image")
    assert kept.indexes[0].ntotal == 600 and kept.part.width == WIDTH
    scores, ids = kept.search(unit([5, 9]), 4)
    np.testing.assert_array_equal(ids, plain[1])
    assert ids[:, 0].tolist() == [5, 9]
    assert (open_neighbours(snapshot, "text").search(unit([5]), 2)[1] == -1).all()
    (path,) = snapshot.neighbours_folder("image").iterdir()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="is damaged.*build the index again"):
        open_neighbours(snapshot, "image")
    path.unlink()
    with pytest.raises(DataError, match="No such file"):
        open_neighbours(snapshot, "image")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "flat"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, kind):
    def make(part, place):
        (place / module.FILE).symlink_to("/dev/full")
        return build_neighbours(part, place, kind)

    with open_writer(tmp_path / "index", manifest()) as writer:
        writer.add(pictures(range(60)), unit(range(60)))
        writer.commit()
        with pytest.raises(CheckpointError, match="No space left on device; free some space.*is kept"):
            writer.set_neighbours("image", make)
        assert not any((tmp_path / "index/neighbours").iterdir())
        assert len(writer.commit().images) == 60


def test_questions_of_the_other_side_are_answered_too(tmp_path):
    side, told = Side(grouped(1500, 32)), []
    others = grouped(90, 32, seed=8, groups=3)
    record = build_neighbours(side, tmp_path, "pq", progress=told.append, others=others)
    assert record["recall"]["queries"] == QUESTIONS + 90 and record["recall"]["far"] >= WANTED - 0.02
    assert "1,500 of 1,500 rows are in the pq index" in told
