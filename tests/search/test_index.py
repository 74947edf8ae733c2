"""An index that is searched: hits are those of an exact search over what is alive and let through."""

import threading

import numpy as np
import pytest

import ernie_vil2
from ernie_vil2.errors import CheckpointError, ConfigError, DataError, UserError
from ernie_vil2.search.query.combination import query_of
from ernie_vil2.search.scan.nearest import renew_neighbours
from ernie_vil2.search.store.writer import open_writer
from tests.search.conftest import WIDTH, NamedModel, vector_of
from tests.search.rows import COUNT, GONE, row_of

LIVING = [number for number in range(COUNT) if number not in GONE]


@pytest.fixture
def index(made):
    return ernie_vil2.open_index(made, NamedModel())


def exact(vector, numbers=LIVING):
    """Ids of all rows, best first, and their cosines."""
    kept = np.stack([vector_of(number).astype(np.float16).astype(np.float32) for number in numbers])
    scores = kept @ vector
    order = np.argsort(-scores, kind="stable")
    return [numbers[place] for place in order], scores[order]


def ids(hits):
    return [hit.id for hit in hits]


def test_hits_are_those_of_an_exact_search(index):
    wanted, scores = exact(vector_of("海"))
    hits = index.search("海", k=20)
    assert ids(hits) == wanted[:20] and hits.total == len(index) == len(LIVING)
    np.testing.assert_allclose([hit.score for hit in hits], scores[:20], atol=1e-4)


def test_every_row_finds_itself(index):
    for number in LIVING:
        assert index.search(vector=vector_of(number), k=1)[0].id == number


def test_what_was_removed_has_no_vector_any_more(index, made):
    text = index.search("第 7 张", of="texts", k=1)[0].id
    np.testing.assert_allclose(index.vectors(LIVING), np.stack([vector_of(number) for number in LIVING]), atol=1e-3)
    assert index.vectors([text], of="texts").shape == (1, WIDTH)
    for gone in (*GONE, COUNT):
        with pytest.raises(DataError, match=f"the index has no picture {gone}; it may have been removed"):
            index.vectors([LIVING[0], gone])
    with open_writer(made) as writer:
        writer.remove([7])
        writer.commit()
    assert index.vectors([7]).shape == (1, WIDTH) and index.refresh()
    with pytest.raises(DataError, match="no picture 7"):
        index.vectors([7])


def test_pages_are_slices_of_one_ranking(index):
    wanted = exact(vector_of("海"))[0]
    pages = {page: ids(index.search("海", k=7, page=page)) for page in (9, 3, 1, 2, 4, 5, 6, 7, 8, 10)}
    assert [number for page in sorted(pages) for number in pages[page]] == wanted
    assert pages[9] == wanted[56:] and pages[10] == []


def test_a_filter_leaves_k_hits_where_that_many_are_let_through(index):
    wanted = exact(vector_of("海"), [number for number in LIVING if number % 2])[0]
    hits = index.search("海", k=20, filter="folder:2021")
    assert ids(hits) == wanted[:20] and hits.total == len(wanted)
    assert ids(index.search("海", k=20, filter={"folder": "2021/上海"})) == wanted[:20]
    few = index.search("海", k=20, filter="id:1..8 folder:2021")
    assert sorted(ids(few)) == [1, 3, 7] and few.total == 3
    assert len(index.search("海", filter="folder:nowhere")) == 0


def test_a_threshold_leaves_out_what_is_below(index):
    wanted, scores = exact(vector_of(3))
    least = float(scores[4] + scores[5]) / 2
    hits = index.search(vector=vector_of(3), threshold=least, k=3)
    assert ids(hits) == wanted[:3] and hits.total == 5
    assert ids(index.search(vector=vector_of(3), threshold=least, k=3, page=2)) == wanted[3:5]
    assert ids(index.search(vector=vector_of(3), threshold="same")) == [3]


def test_a_threshold_of_other_pairs_is_refused(index):
    assert index.search(image="3", threshold="alike") and index.search(vector=vector_of(3), threshold="alike")
    for arguments in ({"text": "海"}, {"text": "海", "image": "3"}, {"image": "3", "of": "texts"}):
        with pytest.raises(ConfigError, match="'alike' was calibrated on pairs image-image, and this query compares"):
            index.search(**arguments, threshold="alike")


