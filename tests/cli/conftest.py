"""Fixtures for the tests of commands."""

import pytest

from tests.cli.commands import furnish


@pytest.fixture
def here(tmp_path, tiny_config, tiny_vocab, monkeypatch):
    """Working directory with models a and b, a source, detections, a benchmark and weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ernie_vil2.export.export.client_embeddings", lambda *_: {})  # a process of its own each time
    monkeypatch.setattr("ernie_vil2.export.parity.client_rows", lambda *_: [])
    furnish(tmp_path, tiny_config, tiny_vocab)
    return tmp_path
