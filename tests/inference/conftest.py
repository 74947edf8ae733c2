"""A model whose embeddings differ from each other, built without a checkpoint."""

import numpy as np
import pytest


@pytest.fixture
def model(tiny_config, tiny_vocab):
    """An ernie_vil2.Model of tiny towers with weights that are large enough to tell inputs apart."""
    from ernie_vil2.data.tokenizer import Tokenizer
    from ernie_vil2.inference.model import Model
    from ernie_vil2.models.dual_encoder import new_model

    network = new_model(tiny_config)
    rng = np.random.default_rng(0)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            parameter.set_value(rng.normal(0, 0.3, parameter.shape).astype(np.float32))
    return Model(network, Tokenizer(tiny_vocab, tiny_config.max_length, tiny_config.lower_case))
