"""Any encoder of PaddleNLP as a text tower: its pooled [CLS] token, under our head.

It is built from its configuration, which is kept in ours (`settings`), so a saved model needs no network. PaddleNLP
never loads the weights: its loader runs pickles (`training/setup/library_weights.py` reads them).
"""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import paddle
from paddle import nn

from ...checkpoints.libraries.paddlenlp import encoder_class, look_up
from ...config.tower_fields import PaddleNLPConfig
from ...errors import ConfigError
from .ernie import PAD_ID
from .library_tower import Head, library_initialisers, without_tables

DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout")
COMPARED = {"vocab_size": "vocab_size", "positions": "max_position_embeddings", "width": "hidden_size"}


class PaddleNLPTower(Head):
    """token ids int64 [B, L], padded with 0 -> raw embedding [B, D]. `encoder` has PaddleNLP's keys."""

    def __init__(self, config: PaddleNLPConfig):
        super().__init__(config)
        settings = look_up(config)
        self.model_class, self.source = encoder_class(settings), config.paddlenlp
        try:
            with library_initialisers():
                self.encoder = self.model_class(encoder_config(config, settings))
            self.masked = needs_mask(self.encoder, config)
        except ConfigError:
            raise
        except Exception as error:  # whatever a model that is none of its usual encoders raises
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise ConfigError(
                f"PaddleNLP's {self.model_class.__name__} cannot be built from its settings, or cannot encode texts "
                f"alone ({reason[0][:200]}); choose another encoder, or complete text_tower.settings"
            ) from None
        without_tables(self.encoder)

    def forward(self, ids: paddle.Tensor) -> paddle.Tensor:
        return self.head(pooled(self.encoder, ids, self.masked))


def pooled(encoder: nn.Layer, ids: paddle.Tensor, masked: bool) -> paddle.Tensor:
    """[B, width]: the first output of two dimensions, the pooled token, or else token 0 of the first output; masked:
    whether the encoder is told where padding is."""
    found = encoder(ids, attention_mask=(ids != PAD_ID).astype("int64")) if masked else encoder(ids)
    outputs = list(found) if isinstance(found, (tuple, list)) else [found]
    token = next((value for value in outputs if isinstance(value, paddle.Tensor) and value.ndim == 2), None)
    return outputs[0][:, 0] if token is None else token


def needs_mask(encoder: nn.Layer, config: PaddleNLPConfig) -> bool:
    """Whether padding changes the pooled token unless the encoder is told of it: most find it by themselves.

    Tried on three tokens. ConfigError where it is changed anyhow, and where later tokens do not count, as in a decoder.
    """
    text = [[1, 2, 3], [1, 4, 5]]
    padded = [row + [PAD_ID] * min(2, config.positions - 3) for row in text]
    encoder.eval()
    with paddle.no_grad():
        for masked in (False, True):
            one, other = pooled(encoder, paddle.to_tensor(text), masked).numpy()
            again = pooled(encoder, paddle.to_tensor(padded), masked).numpy()
            differs = np.abs(one - other).max()
            if not differs:
                break
            if np.abs(again - [one, other]).max() <= 1e-2 * differs:
                encoder.train()
                return masked
    raise ConfigError(
        f"the pooled token of {config.paddlenlp} {'depends on padding' if differs else 'does not see later tokens'}; "
        "choose a bidirectional encoder"
    )


def encoder_config(config: PaddleNLPConfig, settings: Mapping[str, Any]) -> Any:
    """PaddleNLP's configuration object with our dropout; ConfigError names every size that ours has otherwise."""
    found = encoder_class(settings).config_class.from_dict(copy.deepcopy(settings))
    for key in DROPOUTS:
        if hasattr(found, key):
            setattr(found, key, config.dropout)
    wrong = [
        f"{ours}: {getattr(found, theirs)} (it is {getattr(config, ours)})"
        for ours, theirs in COMPARED.items()
        if getattr(found, theirs, None) not in (None, getattr(config, ours))
    ]
    if wrong:
        raise ConfigError(f"text_tower does not fit {config.paddlenlp}; set {', '.join(wrong)}")
    if getattr(found, "pad_token_id", 0):
        raise ConfigError(
            f"{config.paddlenlp} pads with token {found.pad_token_id} and the tokenizer here with 0; choose an encoder "
            "with a BERT vocabulary"
        )
    return found
