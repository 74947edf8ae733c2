"""The model of a run without one: the base size with random weights, made in a process that ends then."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....checkpoints.model_directory import save_model
from ....config.model import ModelConfig
from ....data.vocabulary_file import write_vocab
from ....runtime import import_paddle
from ..turns.answers import converse

START = "from ernie_vil2.studies.speed.encoding import random_weights; random_weights.main()"
IDEOGRAPHS = 3000


def write_model(place: Path, config: ModelConfig) -> None:
    """Write a model directory with random weights of one seed and a vocabulary of ideographs, which lies beside it."""
    import_paddle()
    from ....models.dual_encoder import new_model

    vocab = place.with_name("vocab.txt")
    ideographs = (chr(ord("一") + step) for step in range(IDEOGRAPHS))
    write_vocab(["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]", *ideographs], vocab)
    state = {key: tensor.numpy() for key, tensor in new_model(config).state_dict().items()}
    save_model(place, state, config, vocab)


def begin(job: Mapping[str, Any]) -> tuple[str, None]:
    """Write it; there is nothing to ask for afterwards."""
    write_model(Path(job["to"]), ModelConfig())
    return "", None


def main() -> None:
    """The process that writes the model."""
    converse(begin)
