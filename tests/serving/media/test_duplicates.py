"""Pictures that are nearly the same over HTTP: found beside other requests, one search at a time, page by page."""

import shutil
import threading

import numpy as np
import pytest

from ernie_vil2.search.duplicates import duplicate_groups
from ernie_vil2.search.store.columns import ImageRow
from ernie_vil2.search.store.manifest import Manifest
from ernie_vil2.search.store.snapshot import open_snapshot
from ernie_vil2.search.store.writer import open_writer
from ernie_vil2.serving.api import duplicates as module
from ernie_vil2.serving.media import duplicate_jobs
from tests.serving.running import running, until

WIDTH, PAIRS = 16, 7


@pytest.fixture
def place(tmp_path):
    """An index of pairs of pictures that are nearly the same, of three copies, and of others."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(PAIRS + 20, WIDTH))
    near = base[:PAIRS] + rng.normal(size=(PAIRS, WIDTH)) * 0.001
    copies = np.repeat(rng.normal(size=(1, WIDTH)), 3, axis=0)
    vectors = np.concatenate([base, near, copies]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with open_writer(tmp_path / "index", Manifest(width=WIDTH, model={})) as writer:
        root = writer.root("photos", str(tmp_path), "files")
        digests = [number.to_bytes(16, "big") for number in range(len(vectors) - 3)] + [b"c" * 16] * 3
        rows = [
            ImageRow(root, f"{number}.jpg", b"%d.jpg" % number, width=10, height=10, size=100 + number, digest=digest)
            for number, digest in enumerate(digests)
        ]
        writer.add(rows, vectors)
        writer.commit()
    return tmp_path / "index"


@pytest.fixture
def server(place, tmp_path):
    with running(place, cache=tmp_path / "cache") as found:
        yield found


def ask(server, index="index", **asked):
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    return server.get(f"/api/indexes/{index}/duplicates?{query}")


def ready(server, **asked):
    """The answer once the search has ended."""
    found = []

    def ended():
        found.append(ask(server, **asked))
        assert found[-1].status in (200, 202), found[-1].body
        return found[-1].status == 200

    until(ended)
    return found[-1].json


def test_groups_are_those_of_the_index(server, place):
    found = ready(server, threshold=0.99)
    wanted = duplicate_groups(open_snapshot(place).images, 0.99)
    assert [[hit["id"] for hit in group["pictures"]] for group in found["groups"]] == [
        group.ids.tolist() for group in wanted
    ]
    np.testing.assert_allclose(
        [score for group in found["groups"] for score in group["scores"]],
        np.concatenate([one.scores for one in wanted]),
    )
    assert found["groups"][0]["exact"] == [True] * 3 and found["groups"][1]["exact"] == [True, False]
    assert (found["total"], found["pictures"], found["state"]) == (PAIRS + 1, 2 * PAIRS + 3, "ready")
    spare = [hit["size"] for group in found["groups"] for hit in group["pictures"][1:]]
    assert found["bytes"] == sum(spare)


def test_pages_hold_all_groups_once_and_groups_their_first_pictures(server, monkeypatch):
    monkeypatch.setattr(module, "PAGE", 3)
    monkeypatch.setattr(module, "SHOWN", 2)
    pages = [ready(server, threshold=0.99, page=page)["groups"] for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [3, 3, 2, 0]
    groups = [group for page in pages for group in page]
    assert len({group["pictures"][0]["id"] for group in groups}) == PAIRS + 1
    assert groups[0]["count"] == 3 and len(groups[0]["pictures"]) == len(groups[0]["scores"]) == 2


def test_bounds(server):
    for asked in ({"threshold": 0.4}, {"threshold": 1.1}, {"threshold": "nan"}, {"page": 0}, {"page": 10**9}):
        assert ask(server, **asked).status == 422, asked


class Held:
    """A search that goes on until it is let go of, a step after the other."""

    def __init__(self):
        self.begun, self.going = [], threading.Event()

    def __call__(self, part, threshold, allowed, progress):
        self.begun.append(threshold)
        while not self.going.wait(0.01):
            progress(1, 4)
        return duplicate_groups(part, threshold, allowed, progress)


@pytest.fixture
def held(monkeypatch):
    held = Held()
    monkeypatch.setattr(duplicate_jobs, "duplicate_groups", held)
    yield held
    held.going.set()


def test_one_search_at_a_time_says_how_far_it_is_and_is_kept(server, held):
    until(lambda: ask(server, threshold=0.9).json == {"state": "running", "done": 0.25})
    assert ask(server, threshold=0.8).json == {"state": "running", "done": 0.0} and held.begun == [0.9]
    assert server.get("/health").status == 200
    held.going.set()
    ready(server, threshold=0.9)
    ready(server, threshold=0.8)
    ready(server, threshold=0.9)
    assert held.begun == [0.9, 0.8]


def test_a_search_that_nobody_waits_for_makes_way(server, held, monkeypatch):
    ask(server, threshold=0.9)
    until(lambda: held.begun == [0.9])
    monkeypatch.setattr(duplicate_jobs, "PATIENCE", 0.0)
    until(lambda: ask(server, threshold=0.8) and held.begun == [0.9, 0.8])


def test_a_search_that_was_left_ends(server, held, monkeypatch):
    monkeypatch.setattr(duplicate_jobs, "ABANDONED", 0.05)
    ask(server, threshold=0.9)
    until(lambda: not [one for one in threading.enumerate() if one.name == "duplicates"])


def test_a_server_ends_with_its_search(place, tmp_path, held):
    with running(place, cache=tmp_path / "cache") as server:
        ask(server, threshold=0.9)
        until(lambda: held.begun)
    assert not [one for one in threading.enumerate() if one.name == "duplicates"]


def test_a_search_that_fails_says_so_and_may_be_asked_for_again(server, monkeypatch):
    def failing(*any):
        raise MemoryError

    monkeypatch.setattr(duplicate_jobs, "duplicate_groups", failing)
    until(lambda: ask(server, threshold=0.9).status == 500)
    monkeypatch.setattr(duplicate_jobs, "duplicate_groups", duplicate_groups)
    assert ready(server, threshold=0.9)["state"] == "ready"


def test_what_is_written_meanwhile_is_searched_anew(server, place):
    assert ready(server, threshold=0.99)["total"] == PAIRS + 1
    with open_writer(place, Manifest(width=WIDTH, model={})) as writer:
        writer.remove([len(open_snapshot(place).images) - 4])  # one of a pair
        writer.commit()
    until(lambda: ready(server, threshold=0.99)["total"] == PAIRS)
    shutil.rmtree(place)
    until(lambda: ask(server, threshold=0.99).status == 503)
