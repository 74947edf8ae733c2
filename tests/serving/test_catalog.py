"""Indexes that come, change, break and go while they are served: requests go on, and see what is there soon."""

import errno
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import numpy as np
import pytest

from ernie_vil2.errors import ConfigError
from ernie_vil2.inference.identity import model_digest
from ernie_vil2.search.store.manifest import MANIFEST
from ernie_vil2.search.store.writer import open_writer
from ernie_vil2.serving.catalog import catalog as catalog_module
from ernie_vil2.serving.catalog.catalog import Catalog
from ernie_vil2.serving.refusals import Refusal
from ernie_vil2.serving.settings import ServerSettings
from tests.search.rows import COUNT, GONE, row_of
from tests.serving.conftest import make_index, vectors_of
from tests.serving.running import running, until


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """The folders are looked at often."""
    monkeypatch.setattr(catalog_module, "LEAST", 0.05)


def add(folder, count, seed, first=0):
    """Commit more pictures to an index."""
    with open_writer(folder) as writer:
        root = writer.root("more", "/nowhere", "folder")
        numbers = range(first, first + count)
        rows = [row_of(number, root) for number in numbers]
        ids = writer.add(rows, vectors_of(count, seed))
        writer.commit()
    return [int(one) for one in ids]


def names(server):
    return {one["name"]: one for one in server.get("/api/indexes").json["indexes"]}


def code(reply):
    return reply.json["error"]["code"] if reply.status >= 400 else reply.status


def test_an_index_is_told_with_its_model_and_thresholds(still):
    found = names(still)
    assert list(found) == ["again", "other", "photos", "vectors"]
    photos = found["photos"]
    assert photos == still.get("/api/indexes/photos").json
    assert (photos["state"], photos["pictures"], photos["texts"]) == ("ready", COUNT - len(GONE), COUNT - len(GONE) + 1)
    digest = model_digest(still.services.settings.folder.parent / "model")
    assert photos["model"] == {"name": "model", "digest": digest, "system": "ernie_vil2"}
    assert photos["thresholds"][1] == {
        "name": "fits",
        "threshold": 0.2,
        "of": "text-image",
        "precision": 90.0,
        "recall": 80.0,
    }
    assert [one for one in found if found[one]["can_encode"]] == ["again", "other", "photos"]
    assert [one for one in found if found[one]["has_texts"]] == ["photos"]


def test_what_pictures_can_be_narrowed_by(still):
    found = still.get("/api/indexes/photos/facets").json
    living = [number for number in range(COUNT) if number not in GONE]
    odd = sum(number % 2 for number in living)
    assert found["tags"] == [{"value": "猫", "count": sum(not number % 5 for number in living)}]
    assert sorted(map(tuple, (one.values() for one in found["folders"]))) == [
        ("2021/上海", odd),
        ("2022", len(living) - odd),
    ]
    assert found["sources"] == [{"value": "0", "name": "pictures", "count": len(living)}]
    assert found["dates"] == {"first": "2020-09-13", "last": "2020-10-07"}
    assert (found["videos"], found["pictures"]) == (True, True)
    assert (found["widest"], found["highest"]) == (100 + COUNT - 1, 100)
    assert still.search("photos", filter="source:0 tag:猫").json["total"] == found["tags"][0]["count"]


def test_no_request_is_lost_while_an_index_is_written(server, indexes):
    """Eight threads ask while a writer commits: no error, pages of one state, and at last the newest rows."""
    wrong, done, asked = [], threading.Event(), []

    def ask(seed):
        vector = vectors_of(1, 1000 + seed)[0].tolist()
        while not done.is_set():
            reply = server.search("photos", parts=[{"vector": vector}], k=200)
            hits = reply.json.get("hits", [])
            asked.append(reply.json.get("sequence"))
            if reply.status != 200 or len(hits) != reply.json["total"]:
                wrong.append(reply.body[:300])

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    added = [number for turn in range(8) for number in add(indexes / "photos", 3, turn, 100 + 3 * turn)]
    until(lambda: server.search("photos").json["total"] == COUNT - len(GONE) + len(added))
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong and len(set(asked)) > 1
    vector = vectors_of(3, 7)[2].tolist()
    assert server.search("photos", parts=[{"vector": vector}], k=1).json["hits"][0]["id"] == added[-1]


def test_indexes_come_and_go(server, indexes, tmp_path):
    make_index(indexes / "新", tmp_path / "pictures", None, captions=False)
    until(lambda: "新" in names(server))
    until(lambda: code(server.search("新")) == 200)
    shutil.move(indexes / "photos", tmp_path / "away")
    until(lambda: code(server.search("photos")) == "index_gone")
    assert server.search("photos", "zh").error == ("index_gone", "索引“photos”已不存在；请将其放回原处，或选择其他索引")
    assert server.search("photos").status == 503 and names(server)["photos"]["state"] == "broken"
    assert code(server.search("again")) == 200
    shutil.move(tmp_path / "away", indexes / "photos")
    assert code(server.search("photos")) == 200
    assert names(server)["photos"]["message"] == ""


def test_whoever_asks_for_an_index_that_is_back_shares_one_look(server, indexes, tmp_path, monkeypatch):
    """Twenty threads ask for what is gone: no more looks than one in `LEAST`, and each is answered once it is back."""
    shutil.move(indexes / "photos", tmp_path / "away")
    until(lambda: code(server.search("photos")) == "index_gone")
    looks, look = [], server.services.catalog.look
    monkeypatch.setattr(server.services.catalog, "look", lambda: (looks.append(time.monotonic()), look()))
    with ThreadPoolExecutor(20) as threads:
        gone = list(threads.map(lambda _: server.search("photos").status, range(200)))
        shutil.move(tmp_path / "away", indexes / "photos")
        back = list(threads.map(lambda _: server.search("photos").status, range(20)))
    assert (set(gone), set(back)) == ({503}, {200})
    assert min(np.diff(looks)) >= catalog_module.LEAST


