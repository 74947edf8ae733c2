"""A record per kind of tower says what is built: its tensors, its blocks, and the layers that may be adapted."""

import importlib
import typing
from operator import attrgetter

import paddle
import pytest
from paddle import nn

from ernie_vil2.checkpoints.release_layout import tower_shapes
from ernie_vil2.config.model import ModelConfig
from ernie_vil2.config.tower_fields import (
    EfficientNetConfig,
    ImageTower,
    ImageTowerConfig,
    PaddleClasConfig,
    PaddleNLPConfig,
    TextTower,
    TextTowerConfig,
)
from ernie_vil2.config.towers import KINDS, LIBRARIES, READING, SIDES
from ernie_vil2.models.dual_encoder import DualEncoder, layer_of

VIT = {"image_size": 32, "patch_size": 8, "width": 32, "depth": 3, "heads": 2}
ERNIE = {"vocab_size": 20, "positions": 16, "width": 32, "depth": 11, "heads": 2}
SMALL = (
    ImageTowerConfig(**VIT),
    ImageTowerConfig(**VIT, patch_bias=True, pre_norm=False, projection=8, mlp_ratio=1.5),
    EfficientNetConfig(variant="b0", image_size=32, projection=8),
    EfficientNetConfig(variant="b1", image_size=32, projection=0),
    TextTowerConfig(**ERNIE),
    TextTowerConfig(**ERNIE, projection=8, mlp_ratio=1.5),
)
"""Towers of every kind that is built here, with and without each of its optional tensors"""
BLOCKS = {"vit": 3, "efficientnet": {"b0": 16, "b1": 23}, "ernie": 11}


def built(tower):
    with paddle.LazyGuard():
        return layer_of(tower)


def number(kind, key):
    found = kind.block(key)
    return found and int(found[1])


def name_of(tower):
    return f"{tower.kind}-{tower.projection}"


def test_every_configuration_of_a_tower_has_a_record_on_its_side():
    for side, union in (("image", ImageTower), ("text", TextTower)):
        assert typing.get_args(union) == tuple(kind.config for kind in KINDS.values() if kind.side == side)
    assert all(kind.config().kind == name for name, kind in KINDS.items())
    assert {tower.kind for tower in SMALL} == set(KINDS) - set(LIBRARIES)


def test_the_layer_of_a_record_is_a_layer_and_its_library_is_not_needed_to_name_it():
    for kind in KINDS.values():
        module, _, name = kind.layer.rpartition(".")
        assert issubclass(getattr(importlib.import_module(module), name), nn.Layer)


def test_a_side_is_the_place_of_its_tower_in_a_model():
    towers = {"image_tower": SMALL[1], "text_tower": SMALL[5], "pixels": {"size": 32}, "max_length": 16}
    keys = {key.split(".")[0] + "." for key in DualEncoder(ModelConfig.from_dict(towers)).state_dict()}
    assert keys == {*SIDES.values(), "contrastive_loss_mm."}


@pytest.mark.parametrize("tower", SMALL, ids=name_of)
def test_the_manifest_is_what_is_built(tower):
    kind = KINDS[tower.kind]
    found = {key: tuple(value.shape) for key, value in built(tower).state_dict().items()}
    assert found == kind.manifest(tower)
    assert tower_shapes(tower) == {SIDES[kind.side] + key: shape for key, shape in found.items()}


@pytest.mark.parametrize(("tower", "part"), [(PaddleClasConfig(), "backbone"), (PaddleNLPConfig(), "encoder")])
def test_of_a_librarys_tower_the_manifest_has_the_head_alone(tower, part):
    for projection, shapes in ((0, {}), (8, {"proj.weight": (tower.width, 8), "proj.bias": (8,)})):
        tower.projection = projection
        assert KINDS[tower.kind].manifest(tower) == shapes
    assert KINDS[tower.kind].library_part == f"{part}." and tower.kind in LIBRARIES


@pytest.mark.parametrize("tower", SMALL, ids=name_of)
def test_the_blocks_are_numbered_and_nothing_else_is(tower):
    kind, count = KINDS[tower.kind], BLOCKS[tower.kind]
    count = count if isinstance(count, int) else count[tower.variant]
    keys = list(tower_shapes(tower))
    numbers = [number(kind, key) for key in keys]
    assert {value for value in numbers if value is not None} == set(range(count))
    first, last = numbers.index(0), len(numbers) - 1 - numbers[::-1].index(count - 1)
    assert None not in numbers[first : last + 1], "the manifest lists the blocks together"
    assert [kind.is_above_blocks(key) for key in keys] == [place > last for place in range(len(keys))]


def test_a_pattern_is_for_the_side_of_its_kind_and_a_librarys_for_what_the_library_builds():
    nlp = KINDS["paddlenlp"]
    for key, wanted in {
        "text_model.encoder.encoder.layers.12.linear1.weight": 12,
        "text_model.encoder.layer.3.norm.bias": 3,
        "text_model.encoder.embeddings.word_embeddings.weight": None,
        "visual.encoder.layers.12.linear1.weight": None,
    }.items():
        assert number(nlp, key) == wanted
    assert nlp.is_above_blocks("text_model.encoder.pooler.dense.weight")
    assert not nlp.is_above_blocks("visual.encoder.pooler.dense.weight")
    assert KINDS["paddleclas"].block("visual.backbone.blocks.1.weight") is None
    assert number(KINDS["vit"], "text_model.blocks.1.x") is None


@pytest.mark.parametrize("tower", SMALL, ids=name_of)
def test_the_layers_that_are_adapted_are_one_linear_of_each_name_in_every_block(tower):
    kind, layers = KINDS[tower.kind], dict(built(tower).named_sublayers())
    numbers = {value for key in tower_shapes(tower) if (value := number(kind, key)) is not None}
    for end in kind.adapted:
        found = [name for name in layers if name.endswith(f".{end}")]
        assert {number(kind, f"{kind.prefix}{name}.") for name in found} == numbers and len(found) == len(numbers)
        assert all(isinstance(layers[name], nn.Linear) for name in found)
    attentions = {name.rpartition(".attn.")[2] for name in layers if ".attn." in name}
    assert attentions == {end.removeprefix("attn.") for end in kind.adapted}, "all of an attention's matrices"


def test_what_is_compared_is_there():
    for kind in KINDS.values():
        assert all(hasattr(kind.config(), key) for key in kind.compared)
    assert all(attrgetter(key)(ModelConfig()) is not None for keys in READING.values() for key in keys)
    assert set(READING) == set(SIDES) == {kind.side for kind in KINDS.values()}
