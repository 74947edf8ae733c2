"""A tower of a user's own: what its layers lack, or have in a form that would go wrong silently, is refused."""

import dataclasses
import logging
from dataclasses import dataclass

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.distributed.fleet.recompute.recompute import logger

from ernie_vil2 import plugins
from ernie_vil2.config.locking import cache_fault
from ernie_vil2.config.optimizer import OptimizerConfig
from ernie_vil2.config.run import RunConfig
from ernie_vil2.config.tower_fields import Tower
from ernie_vil2.config.towers import KINDS, TowerKind, register_tower
from ernie_vil2.errors import ConfigError
from ernie_vil2.models import masks
from ernie_vil2.models.dual_encoder import layer_of, new_model
from ernie_vil2.models.layers import run_blocks
from ernie_vil2.models.towers.batch_norm import BatchNorm
from ernie_vil2.schema import FURTHER
from ernie_vil2.schema import build as build_record
from ernie_vil2.training.locked.tower import tower_key
from ernie_vil2.training.optimization.optimizer import weight_keys
from ernie_vil2.training.rig import build
from tests.conftest import tiny_model_config

KIND = "plain_convolution"


@dataclass
class Config(Tower):
    kind: str = KIND
    image_size: int = 32
    width: int = 32


class Layer(nn.Layer):
    """A convolution, what `between` makes, a Linear."""

    def __init__(self, config, between=nn.Identity, recompute=None):
        super().__init__()
        self.patches, self.between = nn.Conv2D(3, 8, 8, 8), between()
        self.last = nn.Linear(8, config.width)
        if recompute is not None:
            self.recompute = recompute

    def forward(self, pixels):
        again = getattr(self, "recompute", False)
        return self.last(run_blocks([self.between], self.patches(pixels), recompute=again).mean([2, 3]))


@pytest.fixture
def known(monkeypatch):
    """Function (layer=Layer, **of the record) that registers the tower; it is forgotten after the test."""
    for registry in (KINDS, plugins.ORIGINS, plugins.CODE, *FURTHER.values()):
        for key in (KIND, ("tower", KIND)):
            monkeypatch.setitem(registry, key, None)
            monkeypatch.delitem(registry, key)
    return lambda layer=Layer, **named: register_tower(TowerKind(Config, "image", layer, **named))


def of(**options):
    """A layer of these options."""
    return lambda config: Layer(config, **options)


def config_of(folder, **sections):
    model = {
        "max_length": 16,
        "pixels": {"size": 32},
        "image_tower": {"kind": KIND},
        "text_tower": {"vocab_size": 20, "positions": 16, "width": 32, "depth": 1, "heads": 2},
    }
    sections = {"train": {"batch_size": 4, **sections.pop("train", {})}, **sections}
    return build_record(
        RunConfig, {"output": str(folder), "model": model, "data": {"train": "none"}, **sections}, "the test"
    )


