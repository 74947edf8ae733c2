"""Groups of near-duplicates against the definition, pair by pair, and what a group must never be."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ernie_vil2.search import duplicates, near_pairs
from ernie_vil2.search.duplicates import duplicate_groups
from ernie_vil2.search.store.columns import ImageRow, columns_of


class Pictures:
    """Rows and vectors in memory, as a part of an index gives them."""

    def __init__(self, rows, vectors, first=100):
        vectors = np.asarray(vectors, np.float32)
        self.stored = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
        self.ids = first + 3 * np.arange(len(rows))
        self.table = columns_of("image", self.ids.tolist(), rows) if rows else None
        self.most_read = 0

    def live_ids(self):
        return self.ids

    def _rows(self, ids):
        rows = np.searchsorted(self.ids, ids)
        assert (self.ids[rows] == ids).all()
        return rows

    def take(self, ids, columns):
        return self.table.select(columns).take(pa.array(self._rows(ids)))

    def vectors(self, ids):
        self.most_read = max(self.most_read, len(ids))
        return self.stored[self._rows(ids)].astype(np.float32)


def by_definition(pictures, rows, threshold, allowed=None):
    """{first: {member: exact}} by going through pictures one after the other."""
    vectors = pictures.stored.astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chosen = [place for place, number in enumerate(pictures.ids) if allowed is None or number in allowed]
    order = sorted(chosen, key=lambda place: (-rows[place].width * rows[place].height, -rows[place].size, place))
    content = {place: (rows[place].digest or place, rows[place].time) for place in chosen}
    groups, home = {}, {}
    for place in order:
        if place in home:
            continue
        if content[place] in home:
            groups[home[content[place]]].append(place)
            home[place] = home[content[place]]
            continue
        home[place] = home[content[place]] = place
        groups[place] = [place]
        for other in order:
            film = rows[place].time is not None and rows[other].time is not None
            film = film and (rows[place].root, rows[place].path) == (rows[other].root, rows[other].path)
            same = content[other] == content[place]
            if other not in home and content[other] not in home and not film or same and other not in home:
                if same or vectors[place] @ vectors[other] >= threshold - near_pairs.ROUNDING:
                    groups[place].append(other)
                    home[other] = place
                    home.setdefault(content[other], place)
    ids = pictures.ids
    return {
        int(ids[first]): {int(ids[member]): content[member] == content[first] for member in members}
        for first, members in groups.items()
        if len(members) > 1
    }


def drawn(seed, count, width, spread, films=0.0, copies=0.1):
    """Rows and vectors: clusters of pictures, some of them copies, some frames of films."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(max(1, count // 6), width))
    vectors = centres[rng.integers(0, len(centres), count)] + spread * rng.normal(size=(count, width))
    rows = []
    for place in range(count):
        if place and rng.random() < copies:
            twin = int(rng.integers(0, place))
            vectors[place], one = vectors[twin], rows[twin]
            rows.append(
                ImageRow(0, str(place), path=b"c%d" % place, digest=one.digest, time=one.time, width=9, height=9)
            )
            continue
        side, film = int(rng.integers(1, 5)), rng.random() < films
        rows.append(
            ImageRow(
                0,
                str(place),
                path=b"film" if film else b"p%d" % place,
                width=side,
                height=2,
                size=int(rng.integers(0, 3)),
                time=place if film else None,
                digest=b"film" if film else b"%016d" % place if rng.random() < 0.9 else b"",
            )
        )
    return rows, vectors


def as_dict(groups):
    return {int(one.ids[0]): dict(zip(one.ids.tolist(), one.exact.tolist(), strict=True)) for one in groups}


@settings(max_examples=40)
@given(
    st.integers(0, 10**6),
    st.integers(1, 90),
    st.sampled_from([4, 48]),
    st.floats(0.01, 1.0),
    st.floats(0.3, 1.0),
    st.sampled_from([0.0, 0.4]),
)
def test_groups_are_those_of_the_definition(seed, count, width, spread, threshold, films):
    rows, vectors = drawn(seed, count, width, spread, films)
    pictures = Pictures(rows, vectors)
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in ((duplicates, "BLOCK", 16), (near_pairs, "TILE", 12), (near_pairs, "READ", 7)):
            patch.setattr(module, name, value)
        patch.setattr(near_pairs, "WIDTHS", (3, 8, 40))
        groups = duplicate_groups(pictures, threshold)
    assert as_dict(groups) == by_definition(pictures, rows, threshold)
    for group in groups:
        assert (np.diff(group.scores) <= 0).all() and group.exact[0]


def test_only_what_is_allowed_is_looked_at():
    rows, vectors = drawn(3, 80, 16, 0.1)
    pictures = Pictures(rows, vectors)
    allowed = pictures.ids[::2]
    groups = duplicate_groups(pictures, 0.9, allowed)
    assert groups and as_dict(groups) == by_definition(pictures, rows, 0.9, set(allowed.tolist()))
    assert duplicate_groups(pictures, 0.9, np.zeros(0, np.int64)) == []


def test_a_chain_does_not_become_one_group():
    """Each is near the next; no group has members that are far from its first."""
    angles = np.arange(40) * 0.1
    rows = [ImageRow(0, str(place), path=b"%d" % place, width=1, height=1) for place in range(40)]
    pictures = Pictures(rows, np.stack([np.cos(angles), np.sin(angles)], axis=1))
    groups = duplicate_groups(pictures, float(np.cos(0.25)))
    assert [len(group.ids) for group in groups] == [3] * 13
    assert all(group.scores.min() > np.cos(0.26) for group in groups)


@pytest.mark.parametrize("threshold", [0.99, 0.8])
def test_the_bound_loses_no_pair_whatever_its_width(threshold, monkeypatch):
    rows, vectors = drawn(1, 600, 64, 0.4)
    pictures = Pictures(rows, vectors)
    found = []
    for widths in ((2,), (33,), ()):
        monkeypatch.setattr(near_pairs, "WIDTHS", widths)
        monkeypatch.setattr(near_pairs, "CHECK_COST", 0)
        monkeypatch.setattr(duplicates, "BLOCK", 100)
        found.append(as_dict(duplicate_groups(pictures, threshold)))
    assert found[0] == found[1] == found[2] and found[0]


def test_thousands_of_one_picture_cost_no_thousands_squared(monkeypatch):
    """A blank scan in every folder: only the first of them is compared with the others in full."""
    rng = np.random.default_rng(0)
    vectors = np.ones(64) + 0.01 * rng.normal(size=(9000, 64))
    rows = [ImageRow(0, str(place), path=b"%d" % place, width=5, height=5) for place in range(9000)]
    looked, settle = [], near_pairs.settle
    monkeypatch.setattr(near_pairs, "settle", lambda *given: looked.append(len(given[2])) or settle(*given))
    (group,) = duplicate_groups(Pictures(rows, vectors), 0.97)
    assert len(group.ids) == 9000 and sum(looked) < 9000


def test_progress_ends_at_all_pairs():
    told = []
    rows, vectors = drawn(0, 50, 8, 0.2)
    duplicate_groups(Pictures(rows, vectors), 0.9, progress=lambda done, total: told.append((done, total)))
    assert told and told[-1][0] == told[-1][1]
