"""Model directories to export."""

import pytest

from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.device import float32_copy
from tests.inference.engines.towers import CONFIGS, network


@pytest.fixture
def directory(tmp_path, tiny_vocab):
    """Function (name in towers.CONFIGS, or a ModelConfig) -> path of a model directory whose weights tell inputs
    apart."""

    def make(config):
        config = CONFIGS[config] if isinstance(config, str) else config
        state = {key: float32_copy(value) for key, value in network(config).state_dict().items()}
        save_model(tmp_path / "model", state, config, tiny_vocab if config.text_tower is not None else None)
        return tmp_path / "model"

    return make


@pytest.fixture
def quick(monkeypatch):
    """Exports whose clients are written and not run: a process each would be most of the time."""
    from ernie_vil2.export import export, parity

    monkeypatch.setattr(export, "client_embeddings", lambda *arguments: {})
    monkeypatch.setattr(parity, "client_rows", lambda *arguments: [])