@pytest.mark.parametrize(
    ("layer", "record", "sections", "said"),
    [
        (
            Layer,
            {},
            {"train": {"recompute": True}},
            f"recompute has no effect on model.image_tower of kind {KIND}",
        ),
        (
            of(between=lambda: nn.BatchNorm2D(8)),
            {},
            {"train": {"micro_batch": 2}},
            "BatchNorm2D in the image tower takes .* take another norm, or train.micro_batch: 0",
        ),
        (
            of(between=lambda: nn.BatchNorm2D(8), recompute=False),
            {},
            {"train": {"recompute": True}},
            "would move the statistics of BatchNorm2D in the image tower twice",
        ),
        (
            Layer,
            {"manifest": lambda config: {"last.weight": (8, 32), "last.bias": (31,)}},
            {},
            "other tensors than its manifest: visual.last.bias is",
        ),
        (of(between=lambda: nn.Dropout(0.1)), {"keyed_masks": True}, {}, "keyed_masks, but has Paddle's Dropout"),
        (Layer, {"adapted": ("query",)}, {"lora": {"rank": 2, "towers": ["image"]}}, "no layer of it is called query"),
        (Layer, {"adapted": ("patches",)}, {"lora": {"rank": 2, "towers": ["image"]}}, "patches is no Linear"),
        ("no_such_module.Layer", {}, {}, "cannot be built: ModuleNotFoundError"),
        (of(between=lambda: 1 // 0), {}, {}, "cannot be built at test_plugin_layers.py:[0-9]+: ZeroDivisionError"),
    ],
)
def test_what_would_go_wrong_silently_is_refused_before_a_step(known, tmp_path, layer, record, sections, said):
    known(layer, **record)
    with pytest.raises(ConfigError, match=said):
        build(config_of(tmp_path, **sections))


def test_what_is_right_is_taken(known, tmp_path):
    known(of(between=lambda: BatchNorm(8), recompute=False), keyed_masks=True, adapted=("last",))
    rig = build(config_of(tmp_path, train={"recompute": True}, lora={"rank": 2, "towers": ["image"]}))
    assert rig.model.visual.recompute and rig.moving, "a pass moves its statistics, which are saved"
    learning = [name for name, value in rig.model.visual.named_parameters() if not value.stop_gradient]
    assert learning == ["last.lora_a", "last.lora_b"]
    rig.close()
    known(of(between=lambda: masks.Dropout(0.1)), keyed_masks=True)
    build(config_of(tmp_path, train={"micro_batch": 2})).close()


class Wrong(Layer):
    def forward(self, pixels):
        return super().forward(pixels)[:, :5]


class Tuple(Layer):
    def forward(self, pixels):
        return super().forward(pixels), None


@pytest.mark.parametrize(("layer", "said"), [(Wrong, r"gave \[2, 5\] where"), (Tuple, "gave a tuple where")])
def test_embeddings_of_another_shape_are_named_with_their_tower(known, layer, said):
    known(layer)
    model = new_model(dataclasses.replace(tiny_model_config(), image_tower=Config()))
    with pytest.raises(ConfigError, match=f"model.image_tower of kind {KIND} {said}"):
        model.encode_image(paddle.zeros([2, 3, 32, 32]))


def test_patterns_of_a_tower_are_for_models_that_have_it(known, tiny_config):
    config = OptimizerConfig(layer_decay=0.5)
    before = weight_keys(new_model(tiny_config), config)
    known(above_blocks=".*", blocks=r"blocks\.\d+\.mlp\.fc(\d)\.")
    assert weight_keys(new_model(tiny_config), config) == before


def test_a_block_without_a_gradient_is_not_run_in_the_way_of_recompute(known, monkeypatch):
    known(of(recompute=True))
    model = new_model(dataclasses.replace(tiny_model_config(), image_tower=Config()))
    pixels = paddle.to_tensor(np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32))
    monkeypatch.setattr("paddle.distributed.fleet.utils.recompute", None)
    with paddle.no_grad():
        assert model.encode_image(pixels).shape == [2, 32]
    with pytest.raises(TypeError):
        model.encode_image(pixels)


def test_of_a_first_block_under_recompute_nothing_is_said_and_its_weights_learn(known):
    known(of(recompute=True))
    layer, said = layer_of(Config()), []
    layer.patches, layer.between = nn.Identity(), nn.Conv2D(3, 8, 8, 8)
    handler = logging.Handler()
    handler.emit = said.append
    logger.addHandler(handler)
    layer(paddle.ones([2, 3, 32, 32])).sum().backward()
    logger.removeHandler(handler)
    assert not said and float(paddle.abs(layer.between.weight.grad).sum()) > 0


def test_kept_embeddings_of_a_tower_are_those_of_its_code(known, tmp_path, monkeypatch):
    known()
    config = config_of(tmp_path)
    model, keys = new_model(dataclasses.replace(tiny_model_config(), image_tower=Config())), []
    for code in ("", "one", "another"):
        monkeypatch.setattr("ernie_vil2.training.locked.tower.code_digest", lambda *_, code=code: code)
        keys.append(tower_key(model, config))
    assert len(set(keys)) == 3


def test_embeddings_of_a_tower_that_may_draw_are_not_kept(known, tmp_path):
    known()
    config = config_of(tmp_path)
    config.data.augmentation = None
    assert "may draw masks of its own" in cache_fault(config.model, config.data, ("image",), ())
    known(keyed_masks=True)
    assert cache_fault(config.model, config.data, ("image",), ()) is None
