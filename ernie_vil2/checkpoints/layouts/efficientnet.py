"""EfficientNets of PaddleClas (`EfficientNetB0` to `B7`) and timm (`tf_efficientnet_b0` to `b7`, `l2`) as image towers.

The classifier is left out: the embedding is the pooled feature map, and a run with a projection puts its own head on
it. Convolutions and batch norms are shaped alike everywhere, so every tensor is copied bit for bit.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...config.model import IMAGENET_MEAN, IMAGENET_STD, PIXEL_PROFILES, ModelConfig, PixelProfile
from ...config.tower_fields import EFFICIENTNETS, EfficientNetConfig
from ...errors import CheckpointError, ConfigError
from ..efficientnet_sizes import scaled
from ..formats.lazy_tensors import spec_of
from ..release_layout import tower_shapes
from . import shapes
from .layout_record import Found, Layout, Read
from .mapping import Mapped, copied
from .vit_parts import chosen, section

PADDLECLAS_NAME, TIMM_NAME = "PaddleClas EfficientNet", "timm EfficientNet"
TORCH_NORM = {"weight": "weight", "bias": "bias", "_mean": "running_mean", "_variance": "running_var"}
CROPS = {
    "b0": 0.875,
    "b1": 0.882,
    "b2": 0.89,
    "b3": 0.904,
    "b4": 0.922,
    "b5": 0.934,
    "b6": 0.942,
    "b7": 0.949,
    "l2": 0.96,
}
"""Share of the short side that timm's evaluation keeps, for its tf_efficientnet weights"""
TIMM_EPSILONS = {"same": 1e-3, "dynamic": 1e-5}
"""What timm runs batch norms with, for tf_efficientnet and efficientnet, unless bn_eps says another"""
PADDLECLAS_MARGIN = 32
"""Pixels that PaddleClas's evaluation resizes beyond the crop"""
PADDLECLAS = {
    "expand_conv": "_ecn._conv._conv._conv",
    "expand_norm": "_ecn._conv._bn",
    "depthwise_conv": "_dcn._conv._conv._conv",
    "depthwise_norm": "_dcn._conv._bn",
    "squeeze": "_se._conv1._conv",
    "excite": "_se._conv2._conv",
    "project_conv": "_pcn._conv._conv._conv",
    "project_norm": "_pcn._conv._bn",
    "stem_conv": "_ef._conv_stem._conv._conv._conv",
    "stem_norm": "_ef._conv_stem._conv._bn",
    "head_conv": "_conv._conv._conv",
    "head_norm": "_conv._bn",
}
TIMM = {"stem_conv": "conv_stem", "stem_norm": "bn1", "head_conv": "conv_head", "head_norm": "bn2"}
TIMM_BLOCK = {
    "expand_conv": "conv_pw",
    "expand_norm": "bn1",
    "depthwise_conv": "conv_dw",
    "depthwise_norm": "bn2",
    "squeeze": "se.conv_reduce",
    "excite": "se.conv_expand",
    "project_conv": "conv_pwl",
    "project_norm": "bn3",
}
TIMM_FIRST = {**TIMM_BLOCK, "depthwise_norm": "bn1", "project_conv": "conv_pw", "project_norm": "bn2"}
"""The blocks of the first stage have no expansion, so their layers count from another place"""
Spots = Sequence[tuple[int, int]]
"""The stage and the place in it of every block"""
KeyName = Callable[[str, Spots], str]
"""Their name of one of our keys, by the spots of blocks"""


def places(config: EfficientNetConfig) -> list[tuple[int, int]]:
    """(stage, place in it) of every block, in order."""
    return [(stage, place) for stage, count in enumerate(config.stage_depths()) for place in range(count)]


def paddleclas_key(key: str, spots: Spots) -> str:
    """PaddleClas's name of one of our keys: the first block of a stage is one of `_blocks`, its others of `block`."""
    parts = key.split(".")[1:]
    if parts[0] != "blocks":
        return f"{PADDLECLAS[parts[0]]}.{parts[1]}"
    index = int(parts[1])
    group = "block" if spots[index][1] else "_blocks"
    return f"_ef.{group}.{index}..{PADDLECLAS[parts[2]]}.{parts[3]}"


