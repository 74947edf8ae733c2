"""From a YAML file, overrides and the weights that `init` names to the RunConfig of a run."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError, advice
from ..files.json_files import SETTINGS_BYTES, read_json
from ..files.paths.patterns import path_error
from ..files.run_folder import told_model
from ..files.yaml_files import parse_value, read_yaml
from ..messages import brief, quoted
from ..schema import as_dict, build
from .model import PIXEL_PROFILES
from .recipes import recipe_path
from .run import RunConfig
from .towers import KINDS, READING

STARTS = ("model", "text", "image")
"""Keys of `init` that name a model"""
PATTERN = re.compile(r"\*+[./][\w*?./{},\[\]-]+|\{[\w.,-]+\}[\w*?./{},-]*\w")
"""Paths that begin as YAML's aliases and mappings do"""


def load_run(path: str | os.PathLike, overrides: Sequence[str] = ()) -> RunConfig:
    """A RunConfig from a YAML file or a recipe's name, and `a.b=value` overrides (YAML values).

    Raises ConfigError with the file and the key.
    """
    data = as_dict(read_yaml(recipe_path(path)))  # a copy without aliases, so that an override changes one place
    where = str(path)
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator or not key:
            raise ConfigError(f"-o {brief(override, 120)}: write it as key=value, for example -o train.steps=100")
        where = f"{path} with -o {brief(override, 120)}"
        set_key(data, key.strip().split("."), given_value(override, value.strip()))
    spell_out_kinds(data)
    try:
        start_from(data, where if len(overrides) == 1 else str(path))
    except OSError as error:
        raise ConfigError(f"{where}: {error.filename}: {error.strerror}; {advice(error)}") from None
    except ConfigError:
        build(RunConfig, {**data, "init": {**data["init"], "model": None}}, str(path))  # a misspelt key explains more
        raise
    return build(RunConfig, data, where if len(overrides) == 1 else str(path))


def given_value(override: str, text: str) -> Any:
    """The YAML value of an override; a glob (`*.tar`) or a path with names in braces (`{a,b}.tsv`), which YAML cannot
    read, is the text itself."""
    if PATTERN.fullmatch(text):
        return text
    return parse_value(f"-o {override}", text, f": {quoted(text)} is not a YAML value; quote it")


def completed(saved: dict[str, Any]) -> dict[str, Any]:
    """A run's configuration as it was saved, with the defaults of keys that came later, in today's form."""
    try:
        return as_dict(build(RunConfig, saved, "the checkpoint"))
    except ConfigError:  # it is compared as it stands, and names what differs
        return saved


def spell_out_kinds(data: dict[str, Any]) -> None:
    """Write a tower that is named by its kind alone, as `text_tower: ernie`, as a mapping, in place."""
    model = data.get("model")
    for name in ("image_tower", "text_tower"):
        if isinstance(model, dict) and isinstance(model.get(name), str):
            model[name] = {"kind": model[name]}


def start_from(data: dict[str, Any], where: str) -> None:
    """Put the configuration of the weights that `init` names below that of `model`, so that a recipe need not repeat
    it: of a whole model (`init.model`, whose towers become the start), or of a tower of the same kind.
    """
    init, given = data.get("init"), data.get("model")
    if not (isinstance(init, dict) and (given is None or isinstance(given, dict))):
        return
    named = {key: value for key, value in init.items() if key in STARTS and isinstance(value, str)}
    for key, value in named.items():
        if wrong := path_error(value):
            raise ConfigError(f"{where}: init.{key} is {quoted(value)}, which {wrong}")
    init.update({key: str(told_model(value)) for key, value in named.items()})
    folder = init.get("model")
    if not isinstance(folder, str):
        for tower in ("text", "image"):
            if isinstance(init.get(tower), str) and (Path(init[tower]) / "config.json").is_file():
                data["model"] = below(saved_model(init[tower], where, tower), data.get("model") or {}, tower)
        return
    for tower in ("text", "image"):
        if init.get(tower):
            raise ConfigError(f"{where}: init.model and init.{tower} are both set; keep one of them")
        init[tower] = folder
    saved = saved_model(folder, where, "model")
    for tower, other in (("text", "image"), ("image", "text")):
        if saved.get(f"{tower}_tower", {}) is None:
            raise ConfigError(
                f"{where}: init.model is {quoted(folder)}, which has no {tower} tower; name one that has both, or set "
                f"init.{other} instead and describe the towers under model"
            )
    data["model"] = merged(saved, given or {})


def below(saved: dict[str, Any], given: dict[str, Any], tower: str) -> dict[str, Any]:
    """`given`, a model as plain data, on top of what `saved` says of one tower and of what it reads."""
    name = f"{tower}_tower"
    theirs, ours = saved.get(name), given.get(name) or {}
    if not (isinstance(theirs, dict) and isinstance(ours, dict)):
        return given
    named = ours.get("kind") or next((kind for kind in KINDS if kind in ours), theirs.get("kind"))
    if named != theirs.get("kind"):
        return given
    reading = dict.fromkeys(key.split(".")[0] for key in READING[tower])
    kept = {key: saved[key] for key in reading if key in saved}
    return merged({**kept, name: theirs}, given)


def saved_model(folder: str, where: str, key: str) -> dict[str, Any]:
    """What config.json of a model directory says of the model, as plain data."""
    path = Path(folder) / "config.json"
    try:
        content = read_json(path, most=SETTINGS_BYTES)
        if not isinstance(content, dict) or "layout_version" not in content:
            raise ValueError("it is not that of a model directory of this project")
        return {key: value for key, value in content.items() if key not in ("files", "extra")}
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", error)
        raise ConfigError(
            f"{where}: init.{key} is {quoted(folder)}, but {path} cannot be read ({reason}); "
            + advice(error, "name a model directory, as ernie-vil2 convert writes it")
        ) from None


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Nested plain data, where a value of `above` counts before that of `below`."""
    result = dict(below)
    for key, value in above.items():
        nested = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if nested else value
    return result


def set_key(data: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    """Set a nested key of plain data, in place; build() reports unknown ones."""
    for key in keys[:-1]:
        held = data.get(key)
        if key == "pixels" and isinstance(held, str) and held in PIXEL_PROFILES:
            data[key] = as_dict(PIXEL_PROFILES[held])
        elif held is None:
            data[key] = {}
        elif not isinstance(held, dict):
            raise ConfigError(f"-o {'.'.join(keys)}: {key} is {quoted(held)}, which has no keys; give {key} as a whole")
        data = data[key]
    data[keys[-1]] = value
