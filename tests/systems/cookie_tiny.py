"""A COOKIE that builds and takes a step in a fraction of a second: `model` of a configuration, and what trains it."""

from dataclasses import replace

from ernie_vil2.config.model import ModelConfig
from ernie_vil2.config.run import ObjectiveConfig, QueueNegatives
from tests.gpu.steps import run_config

SETTINGS = {"layers": 2, "embed_dim": 24, "heads": 3, "feed_forward": 40, "dropout": 0.1}
TOWER = {"width": 32, "depth": 2, "heads": 2}
CNN = {
    "kind": "efficientnet",
    "variant": "b0",
    "width_factor": 0.1,
    "depth_factor": 0.2,
    "image_size": 32,
    "projection": 0,
}
MODEL = {
    "system": "cookie",
    "settings": SETTINGS,
    "max_length": 32,
    "pixels": {"size": 32},
    "image_tower": {**TOWER, "image_size": 32, "patch_size": 8},
    "text_tower": {**TOWER, "vocab_size": 0, "positions": 32, "dropout": 0.1},
}
PAIRS = [["image", "caption"], ["image", "image'", 0.5], ["caption", "caption'", 0.5]]
QUEUE = {"size": 23, "momentum": 0.8}
DATA = {"train": {"kind": "scenes", "size": 50, "image_size": 32, "languages": ["zh"]}, "augmentation": {}}


def tiny_model(towers=None, **settings):
    """MODEL with other settings of the system; towers: {image_tower or text_tower: its other fields}."""
    found = {**MODEL, "settings": {**SETTINGS, **settings}}
    return found | {name: {**MODEL[name], **fields} for name, fields in (towers or {}).items()}


def model_config(image_tower=None, **settings):
    """A ModelConfig of MODEL with a vocabulary of 64 tokens; image_tower: another one, as plain data."""
    found = tiny_model({"text_tower": {"vocab_size": 64}}, **settings)
    return ModelConfig.from_dict(found | ({"image_tower": image_tower} if image_tower else {}))


def cookie_config(folder, dropout=0.1, lr=1e-3, queue=None, settings=None, **train):
    """The RunConfig of a COOKIE on drawn scenes, with all three losses; queue: fields of the negatives."""
    train = {"batch_size": 14, "micro_batch": 7, **train}
    config = run_config(folder, {**TOWER, "depth": 1}, dropout, lr, **train)
    config.model = with_layers(config.model, {"dropout": dropout, **(settings or {})})
    config.objective = ObjectiveConfig(pairs=PAIRS, **({"negatives": QueueNegatives(**queue)} if queue else {}))
    return config


def with_layers(model, settings=None):
    """A COOKIE over the towers of a ModelConfig."""
    return replace(model, system="cookie", settings={**SETTINGS, **(settings or {})})
