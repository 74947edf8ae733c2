"""What a configuration leaves open and a run fills in, in its own copy of it."""

from ...checkpoints.libraries.paddlenlp import look_up
from ...config.model import ModelConfig
from ...config.towers import KINDS
from ...errors import ConfigError
from ...schema import as_dict
from ...systems.registry import system_class


def look_up_settings(model: ModelConfig) -> None:
    """Fill in the settings of towers of PaddleNLP, so that they are compared with those of a checkpoint and kept in the
    model directory; ConfigError when the model is not known."""
    for tower in model.towers().values():
        if KINDS[tower.kind].looked_up:
            look_up(tower)


def complete_settings(model: ModelConfig) -> None:
    """Fill in the defaults of the system's settings, so that a checkpoint keeps and compares what it was trained with;
    ConfigError for a system that is not known here and for settings that it does not have."""
    settings = system_class(model.system).settings(model)
    model.settings = as_dict(settings) if settings is not None else {}


def fitting_rows(rows: int, tokens: int, vocab: object) -> int:
    """Rows of the word embedding for a vocabulary: 0 means as many as it has tokens."""
    if rows == 0:
        return tokens
    if rows < tokens:
        raise ConfigError(
            f"the vocabulary {vocab} has ids up to {tokens - 1} but model.text_tower.vocab_size is {rows}; "
            "raise it, or set it to 0"
        )
    return rows