def test_a_name_is_forgotten_long_after_its_folder_went(server, indexes, monkeypatch):
    shutil.rmtree(indexes / "vectors")
    until(lambda: code(server.search("vectors")) == "index_gone")
    monkeypatch.setattr(catalog_module, "FORGOTTEN", 0.0)
    until(lambda: code(server.search("vectors")) == "no_index")
    assert "vectors" not in names(server)


def test_a_state_that_cannot_be_opened_leaves_the_one_before(server, indexes):
    manifest = indexes / "photos" / MANIFEST
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[: len(whole) // 2])
    until(lambda: names(server)["photos"]["message"])
    assert names(server)["photos"]["state"] == "ready" and code(server.search("photos")) == 200
    told = server.get("/api/indexes/photos", "zh").json["message"]
    assert told == "索引“photos”的最新状态无法打开，目前搜索的是之前的状态；原因见服务器日志"
    manifest.write_bytes(whole)
    until(lambda: not names(server)["photos"]["message"])


def test_an_index_that_is_broken_from_the_beginning_is_opened_once_it_is_mended(indexes):
    vectors = next((indexes / "photos/segments").glob("*/images.f16"))
    whole = vectors.read_bytes()
    vectors.write_bytes(whole[:-1])
    with running(indexes) as server:
        assert code(server.search("photos")) == "index_broken" and code(server.search("again")) == 200
        assert str(indexes) not in server.search("photos").body.decode()
        vectors.write_bytes(whole)  # its manifest stays as it is
        assert code(server.search("photos")) == 200


def test_another_model_is_taken_up(server, indexes, tmp_path):
    """An index that is built anew with another model, though it has the same sequence and as many rows."""
    asked = {"parts": [{"text": "一只猫"}], "k": 60}
    before = server.search("photos", **asked).json
    shutil.rmtree(indexes / "photos")
    make_index(indexes / "photos", tmp_path / "pictures", tmp_path / "model2")
    digest = model_digest(tmp_path / "model2")
    until(lambda: names(server)["photos"]["model"]["digest"] == digest)
    until(lambda: names(server)["photos"]["sequence"] == before["sequence"])
    after = server.search("photos", **asked).json
    assert [hit["id"] for hit in after["hits"]] != [hit["id"] for hit in before["hits"]]
    vector = server.ask("POST", "/api/indexes/photos/embeddings", {"items": asked["parts"]}).json["vectors"][0]
    other = server.ask("POST", "/api/indexes/other/embeddings", {"items": asked["parts"]}).json["vectors"][0]
    np.testing.assert_array_equal(vector, other)


def test_one_index_is_served_by_the_name_of_its_folder(indexes):
    with running(indexes / "photos") as server:
        assert list(names(server)) == ["photos"]
        shutil.rmtree(indexes / "photos")
        until(lambda: code(server.search("photos")) == "index_gone")


def test_folders_without_an_index_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"")
    for name, told in {"empty": "has none in it", "nope": "No such file", "file": "Not a directory"}.items():
        with pytest.raises(ConfigError, match=told):
            Catalog(ServerSettings(tmp_path / name))


def test_hidden_folders_are_no_indexes(indexes, tmp_path):
    make_index(indexes / ".hidden", tmp_path / "pictures", None, captions=False)
    assert ".hidden" not in [one.name for one in Catalog(ServerSettings(indexes))]


def test_a_refusal_is_a_new_one_each_time(indexes):
    served = Catalog(ServerSettings(indexes)).get("photos")
    raised = []
    for _ in range(2):
        with pytest.raises(Refusal) as found:
            served.moment()
        raised.append(found.value)
    assert raised[0] is not raised[1] and raised[0].code == "opening" and raised[0].retry_after == 1


def test_an_index_of_any_name_can_be_searched(tmp_path):
    odd = ["a\nb", "a\\b", "a\x7fb", "a\u200bb", "a_b", "\u3000", "-rf", "100%", "a%2Fb", "a?b#c", "<b>", "__proto__"]
    for name in [*odd, os.fsdecode(b"\xff\xfe")]:
        make_index(tmp_path / "indexes" / name, tmp_path, None, captions=False)
    with running(tmp_path / "indexes") as server:
        found = names(server)
        assert len(found) == len(odd) + 1 and {"a_b", "a_b~2", "a_b~5", "-rf", "100%", "__proto__"} <= set(found)
        for name in found:
            place = f"/api/indexes/{quote(name, safe='')}"
            hit = server.ask("POST", f"{place}/search", {}).json["hits"][0]
            assert server.get(f"{place}/pictures/{hit['id']}").json["id"] == hit["id"]
    with running(tmp_path / "indexes" / "a\nb") as server:
        assert list(names(server)) == ["a_b"]


def test_a_folder_that_may_not_be_looked_into_leaves_the_others(indexes, monkeypatch, tmp_path):
    shutil.copytree(indexes / "photos", tmp_path / "photos")
    (tmp_path / "lost+found").mkdir()
    usual = os.stat

    def refusing(path, *given, **named):
        if "lost+found" in os.fspath(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return usual(path, *given, **named)

    monkeypatch.setattr(os, "stat", refusing)
    assert [one.name for one in Catalog(ServerSettings(tmp_path))] == ["photos"]
