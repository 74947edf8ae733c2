"""Any encoder of PaddleNLP as a text tower: its pooled [CLS] token, under our head.

It is built from its configuration, which is kept in ours (`settings`), so a saved model needs no network. PaddleNLP
never loads the weights: its loader runs pickles (`training/pretrained.py` reads them).
"""

import copy
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn

from ...config.tower_fields import PaddleNLPConfig
from ...errors import ConfigError
from .ernie import PAD_ID
from .library_tower import Head, imported, library_initialisers, without_tables

CONFIG, WEIGHTS = "config.json", "model_state.pdparams"
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


def known_encoders() -> Mapping[str, str]:
    """{class name without "Model": module} of PaddleNLP's base models."""
    return imported("paddlenlp.transformers.auto.modeling", "PaddleNLP").MAPPING_NAMES


def look_up(config: PaddleNLPConfig) -> dict[str, Any]:
    """The settings of the encoder, kept in `config.settings`: as given, of the folder, or of PaddleNLP's own list.

    Raises ConfigError when the model is not known; only a name that is not in PaddleNLP itself needs the network.
    """
    if not config.settings:
        folder = Path(config.paddlenlp)
        if folder.is_dir():
            config.settings = read_settings(folder / CONFIG)
        else:
            config.settings = built_in(config.paddlenlp) or read_settings(fetched(config.paddlenlp, [CONFIG]))
    return config.settings


def read_settings(path: str | os.PathLike) -> dict[str, Any]:
    """A configuration file as a dictionary."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        assert isinstance(found, dict) and found
    except (OSError, ValueError, AssertionError):
        raise ConfigError(
            f"{path} is no configuration of PaddleNLP; name a model of it or a folder that has one"
        ) from None
    return found


def built_in(name: str) -> dict[str, Any] | None:
    """The settings of a name that PaddleNLP knows by heart, or None."""
    modeling = imported("paddlenlp.transformers.auto.modeling", "PaddleNLP")
    for names, class_name in modeling.AutoModel._pretrained_model_dict.items():
        if name in names:
            found = encoder_class({"architectures": [class_name]}).pretrained_init_configuration[name]
            return {**copy.deepcopy(found), "architectures": [class_name]}
    return None


def encoder_class(settings: Mapping[str, Any]) -> type[nn.Layer]:
    """PaddleNLP's base model for the architecture that the settings name; ConfigError when it has none."""
    named = str((settings.get("architectures") or [settings.get("init_class") or ""])[0])
    known = known_encoders()
    # "ErnieModel" is of Ernie and not of ErnieM: a word ends where a capital letter follows.
    fitting = [name for name in known if re.fullmatch(f"{re.escape(name)}([A-Z].*)?", named)]
    if not fitting:
        raise ConfigError(
            f"the settings name the architecture {named!r}, which is no encoder of PaddleNLP; set architectures to one "
            "such as [ErnieModel]"
        )
    name = max(fitting, key=len)
    found = getattr(imported(f"paddlenlp.transformers.{known[name]}.modeling", "PaddleNLP"), f"{name}Model", None)
    if getattr(found, "config_class", None) is None:
        raise ConfigError(f"PaddleNLP's {name}Model is not built from a configuration; choose another encoder")
    return found


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


def fetched(name: str, files: list[str]) -> str:
    """Path of a file of a published model, from PaddleNLP's cache or by its downloader."""
    download = imported("paddlenlp.utils.download", "PaddleNLP")
    home = imported("paddlenlp.utils.env", "PaddleNLP").MODEL_HOME
    try:
        found = download.resolve_file_path(name, files, "", cache_dir=home)
    except Exception as error:  # whatever its downloader raises
        raise ConfigError(
            f"PaddleNLP's {name} could not be fetched ({type(error).__name__}: {error}); fetch it yourself and name "
            "its folder in text_tower.paddlenlp"
        ) from None
    if found is None:
        raise ConfigError(f"PaddleNLP knows no model {name!r}; name one of its models, or a folder")
    return found


def published_weights(tower: PaddleNLPTower) -> str | Path:
    """Path of a tower's weights, in its folder or downloaded and not yet read."""
    if Path(tower.source).is_dir():
        return Path(tower.source) / WEIGHTS
    urls = tower.model_class.pretrained_resource_files_map.get("model_state", {})
    return fetched(tower.source, [urls.get(tower.source, WEIGHTS)])
