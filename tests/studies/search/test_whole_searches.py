"""The study of whole searches: what is asked is what is said, on any index."""

import json

import numpy as np
import pytest

from ernie_vil2.cli.main import dispatch
from ernie_vil2.errors import DataError
from ernie_vil2.search.query.filter_rows import allowed_ids
from ernie_vil2.search.query.filter_terms import terms_of
from ernie_vil2.search.store.columns import ImageRow
from ernie_vil2.search.store.manifest import Manifest
from ernie_vil2.search.store.snapshot import open_snapshot
from ernie_vil2.search.store.writer import open_writer
from ernie_vil2.studies.search.whole_searches import FIELDS, filters, measure


@pytest.fixture
def index(tmp_path):
    vectors = np.random.default_rng(0).standard_normal((40, 8))
    rows = [
        ImageRow(0, f"{n}", folder=f'a "b"/{n % 3}', tags=("猫 |",) if n % 2 else (), date=n * 10**7, size=n + 1)
        for n in range(40)
    ]
    with open_writer(tmp_path / "index", Manifest(width=8)) as writer:
        writer.root("photos", "", "folder")
        writer.add(rows, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
        writer.commit()
    return tmp_path / "index"


def test_filters_let_some_rows_through(index):
    snapshot = open_snapshot(index)
    for seed in range(10):
        made = filters(snapshot.images, np.random.default_rng(seed))
        assert list(made) == list(FIELDS)
        for text in made.values():
            assert len(allowed_ids(snapshot.images, snapshot.manifest.roots, terms_of(text)))


def test_everything_is_asked_once_a_round(index, tmp_path, capsys):
    dispatch(
        ["bench", "queries", str(index), "--precisions", "", "--rounds", "3", "--json", str(tmp_path / "out.json")]
    )
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["rows"] == 40 and {len(times) for times in found["milliseconds"].values()} == {3}
    assert len(found["milliseconds"]) == 1 + 2 * len(FIELDS) + 4
    assert "40 rows, opened in" in capsys.readouterr().out


def test_an_index_without_rows_is_told(tmp_path):
    with open_writer(tmp_path / "index", Manifest(width=8)):
        pass
    with pytest.raises(DataError, match="has no pictures"):
        measure(tmp_path / "index", None, [], 1, print)
