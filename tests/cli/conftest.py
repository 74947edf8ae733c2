"""Fixtures for the tests of commands."""

import numpy as np
import pytest

from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.checkpoints.release_layout import manifest
from tests.cli.commands import furnish
from tests.search.scan.conftest import draw


@pytest.fixture
def here(tmp_path, tiny_config, tiny_vocab, monkeypatch):
    """Working directory with models a and b, a source, detections, a benchmark and weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ernie_vil2.export.export.client_embeddings", lambda *_: {})  # a process of its own each time
    monkeypatch.setattr("ernie_vil2.export.parity.client_rows", lambda *_: [])
    furnish(tmp_path, tiny_config, tiny_vocab)
    return tmp_path


@pytest.fixture
def place(tmp_path, tiny_config, tiny_vocab, monkeypatch):
    """The working directory: two models, and ten pictures in `photos`."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("model", "other")):
        rng = np.random.default_rng(seed)
        state = {key: rng.normal(0, 0.3, shape).astype(np.float32) for key, shape in manifest(tiny_config).items()}
        save_model(name, state, tiny_config, tiny_vocab)
    for seed in range(10):
        draw(tmp_path / f"photos/{seed % 2}/{seed}.png", seed, (40, 50))
    return tmp_path
