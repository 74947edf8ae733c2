"""Searches over HTTP: what `Index.search` finds, page by page, in one language or the other."""

import numpy as np
import pytest

import ernie_vil2
from tests.search.rows import COUNT, GONE
from tests.serving.conftest import WIDTH, vectors_of
from tests.serving.running import running

LIVING = [number for number in range(COUNT) if number not in GONE]


@pytest.fixture(scope="module")
def folder(still):
    return still.services.settings.folder


@pytest.fixture(scope="module")
def index(folder):
    return ernie_vil2.open_index(folder / "photos")


def ids(reply):
    assert reply.status == 200, reply.body
    return [hit["id"] for hit in reply.json["hits"]]


def scores(reply):
    return [hit["score"] for hit in reply.json["hits"]]


def test_texts_pictures_and_vectors_find_what_the_index_finds(still, index):
    vector = vectors_of(1, 77)[0]
    asked = [{"text": "一只猫"}, {"text": "海", "weight": 0.5}, {"id": 7}, {"vector": vector.tolist()}]
    found = still.search("photos", parts=asked, minus=[{"text": "狗", "weight": 0.3}], k=20)
    known = [index.vectors([7])[0], vector]
    wanted = index.search(["一只猫", ("海", 0.5)], vector=known, minus={"text": [("狗", 0.3)]}, k=20)
    assert ids(found) == [hit.id for hit in wanted] and found.json["total"] == len(LIVING)
    np.testing.assert_allclose(scores(found), [hit.score for hit in wanted], atol=1e-5)


def test_a_hit_says_all_that_is_known(still, index, folder):
    path = folder.parent / "pictures/2022/20.jpg"
    path.parent.mkdir()
    path.write_bytes(b"x")
    hit = next(one for one in still.search("photos", parts=[{"text": "海"}], k=60).json["hits"] if one["id"] == 20)
    assert hit.pop("score") == pytest.approx(
        next(one.score for one in index.search("海", k=60) if one.id == 20), abs=1e-5
    )
    assert hit == {
        "id": 20,
        "key": "2022/20.jpg",
        "name": "20.jpg",
        "folder": "2022",
        "path": str(path),
        "missing": False,
        "width": 120,
        "height": 100,
        "size": 20000,
        "date": "2020-09-23T12:26:40",
        "time": 0.5,
        "caption": "第 20 张",
        "tags": ["猫"],
        "source": "photos",
        "video": True,
        "thumbnail": "/api/indexes/photos/pictures/20/thumbnail",
        "original": "/api/indexes/photos/pictures/20/original",
    }


def test_pages_are_slices_of_one_ranking(still, index):
    wanted = [hit.id for hit in index.search("海", k=60)]
    pages = [ids(still.search("photos", parts=[{"text": "海"}], k=13, page=page)) for page in range(1, 7)]
    assert sum(pages, []) == wanted and pages[-1] == []


def test_filters_and_thresholds(still, index):
    found = still.search("photos", parts=[{"text": "海"}], filter="folder:2021 tag:猫", k=60)
    assert set(ids(found)) == {number for number in LIVING if number % 10 == 5} and found.json["total"] == 5
    found = still.search("photos", parts=[{"text": "海"}], threshold="fits", k=60)
    assert min(scores(found)) >= 0.2 and found.json["total"] == len(found.json["hits"])
    assert ids(found) == [hit.id for hit in index.search("海", threshold=0.2, k=60)]
    found = still.search("photos", parts=[{"id": 7}], threshold="alike", k=60)
    assert min(scores(found)) >= 0.1 and ids(found)[0] == 7


def test_captions_are_found_with_their_pictures(still, index):
    hit = still.search("photos", parts=[{"text": "海"}], of="tags").json["hits"][0]
    cats = [number for number in LIVING if number % 5 == 0]
    assert (hit["text"], hit["kind"], hit["images"], hit["image_count"]) == ("猫", "tag", cats, len(cats))
    found = still.search("photos", parts=[{"text": "海"}], of="captions", k=5)
    assert ids(found) == [hit.id for hit in index.search("海", of="captions", k=5)]


def test_a_picture_of_another_index_of_the_same_model(still, folder):
    other = ernie_vil2.open_index(folder / "again").vectors([9])[0]
    found = still.search("photos", parts=[{"id": 9, "index": "again"}])
    assert ids(found) == ids(still.search("photos", parts=[{"vector": other.tolist()}]))
    assert still.search("photos", parts=[{"id": 9, "index": "other"}]).error[0] == "other_model"
    assert still.search("vectors", parts=[{"id": 9, "index": "photos"}]).error[0] == "other_model"
    assert ids(still.search("vectors", parts=[{"id": 9, "index": "vectors"}]))[0] == 9


def test_without_a_question_the_newest_come_first(still):
    dated = [number for number in LIVING if number < COUNT - 10]
    wanted = sorted(dated, key=lambda number: (-(number // 2), -number))
    wanted += sorted((number for number in LIVING if number >= COUNT - 10), reverse=True)
    pages = [still.search("photos", k=25, page=page) for page in (1, 2, 3)]
    assert sum(map(ids, pages), []) == wanted
    first = pages[0].json
    assert first["total"] == len(LIVING) and first["background"] is None and set(scores(pages[0])) == {None}
    found = still.search("photos", filter="folder:2022")
    assert ids(found) == [number for number in wanted if not number % 2][:40]
    assert found.json["total"] == len([number for number in LIVING if not number % 2])


def test_the_background_tells_what_a_score_is_worth(still, index):
    background = still.search("photos", parts=[{"text": "海"}]).json["background"]
    every = sorted(hit.score for hit in index.search("海", k=60))
    assert len(background) == 33 and background == sorted(background)
    assert background[0] == pytest.approx(every[0], abs=1e-3) and background[-1] == pytest.approx(every[-1], abs=1e-3)
    assert background[16] == pytest.approx(np.median(every), abs=1e-3)


def test_nothing_of_the_disk_is_told_to_others(folder):
    with running(folder, public=True) as server:
        found = server.search("photos", parts=[{"text": "海"}], k=60)
        assert {hit["path"] for hit in found.json["hits"]} == {None}
        told = [found, *(server.get(f"/api/{path}") for path in ("indexes", "indexes/photos/facets", "session"))]
        assert not any(str(folder.parent).encode() in reply.body for reply in told)
        for given in (
            f"source:{folder.parent / 'pictures'}",
            f"folder:{folder.parent}",
            f"-folder:a|{folder.parent}",
            "source:nope",
        ):
            reply = server.search("photos", filter=given)
            assert (
                reply.error[0] == "filter"
                and "places on the disk" in reply.error[1]
                and str(folder.parent).encode() not in reply.body
            )
        assert ids(server.search("photos", filter="source:0 folder:2022"))
        for parts in ([], [{"id": 1}]):
            reply = server.search("photos", filter="source:99", parts=parts)
            assert reply.error[0] == "filter" and str(folder.parent).encode() not in reply.body


def test_vectors_have_the_width_of_the_index(still):
    assert still.search("photos", parts=[{"vector": [1.0] * WIDTH}]).status == 200
    code, sentence = still.search("photos", parts=[{"vector": [1.0] * 3}]).error
    assert code == "vector" and f"give {WIDTH} numbers" in sentence
