"""What a writer commits is what a snapshot shows, row by row; what it does not commit is nowhere."""

import numpy as np
import pytest

from ernie_vil2.errors import DataError
from ernie_vil2.search.store.columns import TextRow, row_of
from ernie_vil2.search.store.snapshot import open_snapshot
from ernie_vil2.search.store.writer import open_writer
from tests.search.store.indexes import content, manifest, pictures, sentences, unit


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "索引"


def test_rows_and_vectors_come_back_as_they_were_given(folder):
    with open_writer(folder, manifest()) as writer:
        texts = writer.add_texts(sentences(range(3)), unit(range(3), seed=1))
        ids = writer.add(pictures(range(5), texts=lambda n: (n % 3,), tags=("a", "乙"), date=7), unit(range(5)))
        writer.commit()
    assert texts.tolist() == [0, 1, 2] and ids.tolist() == [0, 1, 2, 3, 4]
    snapshot = open_snapshot(folder)
    order = [3, 0, 4, 3]
    rows = [row_of("image", record) for record in snapshot.part("image").take(order).to_pylist()]
    wanted = pictures(order, texts=lambda n: (n % 3,), tags=("a", "乙"), date=7)
    assert rows == wanted
    np.testing.assert_allclose(snapshot.part("image").vectors(order), unit(order), atol=1e-3)
    assert row_of("text", snapshot.part("text").take([2]).to_pylist()[0]) == TextRow("caption", "第2张图")
    assert snapshot.part("image").take([1], ["key", "width"]).to_pylist() == [{"key": "图/1.jpg", "width": 2}]


def test_what_is_not_committed_is_nowhere(folder):
    with open_writer(folder, manifest()) as writer:
        writer.add(pictures(range(3)), unit(range(3)))
        writer.commit()
        before = content(folder)
        writer.add(pictures(range(3, 9)), unit(range(3, 9)))
        writer.remove([0])
        writer.change([1], pictures([77]))
        writer.set_threshold("same", {"score": 0.9})
    assert content(folder) == before and open_snapshot(folder).manifest.thresholds == {}
    assert len(list((folder / "segments").iterdir())) == 1


def test_the_last_change_of_a_picture_holds_and_a_removed_one_is_gone(folder):
    with open_writer(folder, manifest()) as writer:
        writer.add(pictures(range(6)), unit(range(6)))
        writer.change([2], pictures([20]))
        writer.commit()
        writer.change([2, 3, 3], pictures([21, 30, 31]))
        writer.remove([4])
        writer.commit()
        writer.change([4], pictures([40]))
        writer.commit()
    part = open_snapshot(folder).part("image")
    assert part.live_ids().tolist() == [0, 1, 2, 3, 5] and len(part) == 5 and part.bound == 6
    assert part.take([2, 3, 5], ["key"]).column(0).to_pylist() == ["图/21.jpg", "图/31.jpg", "图/5.jpg"]
    np.testing.assert_allclose(part.vectors([2, 3]), unit([2, 3]), atol=1e-3)
    assert sorted(part.ids[part.live].tolist()) == [0, 1, 2, 3, 5] and len(part.table) == len(part.ids)
    assert [ids.tolist() for ids, _ in part.blocks(4)] == [[0, 1, 2, 3], [5]]
    with pytest.raises(DataError, match="no picture 4"):
        part.take([0, 4])


def test_a_text_is_alive_while_a_living_picture_has_it(folder):
    with open_writer(folder, manifest()) as writer:
        writer.add_texts(sentences(range(4)), unit(range(4)))
        writer.add(pictures(range(3), texts=lambda n: (n, 1)), unit(range(3)))
        assert writer.commit().part("text").live_ids().tolist() == [0, 1, 2]
        writer.remove([0])
        writer.change([2], pictures([2], texts=lambda n: (3,)))
        assert writer.commit().part("text").live_ids().tolist() == [1, 3]
        assert writer.text_id("caption", "第0张图") == 0 and writer.text_id("tag", "第0张图") is None
        writer.add_texts([TextRow("tag", "新")], unit([9]))
        assert writer.text_id("tag", "新") == 4


def test_ids_are_never_used_twice(folder):
    with open_writer(folder, manifest()) as writer:
        writer.add(pictures(range(3)), unit(range(3)))
        writer.remove([2])
        writer.commit()
    with open_writer(folder) as writer:
        assert writer.add(pictures([9]), unit([9])).tolist() == [3]


def test_a_snapshot_shows_what_it_showed_when_it_was_opened(folder):
    with open_writer(folder, manifest()) as writer:
        writer.add(pictures(range(30)), unit(range(30)))
        old = writer.commit().part("image")
        for number in range(30, 60):
            writer.add(pictures([number]), unit([number]))
            writer.remove([number - 30])
            writer.commit()
        assert len(writer.snapshot.manifest.segments) < 16
    assert old.live_ids().tolist() == list(range(30)) and len(old.take(range(30))) == 30
    np.testing.assert_allclose(old.vectors(range(30)), unit(range(30)), atol=1e-3)


@pytest.mark.parametrize("wrong", [unit([1]) * 2, unit([1]) * np.nan, unit([1], 8), unit([1, 2])])
def test_vectors_that_no_model_of_the_index_gives_are_refused(folder, wrong):
    with open_writer(folder, manifest()) as writer, pytest.raises(DataError):
        writer.add(pictures([1]), wrong)


def test_the_same_place_is_one_root(folder):
    with open_writer(folder, manifest()) as writer:
        assert [writer.root("a", "/x/a", "folder"), writer.root("b", "/x/b", "folder")] == [0, 1]
        assert writer.root("./a", "/x/a", "folder") == 0 and writer.root("s", "", "lines") == 2
        writer.commit()
    with open_writer(folder) as writer:
        assert writer.root("s", "", "lines") == 2
