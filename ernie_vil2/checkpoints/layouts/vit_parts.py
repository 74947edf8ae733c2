"""Vision transformers of other projects: which of their tensors is which of ours, and their sizes from shapes.

A project's layout is a table {key of ours without `visual.`: Part}; `#` stands for the number of a block.
"""

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ...config.model import PIXEL_PROFILES, ModelConfig, PixelProfile
from ...config.tower_fields import ImageTowerConfig
from ...errors import CheckpointError, ConfigError
from ...schema import as_dict, build
from .. import release_layout, release_sizes
from ..formats.lazy_tensors import Float32View, spec_of
from .layout_record import Found, Read
from .mapping import Entry, Mapped, copied, reshaped, transposed

BLOCK = re.compile(r"(?<=\.)\d+(?=\.)")
PUBLISHED_HEADS = {1280: 16, 1408: 16, 1664: 16}
"""width -> heads of the published H, g and G sizes, whose heads are wider than 64 columns"""
OPTIONS = "activation, heads, epsilon, pixels, projection"


@dataclass(frozen=True)
class Part:
    """A tensor elsewhere: its names (several are joined, as query, key and value), and what differs from ours.

    how: same; transposed (torch's Linear, [out, in]); flat (without the leading axes of length 1).
    """

    names: tuple[str, ...]
    how: str = "same"


def pair(ours: str, *theirs: str, how: str = "same") -> dict[str, Part]:
    """{key: Part} of the weight and the bias of a layer; `how` is about the weight."""
    return {
        f"{ours}.weight": Part(tuple(f"{name}.weight" for name in theirs), how),
        f"{ours}.bias": Part(tuple(f"{name}.bias" for name in theirs)),
    }


def entry(part: Part, names: Sequence[str], state: Mapping[str, Any]) -> Entry:
    """The Entry of ours that the tensors `names` of a state make, with the shape that they give."""
    shape = spec_of(state, names[0]).shape
    if part.how == "flat":
        return reshaped(names[0], (1,) * (3 - len(shape)) + shape)
    if len(names) == 1:
        return transposed(names[0], shape[::-1]) if part.how == "transposed" else copied(names[0], shape)
    if any(spec_of(state, name).shape != shape for name in names):
        return Entry(tuple(names), ())  # no shape that fits, so the check names it
    shape = (len(names) * shape[0], *shape[1:])
    return Entry(tuple(names), shape[::-1], lambda *arrays: np.concatenate(arrays).T)


def renamed(
    state: Mapping[str, Any], table: Mapping[str, Part], prefix: str, ignored: Sequence[str] = ()
) -> dict[str, Entry]:
    """{our key: Entry} of what `state` holds under `prefix`; a key that the table lacks stays as it is named there.

    ignored: patterns of keys, without the prefix, to leave out.
    """
    places = {name: (key, part) for key, part in table.items() for name in part.names}
    entries = {}
    for name in state:
        plain = name.removeprefix(prefix)
        if not name.startswith(prefix) or any(re.fullmatch(pattern, plain) for pattern in ignored):
            continue
        number = BLOCK.search(plain)
        found = places.get(BLOCK.sub("#", plain, count=1))
        if found is None:
            entries[name] = copied(name, spec_of(state, name).shape)
            continue
        key, part = (found[0].replace("#", number[0]) if number else found[0]), found[1]
        names = [prefix + (other.replace("#", number[0]) if number else other) for other in part.names]
        if all(other in state for other in names):
            entries[f"visual.{key}"] = entry(part, names, state)
    return entries


