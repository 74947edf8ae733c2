"""Encoders of PaddleNLP: which there are, what they are configured by, and where their weights lie."""

import copy
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config.tower_fields import PaddleNLPConfig
from ...errors import ConfigError
from ...files.json_files import SETTINGS_BYTES, read_json
from ...files.text import ContentError
from .importing import imported

if TYPE_CHECKING:
    from paddle import nn

CONFIG, WEIGHTS = "config.json", "model_state.pdparams"


def known_encoders() -> Mapping[str, str]:
    """{class name without "Model": module} of PaddleNLP's base models."""
    return imported("paddlenlp.transformers.auto.modeling", "PaddleNLP").MAPPING_NAMES


def look_up(config: PaddleNLPConfig) -> dict[str, Any]:
    """The settings of the encoder, kept in `config.settings`: as given, of the folder, or of PaddleNLP's own list.

    Raises ConfigError when the model is not known; only a name that is not in PaddleNLP itself needs the network.
    """
    if not config.settings:
        folder = Path(config.paddlenlp)
        if os.path.isdir(folder):
            config.settings = read_settings(folder / CONFIG)
        else:
            config.settings = built_in(config.paddlenlp) or read_settings(fetched(config.paddlenlp, [CONFIG]))
    return config.settings


def read_settings(path: str | os.PathLike) -> dict[str, Any]:
    """A configuration file as a dictionary."""
    try:
        found = read_json(path, most=SETTINGS_BYTES)
        assert isinstance(found, dict) and found
    except (OSError, ValueError, AssertionError) as error:
        reason = f" ({error.reason})" if isinstance(error, ContentError) else ""
        raise ConfigError(
            f"{path} is no configuration of PaddleNLP{reason}; name a model of it or a folder that has one"
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


def encoder_class(settings: Mapping[str, Any]) -> "type[nn.Layer]":
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


def published_weights(source: str, model_class: Any) -> str | Path:
    """Path of the weights of a model of PaddleNLP, in the folder `source` or, by that name, downloaded and not yet
    read."""
    if os.path.isdir(source):
        return Path(source) / WEIGHTS
    urls = model_class.pretrained_resource_files_map.get("model_state", {})
    return fetched(source, [urls.get(source, WEIGHTS)])