def timm_key(key: str, spots: Spots) -> str:
    """timm's name of one of our keys."""
    *layer, value = key.split(".")[1:]
    if layer[-1].endswith("norm"):
        value = TORCH_NORM[value]
    if layer[0] != "blocks":
        return f"{TIMM[layer[0]]}.{value}"
    stage, place = spots[int(layer[1])]
    names = TIMM_BLOCK if stage else TIMM_FIRST
    return f"blocks.{stage}.{place}.{names[layer[2]]}.{value}"


def read_paddleclas(found: Found) -> Read:
    """A Read of PaddleClas's weights, with its evaluation's pixels."""
    config = recognised(found, paddleclas_key)
    size = config.image_size
    profile = replace(PIXEL_PROFILES["paddleclas"], size=size, resize_to=size + PADDLECLAS_MARGIN)
    return finished(found, config, profile, paddleclas_key, PADDLECLAS_NAME, [])


def read_timm(found: Found) -> Read:
    """A Read of timm's weights; its config.json, where there is one, says which pixels and which padding."""
    config, notes = recognised(found, timm_key), []
    architecture = str(found.settings.get("architecture", ""))
    if architecture.startswith("efficientnet_"):
        config.padding, config.epsilon = "dynamic", TIMM_EPSILONS["dynamic"]
    elif not architecture:
        notes.append(
            f"taken for timm's tf_efficientnet_{config.variant} with the pixels of its ns weights; other EfficientNets "
            "of timm have the same keys and another padding: put its config.json beside the weights"
        )
    if isinstance(epsilon := section(found.settings, "model_args").get("bn_eps"), float) and epsilon > 0:
        config.epsilon = epsilon
    about = section(found.settings, "pretrained_cfg") or found.settings
    lacking = [name for name in ("input_size", "crop_pct", "interpolation", "mean", "std") if not about.get(name)]
    if architecture and lacking and "pixels" not in found.settings:
        notes.append(
            f"its config.json does not say {', '.join(lacking)} of its pixels: those of timm's "
            f"tf_efficientnet_{config.variant} are assumed"
        )
    profile = timm_profile(config.variant, about)
    return finished(found, config, profile, timm_key, TIMM_NAME, notes)


def timm_profile(variant: str, about: Mapping[str, Any]) -> PixelProfile:
    """The PixelProfile of timm's evaluation; about: its `pretrained_cfg`, {} for that of the ns weights."""
    size = int((about.get("input_size") or EFFICIENTNETS[variant][2:])[-1])
    return PixelProfile(
        decoder="pil",
        interpolation="linear" if about.get("interpolation") == "bilinear" else "bicubic",
        resize="torchvision",
        size=size,
        resize_to=math.floor(size / (about.get("crop_pct") or CROPS[variant])),
        mean=tuple(about.get("mean") or IMAGENET_MEAN),
        std=tuple(about.get("std") or IMAGENET_STD),
    )


def paddleclas_counts(keys: Collection[str]) -> list[int]:
    """Blocks of every stage by PaddleClas's keys, where a stage begins at every one of `_blocks`."""
    found = {int(match[2]): match[1] for key in keys if (match := re.match(r"_ef\.(_blocks|block)\.(\d{1,4})\.", key))}
    starts = [index for index, group in sorted(found.items()) if group == "_blocks"]
    return [end - start for start, end in zip(starts, [*starts[1:], len(found)], strict=True)]


def timm_counts(keys: Collection[str]) -> list[int]:
    """Blocks of every stage by timm's keys."""
    found = [match for key in keys if (match := re.match(r"blocks\.(\d{1,4})\.(\d{1,4})\.", key))]
    most = {}
    for stage, place in (map(int, match.groups()) for match in found):
        most[stage] = max(most.get(stage, 0), place + 1)
    return [count for _, count in sorted(most.items())]


COUNTS = {paddleclas_key: paddleclas_counts, timm_key: timm_counts}