def test_parts_of_a_query_are_added_up(index):
    vector = 2 * vector_of("海") + vector_of("a.jpg") - 0.5 * vector_of("狗")
    hits = index.search(("海", 2), image="a.jpg", minus={"text": ("狗", 0.5)}, k=5)
    assert ids(hits) == exact(vector / np.linalg.norm(vector))[0][:5]
    assert ids(index.ask(query_of(("海", 2), "a.jpg", minus={"text": ("狗", 0.5)}), k=5)) == ids(hits)


def test_a_hit_says_what_is_known_and_where_it_lies_now(index, photos):
    hit = index.search(vector=vector_of(10), k=1)[0]
    row = row_of(10, 0)
    assert hit.path == photos / "2022" / "10.jpg" and not hit.missing
    assert (hit.key, hit.folder, hit.width, hit.height, hit.size) == (row.key, "2022", 110, 100, 10_000)
    assert (hit.caption, hit.tags, hit.time, hit.source) == ("第 10 张", ("猫",), 0.5, "photos")
    assert hit.date.isoformat() == "2020-09-18T12:26:40"
    hit.path.unlink()
    assert hit.missing and index.search(vector=vector_of(55), k=1)[0].missing


def test_a_text_finds_texts_that_living_pictures_have(index):
    hits = index.search("第 7 张", of="texts", k=3)
    assert (hits[0].text, hits[0].kind, hits[0].images) == ("第 7 张", "caption", [7])
    assert hits.total == len(LIVING) + 1
    tag = index.search("猫", of="tags")
    assert [hit.text for hit in tag] == ["猫"] and tag[0].images == [n for n in LIVING if n % 5 == 0]
    assert "第 5 张" not in [hit.text for hit in index.search("第 5 张", of="texts", k=100)]
    assert {hit.kind for hit in index.search("猫", of="captions", k=100)} == {"caption"}
    few = index.search("猫", of="texts", filter="id:10..12", k=100)
    assert sorted(hit.text for hit in few) == ["猫", "第 10 张", "第 11 张", "第 12 张"] and few.total == 4


def test_another_page_or_filter_encodes_nothing(made):
    model = NamedModel()
    index = ernie_vil2.open_index(made, model)
    for page in (1, 2, 3):
        index.search("海", page=page)
        index.search("海", page=page, filter="folder:2021")
    assert model.encoded == 1


def test_what_was_written_shows_after_refresh(index, made):
    assert index.refresh() is False
    with open_writer(made) as writer:
        (new,) = writer.add([row_of(70, 0)], vector_of(70)[None])
        writer.remove([1])
        writer.commit()
    assert ids(index.search(vector=vector_of(1), k=1)) == [1] and len(index) == len(LIVING)
    assert index.refresh() is True
    assert index.search(vector=vector_of(70), k=1)[0].id == new and len(index) == len(LIVING)
    assert index.search(vector=vector_of(1), k=1)[0].id != 1


