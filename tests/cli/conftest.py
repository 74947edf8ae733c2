"""Fixtures for the tests of commands."""

import pytest

from tests.cli.commands import furnish


@pytest.fixture
def here(tmp_path, tiny_config, tiny_vocab, monkeypatch):
    """Working directory with models a and b, a source, detections, a benchmark and weights."""
    monkeypatch.chdir(tmp_path)
    furnish(tmp_path, tiny_config, tiny_vocab)
    return tmp_path
