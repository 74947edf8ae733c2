"""The study of neighbours: its vectors lie as embeddings do, and its command measures every kind."""

import json

import numpy as np
import pytest

from ernie_vil2.cli.bench.main import main
from ernie_vil2.errors import DataError
from ernie_vil2.search.neighbours.exact import everywhere
from ernie_vil2.studies.search.rows import write_rows
from ernie_vil2.studies.search.vectors import SyntheticVectors, structure


def test_vectors_are_the_same_for_the_same_numbers_and_lie_as_embeddings_do(tmp_path):
    vectors = SyntheticVectors(4000, 128)
    snapshot = write_rows(tmp_path / "index", vectors)
    part = snapshot.part("image")
    again = np.concatenate(list(SyntheticVectors(4000, 128).blocks()))
    assert np.array_equal(part.halves(np.arange(4000)), again)
    asked = vectors.questions(50)
    found = {sort: structure(everywhere(part.blocks(), queries, 100)[0]) for sort, queries in asked.items()}
    assert found["near"]["cosine 1"] > 2 * found["far"]["cosine 1"] > 0.4
    assert all(one["cosine 1"] > one["cosine 10"] > one["cosine 100"] for one in found.values())
    np.testing.assert_allclose(np.linalg.norm(again.astype(np.float32), axis=1), 1, atol=2e-3)


@pytest.mark.parametrize("dims", [4, 12])
def test_the_dimension_of_a_cube_is_found(dims):
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(-0.1, 0.1, (20000, dims)), np.ones((20000, 1))], axis=1)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    scores = np.sort(points[:100] @ points.T, axis=1)[:, ::-1][:, 1:]
    assert abs(structure(scores)["dimension"] - dims) < 0.25 * dims


def test_the_command_measures_kinds_and_keeps_what_it_built(tmp_path, capsys):
    command = [
        "search",
        "--rows",
        "600",
        "--width",
        "16",
        "--kinds",
        "flat,pq",
        "--questions",
        "20",
        "--at",
        str(tmp_path / "kept"),
    ]
    main([*command, "--json", str(tmp_path / "out.json")])
    shown = capsys.readouterr().out
    found = json.loads((tmp_path / "out.json").read_text())
    assert set(found["kinds"]) == {"flat", "pq"} and found["kinds"]["flat"]["recall"] == {"near": 1.0, "far": 1.0}
    assert found["kinds"]["pq"]["recall"]["near"] > 0.9 and found["kinds"]["pq"]["resident"] > 10
    assert all(len(found["kinds"][kind]["p50 and p95, ms"]) == 6 for kind in ("flat", "pq"))
    assert shown.count("\n| pq |") == 3 and shown.count("\n| flat |") == 3
    before = (tmp_path / "kept" / "pq.json").read_bytes()
    with pytest.raises(DataError, match="another number or width"):
        main([*command[:2], "601", *command[3:]])
    assert (tmp_path / "kept" / "pq.json").read_bytes() == before