def test_threads_get_the_answers_of_one(index):
    wanted = {number: exact(vector_of(number))[0][:10] for number in LIVING}
    wrong = []

    def work(numbers):
        for number in numbers:
            found = ids(index.search(vector=vector_of(number)))
            if found != wanted[number]:
                wrong.append(number)
            index.search(str(number % 3), filter=f"width>={number % 7}", of="texts" if number % 2 else "images")

    threads = [threading.Thread(target=work, args=(LIVING[first::4],)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_open_index_outlives_the_files_of_its_neighbours(made):
    with open_writer(made) as writer:
        renew_neighbours(writer, "sq8")
    index = ernie_vil2.open_index(made, NamedModel())
    wanted = [hit.id for hit in ernie_vil2.open_index(made, NamedModel()).search("猫", of="texts")]
    with open_writer(made) as writer:
        renew_neighbours(writer, "flat")
    assert [hit.id for hit in index.search("猫", of="texts")] == wanted
    assert index.refresh() and [hit.id for hit in index.search("猫", of="texts")] == wanted


WRONG = {
    "k": ({"text": "海", "k": 100_000}, ConfigError, "at most 10,000 hits are ranked"),
    "a late page": ({"text": "海", "k": 100, "page": 101}, ConfigError, "k is 100 on page 101"),
    "no k": ({"text": "海", "k": 0}, ConfigError, "k is 0, but it must be a whole number of at least 1"),
    "no page": ({"text": "海", "page": True}, ConfigError, "page is True"),
    "nothing": ({}, ConfigError, "nothing is asked for"),
    "no text": ({"text": " \u200b"}, DataError, "the text is empty"),
    "a long text": ({"text": "海" * 10_000}, DataError, "10,000 characters"),
    "a number": ({"text": 3}, DataError, "int is not a text"),
    "of": ({"text": "海", "of": "videos"}, ConfigError, "of is 'videos', but it must be one of images"),
    "several kinds": ({"text": "海", "of": ["images"]}, ConfigError, "of is ['images'], but it must be one of"),
    "a name": ({"text": "海", "threshold": "sam"}, ConfigError, "no threshold 'sam' (did you mean 'same')"),
    "a score": ({"text": "海", "threshold": 2}, ConfigError, "threshold is 2, but a cosine is from -1 to 1"),
    "a filter": ({"text": "海", "filter": "wide"}, ConfigError, "there is no 'wide'"),
    "a width": ({"vector": np.ones(3)}, DataError, "give 16 numbers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_asked_is_told(index, case):
    arguments, kind, told = WRONG[case]
    with pytest.raises(kind) as caught:
        index.search(**arguments)
    assert told in str(caught.value)


def test_a_vector_needs_no_model_and_a_text_the_right_one(made, tmp_path):
    index = ernie_vil2.open_index(made)
    assert index.search(vector=vector_of(3), k=1)[0].id == 3
    with pytest.raises(CheckpointError, match="no such model: is not there; name the model"):
        index.search("海")
    with pytest.raises(CheckpointError, match="vectors have 8 numbers and the index's 16"):
        ernie_vil2.open_index(made, NamedModel(8)).search("海")
    other = tmp_path / "other.pdparams"
    other.write_bytes(b"another model")
    with pytest.raises(CheckpointError, match="is another model than the index was made with"):
        ernie_vil2.open_index(made, other).search("海")
    with open_writer(made) as writer:
        writer.manifest = writer.manifest.replaced(model={"digest": ""})
        writer.commit()
    with pytest.raises(ConfigError, match="does not say which model"):
        ernie_vil2.open_index(made).search("海")


def test_rows_that_do_not_belong_to_their_neighbours_are_refused(made, monkeypatch):
    from ernie_vil2.search.query import view

    real = view.open_neighbours

    class Shifted:
        """Neighbours whose ids are one row off."""

        def __init__(self, snapshot, side):
            self.real, self.ids = real(snapshot, side), snapshot.part(side).live_ids()

        def search(self, queries, k, allowed):
            found = self.real.search(queries, k, allowed)[1]
            found = self.ids[(np.searchsorted(self.ids, found) + 1) % len(self.ids)]
            return np.full(found.shape, 0.5, np.float32), found

    monkeypatch.setattr(view, "open_neighbours", Shifted)
    with pytest.raises(DataError, match="rows and its vectors do not belong together"):
        ernie_vil2.open_index(made)


def test_an_empty_index_finds_nothing(tmp_path):
    from ernie_vil2.search.store.manifest import Manifest

    with open_writer(tmp_path / "index", Manifest(width=WIDTH)):
        pass
    index = ernie_vil2.open_index(tmp_path / "index")
    assert len(index) == 0
    for of in ("images", "texts", "tags"):
        hits = index.search(vector=np.ones(WIDTH), of=of)
        assert (len(hits), hits.total) == (0, 0)


def test_what_is_no_index_is_told(tmp_path):
    with pytest.raises(UserError, match=r"is no folder, so it is no index|has no manifest.json"):
        ernie_vil2.open_index(tmp_path / "nowhere")


def test_vectors_that_are_there_already_need_no_model(made):
    index = ernie_vil2.open_index(made)  # whose model is nowhere
    known = {"海": vector_of("海"), "山": vector_of("山")}
    query = query_of(["海", ("山", 0.5)])
    asked = index.ask(query, k=5, encode=lambda kind, item: known[item])
    total = vector_of("海") + 0.5 * vector_of("山")
    assert ids(asked) == ids(index.search(vector=total, k=5))