def sizes(entries: Mapping[str, Entry], where: str | os.PathLike, depth: Any = None) -> dict[str, Any]:
    """{field of ImageTowerConfig: value} that the shapes of `renamed` entries tell; depth: blocks, where it is known.

    Widths are what most tensors say, so that a single wrong tensor is reported as such. CheckpointError for a depth
    that is no number of blocks.
    """
    if depth is not None and not (type(depth) is int and 0 < depth <= release_sizes.MAX_DEPTH):
        raise CheckpointError(
            f"{where}: its settings say {depth!r} blocks, but a vision transformer has 1 to "
            f"{release_sizes.MAX_DEPTH}; correct them, or take them away to go by the weights"
        )
    shapes = {key: found.shape for key, found in entries.items()}
    width = release_sizes.common_side(shapes, r"visual\.(.+\.)?norm\w+\.(weight|bias)", ImageTowerConfig.width)
    hidden = release_sizes.common_side(shapes, r"visual\.blocks\.\d+\.mlp\.fc1\.bias", 4 * width)
    patch = release_sizes.side(shapes, "visual.patch_embed.proj.weight", 2, ImageTowerConfig.patch_size)
    tokens = release_sizes.side(shapes, "visual.positional_embedding", 1, (224 // patch) ** 2 + 1)
    ratio = hidden / width
    return {
        "image_size": max(1, math.isqrt(max(tokens - 1, 0))) * patch,
        "patch_size": patch,
        "patch_bias": "visual.patch_embed.proj.bias" in shapes,
        "pre_norm": any(key.startswith("visual.norm_pre.") for key in shapes),
        "width": width,
        "depth": depth or release_sizes.blocks(shapes, "visual.blocks", where),
        "heads": PUBLISHED_HEADS.get(width) or release_sizes.heads_of(width),
        "mlp_ratio": ratio if int(width * ratio) == hidden else math.nextafter(ratio, math.inf),
        "projection": release_sizes.side(shapes, "visual.proj.weight", 1, 0),
    }


def tower_read(
    found: Found, entries: dict[str, Entry], fields: dict[str, Any], pixels: PixelProfile, notes: list[str]
) -> Read:
    """The Read of a vision transformer alone.

    entries: as `renamed` gives them. fields: of ImageTowerConfig. pixels: a PixelProfile, whose size becomes that of
    the image. The settings `activation`, `heads`, `epsilon` and `pixels` (the name of a preset or a mapping) win over
    both, and `projection: false` leaves the projection out. Raises one CheckpointError that lists every tensor that is
    missing, unexpected or of another shape, by our names where it has one.
    """
    settings, where = found.settings, found.path
    fields = fields | {key: settings[key] for key in ("activation", "heads", "epsilon") if key in settings}
    if settings.get("projection") is False and entries.pop("visual.proj.weight", None):
        fields["projection"] = 0
        notes = [*notes, "its projection is left out, as asked for"]
    try:
        pixels = chosen(settings.get("pixels"), pixels, fields["image_size"])
        content = {"image_tower": fields, "text_tower": None, "pixels": as_dict(pixels)}
        config = ModelConfig.from_dict(content, str(where))
    except ConfigError as error:
        raise CheckpointError(
            f"{where}: its shapes and settings describe no model: {error}; options are {OPTIONS}"
        ) from None
    order = dict.fromkeys([*release_layout.manifest(config), *entries])
    state = Mapped(as_float32(found.state), {key: entries[key] for key in order if key in entries}, notes)
    release_layout.check(state, config, where)
    return Read(config, state, list(notes))


def chosen(told: Any, default: PixelProfile, size: int) -> PixelProfile:
    """The PixelProfile for images of `size` pixels; `told`: None, the name of a preset, or a mapping of changes."""
    if isinstance(told, str):
        if told not in PIXEL_PROFILES:
            raise ConfigError(f"pixels is {told!r}, but the presets are {', '.join(PIXEL_PROFILES)}")
        default, told = PIXEL_PROFILES[told], None
    # A margin around the crop is for its own size; under a larger size it has no effect.
    margin = default.resize_to if size == default.size or size >= default.resize_to else 0
    return changed(replace(default, size=size, resize_to=margin), told or {})


def changed(profile: PixelProfile, changes: Any) -> PixelProfile:
    """A PixelProfile with other values; ConfigError for a key or a value that it cannot have."""
    if not isinstance(changes, dict):
        raise ConfigError(f"pixels is {changes!r}, but must be the name of a preset or a mapping")
    return build(PixelProfile, as_dict(profile) | changes, "pixels")


def section(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A mapping inside the settings; {} where there is none."""
    found = settings.get(name)
    return found if isinstance(found, dict) else {}


def as_float32(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state with every tensor as float32; a plain mapping of arrays as it is."""
    return Float32View(state) if hasattr(state, "spec") and hasattr(state, "notes") else state


def written(state: Mapping[str, Any], tower: ImageTowerConfig, table: Mapping[str, Part], prefix: str = "") -> Mapped:
    """{their key: array} of our image tower, computed when asked for; `tower`: its ImageTowerConfig.

    Raises CheckpointError where the table has no place for one of our tensors.
    """
    entries = {}
    for key, shape in release_layout.tower_shapes(tower).items():
        plain = key.removeprefix("visual.")
        number = BLOCK.search(plain)
        part = table.get(BLOCK.sub("#", plain, count=1))
        if part is None:
            raise CheckpointError(f"that layout has no place for {key}; write another one")
        names = [prefix + (name.replace("#", number[0]) if number else name) for name in part.names]
        if len(names) > 1:
            entries |= divided(key, shape, names)
        elif part.how == "flat":
            entries[names[0]] = reshaped(key, [side for side in shape if side > 1])
        else:
            entries[names[0]] = transposed(key, shape[::-1]) if part.how == "transposed" else copied(key, shape)
    return Mapped(as_float32(state), entries)


def divided(key: str, shape: Sequence[int], names: Sequence[str]) -> dict[str, Entry]:
    """{name: Entry} of equal parts of one of our tensors along its last axis, such as query, key and value of
    [in, 3 out], transposed."""
    count, sides = len(names), (shape[-1] // len(names), *shape[:-1])
    return {
        name: Entry((key,), sides, partial(lambda index, array: np.split(array, count, -1)[index].T, index), moves=True)
        for index, name in enumerate(names)
    }


def vit_of(config: ModelConfig, name: str) -> ImageTowerConfig:
    """The ImageTowerConfig of a model; CheckpointError when its image tower is something else or absent."""
    if not isinstance(config.image_tower, ImageTowerConfig):
        kind = getattr(config.image_tower, "kind", "absent")
        raise CheckpointError(f"the layout {name} is for vision transformers, but the image tower is {kind}")
    return config.image_tower
