"""The comparison runs, measures both sides, and says so when one cannot run."""

import numpy as np
import pytest

from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.errors import UserError
from ernie_vil2.studies.speed import encoding


def test_both_sides_are_measured(tiny_config, tiny_vocab, tmp_path):
    state = {key: np.zeros(shape, np.float32) for key, shape in manifest(tiny_config).items()}
    save_model(tmp_path / "model", state, tiny_config, tiny_vocab)
    notes = []
    result = encoding.compare(tmp_path / "model", images=3, texts=5, repeats=2, note=notes.append)
    assert set(result) == {"images", "texts"} and len(notes) == 8
    for row in result.values():
        assert row["plain"] > 0 and row["ours"] > 0 and row["ratio"] > 0
    assert [line.split()[0] for line in encoding.table(result).splitlines()] == ["plain", "images", "texts"]


def test_a_side_that_cannot_run_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="side of the comparison stopped: .*does not exist"):
        encoding.compare(tmp_path / "nowhere", images=1, texts=1, repeats=1)
