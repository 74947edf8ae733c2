"""The size of a model is known from its configuration, and one that no machine holds is refused before it is built."""

import numpy as np
import pytest

from ernie_vil2.config.model import ModelConfig
from ernie_vil2.config.model_size import MOST_PARAMETERS, elements, parameters
from ernie_vil2.config.tower_fields import EfficientNetConfig, ImageTowerConfig, PaddleNLPConfig, TextTowerConfig
from ernie_vil2.errors import ConfigError
from ernie_vil2.schema import as_dict
from ernie_vil2.systems.registry import system_class

LARGE = {"width": 65536, "heads": 64}
SMALL = {
    "image_tower": {"image_size": 64, "patch_size": 16, "width": 32, "heads": 2, "depth": 2},
    "text_tower": {"vocab_size": 50, "positions": 16, "width": 32, "heads": 2, "depth": 2},
    "max_length": 8,
    "pixels": {"size": 64},
}
SYSTEMS = {
    "ernie_vil2": {},
    "cookie": {"settings": {"heads": 4, "feed_forward": 8}},
    "brivl": {
        "settings": {"embed_dim": 8, "hidden": 16, "feed_forward": 8, "image_heads": 2, "text_heads": 2},
        "fixed_length": True,
    },
}


@pytest.mark.parametrize(
    "model, part",
    [
        ({"image_tower": {**LARGE, "depth": 1000}}, "image_tower"),
        ({"image_tower": {**LARGE, "mlp_ratio": 100.0}}, "image_tower"),
        ({"image_tower": {"patch_size": 1, "image_size": 8192}, "pixels": {"size": 8192}}, "image_tower"),
        ({"text_tower": {**LARGE, "vocab_size": 10**7}}, "text_tower"),
        ({"text_tower": {**LARGE, "positions": 1 << 20}}, "text_tower"),
        ({"text_tower": {"kind": "paddlenlp", "width": 65536, "vocab_size": 10**7}}, "text_tower"),
        ({"system": "cookie", "settings": {"layers": 1000, "feed_forward": 65536}}, "model.settings"),
        ({**SYSTEMS["brivl"], "system": "brivl", "settings": {"embed_dim": 9, "layers": 1000, "feed_forward": 65536}},
         "model.settings"),
    ],
)  # fmt: skip
def test_a_model_that_no_machine_holds_is_refused(model, part):
    with pytest.raises(ConfigError, match=rf"the model has \d.\de\+\d+ parameters, most of them in {part}, and at "):
        config = ModelConfig.from_dict(model, "config.json")
        system_class(config.system).settings(config)


@pytest.mark.parametrize(
    "tower",
    [
        ImageTowerConfig(depth=7, projection=5, patch_bias=True),
        TextTowerConfig(depth=1, token_types=2),
        TextTowerConfig(depth=24, vocab_size=0),
        EfficientNetConfig(variant="l2"),
    ],
)
def test_what_is_counted_is_what_the_tower_holds(tower):
    assert parameters(tower) == elements(tower)


@pytest.mark.parametrize("tower", [ImageTowerConfig(depth=10**9), EfficientNetConfig(depth_factor=1e9)])
def test_sizes_beyond_every_bound_are_counted_too(tower):
    assert parameters(tower) > MOST_PARAMETERS
    assert parameters(PaddleNLPConfig(vocab_size=10**7, width=65536)) > MOST_PARAMETERS


@pytest.mark.parametrize("kind", SYSTEMS)
def test_a_system_counts_nearly_what_its_model_holds(kind):
    config = ModelConfig.from_dict({**SMALL, **SYSTEMS[kind], "system": kind})
    system = system_class(kind)
    held = sum(int(np.prod(value.shape)) for value in system.network(config).state_dict().values())
    assert 0.9 * held < sum(system.parameters(config).values()) <= held


@pytest.mark.parametrize("width", [10**400, "8", True, -1, 65537, None, [8], 1.5, float("nan")])
@pytest.mark.parametrize("kind", SYSTEMS)
def test_a_width_in_settings_is_a_width(kind, width):
    with pytest.raises(ConfigError, match="model.settings.embed_dim is .* but must be a whole number from 0 to 65536"):
        ModelConfig.from_dict({**as_dict(ModelConfig()), "system": kind, "settings": {"embed_dim": width}})


def test_a_plain_model_with_settings_is_refused_where_it_is_built():
    config = ModelConfig.from_dict({**SMALL, "settings": {"embed_dim": 7}})
    with pytest.raises(ConfigError, match="model.settings has embed_dim, but the system ernie_vil2 has none"):
        system_class("ernie_vil2").network(config)
