"""Configurations of a run: YAML files, and values that -o gives to every key there is."""

import contextlib
import functools
import json
import random
from typing import Any

import yaml

from ernie_vil2.config.load import completed, load_run
from ernie_vil2.config.model import ModelConfig
from ernie_vil2.config.run import RunConfig
from ernie_vil2.data.batches.views import check_views
from ernie_vil2.errors import ConfigError
from ernie_vil2.schema import as_dict, build
from tests.conftest import ROOT
from tests.fuzz.damage import damaged
from tests.fuzz.example import Example
from tests.fuzz.judge import Target
from tests.fuzz.values import ODD, RAW, changed_value, odd_near, spoilt_json, yaml_text
from tests.fuzz.weight_files import model_files


def read(example: Example, folder: object) -> None:
    """Read a configuration and check it, as `train --check` does; what it says of itself gives it again."""
    config = load_run("run.yaml", example.told["overrides"])
    check_views({view for pair in config.objective.pairs for view in pair[:2]}, config.data.augmentation)
    saved = json.loads(json.dumps(as_dict(config)))
    if completed(saved) != json.loads(json.dumps(completed(saved))):
        raise AssertionError("a configuration changes when it is saved")
    ModelConfig.from_dict(config.model.to_dict())


TARGETS = {"configuration": Target(read, (ConfigError,))}


@functools.cache
def recipes() -> tuple[tuple[str, Any], ...]:
    """(text, content) of the project's configurations."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "configs").rglob("*.yaml"))]
    return tuple((text, yaml.safe_load(text)) for text in texts)


def small() -> dict[str, Any]:
    tower = {"width": 32, "depth": 1, "heads": 2}
    return {
        "model": {"pixels": {"size": 32}, "image_tower": {**tower, "image_size": 32, "patch_size": 8},
        "text_tower": {**tower, "vocab_size": 64, "positions": 64}},
        "data": {"train": {"kind": "scenes", "size": 9}, "augmentation": {}},
        "objective": {"pairs": [["image", "caption"]]},
        "optimizer": {"lr": 1e-3, "warmup": 2, "freeze": [{"match": "x.*"}]},
        "train": {"steps": 8, "batch_size": 4},
    }  # fmt: skip


@functools.cache
def keys() -> tuple[tuple[str, Any], ...]:
    """(dotted key, default) of every key of a run."""
    found = []

    def walk(value, name):
        for key, item in value.items():
            place = f"{name}.{key}" if name else key
            found.append((place, item))
            if isinstance(item, dict):
                walk(item, place)

    for recipe in (small(), *(content for text, content in recipes() if "init: {text: null" not in text)):
        model = recipe.get("model")
        if isinstance(model, dict) and "image_tower" in model:
            with contextlib.suppress(ConfigError):  # one that needs weights, which tell the rest
                walk(as_dict(build(RunConfig, {**recipe, "data": {"train": "x", **recipe["data"]}}, "x")), "")
    return tuple({name: (name, item) for name, item in found}.values())


def override(rng: random.Random) -> str:
    """-o of any key, or nearly one, with a value of any type."""
    key, value = rng.choice(keys())
    if rng.randrange(12) == 0:
        key = rng.choice(
            (
                key + ".x",
                key[:-1],
                key.upper(),
                "." + key,
                key + ".",
                key.replace(".", ".."),
                "",
                "data.train.path",
                "init.model",
                "init.text",
                "model.pixels.size",
                "\x00",
                key + "\n",
            )
        )
    value = odd_near(rng, value)
    way = rng.randrange(8)
    if way == 0:
        return f"{key}={damaged(rng, yaml_text(value).encode()[:400]).decode('latin-1')}"
    if way == 1:
        return rng.choice(
            (
                key,
                f"{key}==",
                f"={key}",
                f"{key}=&a [*a]",
                f"{key}=!!python/object/apply:os.getcwd []",
                f"{key}=2020-01-01",
                f"{key}=0x10",
                f"{key}=1_0",
                f"{key}=.inf",
                f"{key}=model",
                f"{key}={{",
                f"{key}=1:30",
                f"{key}=!!set {{a}}",
                f"{key}=? a",
            )
        )
    text = json.dumps(value, ensure_ascii=False)
    for marker, spelt in RAW.items():
        text = text.replace(f'"{marker}"', spelt)
    return f"{key}={text}"


def make(rng: random.Random) -> Example:
    """A configuration file and overrides, one of both damaged or both."""
    way = rng.randrange(4)
    text, recipe = rng.choice(recipes()) if rng.randrange(2) else (yaml_text(small()), small())
    data = text.encode()
    overrides = [override(rng) for _ in range(rng.choice((1, 1, 2)) if way else 0)]
    if way < 2:
        if rng.randrange(4) == 0:
            data = damaged(rng, data)
        else:
            data = spoilt_json(rng, recipe, yaml_text)
    files = {"run.yaml": data}
    if rng.randrange(8) == 0:
        overrides.append(rng.choice(("init.model=model", "init.text=model", "init.image=model", "init.model=run.yaml")))
        files["model/config.json"] = model_files()["model/config.json"]
        if rng.randrange(2):
            files["model/config.json"] = spoilt_json(rng, changed_value(rng, json.loads(files["model/config.json"])))
    if rng.randrange(20) == 0:
        overrides.append(f"data.train={json.dumps(rng.choice(ODD))}")
    return Example("configuration", files, {"overrides": overrides})