def recognised(found: Found, name: KeyName) -> EfficientNetConfig:
    """The EfficientNetConfig, without a head, whose tensors these keys are: a published variant, or factors of b0;
    CheckpointError when there is none."""
    channels = shapes.sides(found.state, name("visual.head_conv.weight", []), found.path, 4)[0]
    for variant, (_, _, size) in EFFICIENTNETS.items():
        config = EfficientNetConfig(variant=variant, image_size=size, padding="same", projection=0)
        spots = places(config)
        last = name(f"visual.blocks.{len(spots) - 1}.depthwise_conv.weight", spots)
        beyond = name(f"visual.blocks.{len(spots)}.depthwise_conv.weight", [*spots, (6, spots[-1][1] + 1)])
        if channels == config.width and last in found.state and beyond not in found.state:
            return config
    base = EfficientNetConfig(variant="b0", image_size=EFFICIENTNETS["b0"][2], padding="same", projection=0)
    counts = COUNTS[name](found.state)
    spots = [(stage, place) for stage, count in enumerate(counts) for place in range(count)]

    def width(key):
        theirs = name(key, spots)
        return next(iter(spec_of(found.state, theirs).shape), None) if theirs in found.state else None

    config = scaled(base, counts, width)
    if config is None or channels != config.width:
        raise CheckpointError(
            f"{found.path}: an EfficientNet with {channels} features whose blocks are not those of "
            f"{', '.join(EFFICIENTNETS)}; convert one of these"
        )
    return config


def finished(
    found: Found, config: EfficientNetConfig, profile: PixelProfile, name: KeyName, layout: str, notes: list[str]
) -> Read:
    """The Read of a recognised state; CheckpointError lists what is missing or mis-shaped.

    The setting `pixels`, the name of a preset or a mapping, goes before the profile.
    """
    told = found.settings.get("pixels")
    try:
        profile = chosen(told, profile, told.get("size", profile.size) if isinstance(told, dict) else profile.size)
    except ConfigError as error:
        raise CheckpointError(f"{found.path}: {error}; correct the pixels that were given for it") from None
    config.image_size = profile.size
    spots = places(config)
    entries = {key: copied(name(key, spots), shape) for key, shape in tower_shapes(config).items()}
    wanted = {entry.sources[0]: entry.shape for entry in entries.values()}
    shapes.check(found.state, wanted, found.path, f"{layout} (variant {config.variant})")
    counted = [key for key in found.state if key.endswith("num_batches_tracked")]  # torch's, of no use
    notes = [*notes, *shapes.left_out(found.state, {*wanted, *counted})]
    return Read(ModelConfig(image_tower=config, text_tower=None, pixels=profile), Mapped(found.state, entries), notes)


def written(state: Mapping[str, Any], config: ModelConfig, name: KeyName) -> dict[str, Any]:
    """{their key: array} of an image tower without a head."""
    tower = config.image_tower
    if tower is None or tower.kind != "efficientnet" or tower.projection:
        raise CheckpointError(
            "only an EfficientNet image tower without a projection can be written like this, as theirs ends in a "
            "classifier; choose another layout"
        )
    spots = places(tower)
    return {name(key, spots): state[key] for key in tower_shapes(tower)}


def write_paddleclas(state: Mapping[str, Any], config: ModelConfig) -> dict[str, Any]:
    """{key: array} of an image tower in PaddleClas's names, without the classifier."""
    return written(state, config, paddleclas_key)


def write_timm(state: Mapping[str, Any], config: ModelConfig) -> dict[str, Any]:
    """{key: array} of an image tower in timm's names, without the classifier."""
    return written(state, config, timm_key)


def has(*wanted: str) -> Callable[[Collection[str]], bool]:
    """A function of keys: whether all of these are among them."""
    return lambda keys: set(wanted) <= set(keys)


LAYOUTS = [
    Layout(
        PADDLECLAS_NAME,
        has("_ef._conv_stem._conv._conv._conv.weight", "_ef._blocks.0.._se._conv1._conv.weight"),
        read_paddleclas,
        write_paddleclas,
    ),
    Layout(
        TIMM_NAME,
        has("conv_stem.weight", "conv_head.weight", "blocks.0.0.se.conv_reduce.weight", "blocks.1.0.conv_pwl.weight"),
        read_timm,
        write_timm,
    ),
]
