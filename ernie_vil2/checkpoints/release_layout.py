"""The release's state-dict layout for any size of model: its keys and shapes, how to recognise it, what differs.

Linear weights are [in, out]. Keys and shapes of the base size are those of the published file (350 tensors).
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from ..config.model import ModelConfig
from ..config.tower_fields import ImageTowerConfig, TextTowerConfig, Tower
from ..config.tower_shapes import Shapes
from ..config.towers import KINDS, TowerKind
from .formats.lazy_tensors import FLOATS, Spec, printable, spec_of
from .misfit import MisfitError

TEMPERATURE = "contrastive_loss_mm.temperature_b"
MOMENTUM = "momentum."
"""Beginning of the keys of a copy that followed the model in training, kept beside it"""
UNUSED = "unused."
"""Beginning of the keys of what a system keeps for the way back to its own project, which no model reads"""
HARMLESS = re.compile(r"visual\.classfy\..+|contrastive_loss_((ii|tt)\.temperature_b|(mm|ii|tt)\.bias_b)")
HARMLESS_SHAPES = {
    f"contrastive_loss_{group}.{name}": (1,) for group in ("mm", "ii", "tt") for name in ("temperature_b", "bias_b")
}
RELEASED_DEPTHS = {768: 12, 1024: 24}
ASKED: dict[tuple[TowerKind, str], Shapes] = {}


def manifest(config: ModelConfig) -> Shapes:
    """{key: shape} of every tensor that a model of this configuration needs, in the release's order."""
    towers, shapes = config.towers(), {}
    for tower in towers.values():
        shapes |= tower_shapes(tower)
    return shapes | {TEMPERATURE: (1,)} if len(towers) == 2 else shapes


def open_prefixes(config: ModelConfig) -> tuple[str, ...]:
    """Beginnings of the keys of what another library builds: its own names and shapes, which only it knows."""
    kinds = [KINDS[tower.kind] for tower in config.towers().values()]
    return tuple(kind.prefix + kind.library_part for kind in kinds if kind.library_part)


def tower_shapes(tower: Tower) -> Shapes:
    """{key: shape} of one tower, apart from `open_prefixes`."""
    kind = KINDS[tower.kind]
    shapes = kind.manifest(tower) if kind.manifest is not None else asked_shapes(tower.kind, repr(tower), tower)
    return {kind.prefix + key: shape for key, shape in shapes.items()}


def asked_shapes(name: str, sizes: str, tower: Tower) -> Shapes:
    """{key: shape} as a layer tells them that is built without its numbers, once for each configuration."""
    kind = KINDS[name]
    if (kind, sizes) not in ASKED:
        from paddle import LazyGuard

        with LazyGuard():
            layer = kind.built(tower)
        ASKED[kind, sizes] = {key: tuple(value.shape) for key, value in layer.state_dict().items()}
    return ASKED[kind, sizes]


def without_numbers(key: str) -> str:
    """A key with # in place of the number of a block."""
    return re.sub(r"\.\d+\.", ".#.", key)


COMPLETE = ModelConfig(
    image_tower=ImageTowerConfig(patch_bias=True, projection=768), text_tower=TextTowerConfig(projection=768)
)
"""A model of the release's kinds with every tensor that they may have"""
OFFICIAL = {without_numbers(key) for key in manifest(COMPLETE)}
PADDLENLP = re.compile(r"(ernie_vil\.)?(vision_model\.|text_model\.(embeddings|encoder|pooler\.dense)\.|temperature$)")


def recognise(keys: Iterable[str]) -> str:
    """Name of the layout that most of these keys follow: official, paddlenlp or unknown."""
    keys = list(keys)
    if 2 * sum(without_numbers(key) in OFFICIAL or bool(HARMLESS.fullmatch(key)) for key in keys) > len(keys):
        return "official"
    if 2 * sum(bool(PADDLENLP.match(key)) for key in keys) > len(keys):
        return "paddlenlp"
    return "unknown"


def check(state: Mapping[str, np.ndarray], config: ModelConfig, where: str | os.PathLike) -> list[str]:
    """Notes on harmless differences between `state` and what `config` needs.

    Raises one MisfitError that holds every missing, unexpected, mis-shaped and non-float tensor.
    """
    wanted, found, free = manifest(config), {key: spec_of(state, key) for key in state}, open_prefixes(config)
    unexpected = [key for key in found if key not in wanted and not key.startswith(free)]
    harmless = [
        key
        for key in unexpected
        if HARMLESS.fullmatch(key) and found[key].shape == HARMLESS_SHAPES.get(key, found[key].shape)
    ]
    present = [key for key in found if key in wanted or key in harmless or key.startswith(free)]
    shapes = [
        (key, list(wanted[key]), list(found[key].shape))
        for key in wanted
        if key in found and tuple(found[key].shape) != tuple(wanted[key])
    ]
    problems = {
        "missing": [key for key in wanted if key not in found]
        + [f"{prefix}*" for prefix in free if not any(key.startswith(prefix) for key in found)],
        "unexpected": [printable(key) for key in unexpected if key not in harmless],
        "mis-shaped": [f"{key} (wanted {right}, found {wrong})" for key, right, wrong in shapes],
        "not floating point": [f"{key} ({found[key].dtype})" for key in present if found[key].dtype not in FLOATS],
    }
    problems = {kind: names for kind, names in problems.items() if names}
    if problems:
        raise MisfitError(
            f"{where} does not fit the model",
            problems,
            len(wanted),
            "take the file again from its source, or give the configuration that it was written with",
        )
    return notes(config, found, harmless)


def notes(config: ModelConfig, found: Mapping[str, Spec], harmless: list[str]) -> list[str]:
    """Sentences on what is unusual and harmless in a state that fits."""
    said = []
    if harmless:
        said.append(f"not used by the towers: {', '.join(harmless)}")
    kinds = Counter(spec.dtype for spec in found.values() if spec.dtype != "float32")
    said += [f"{count} tensors are stored as {kind} and read as float32" for kind, count in kinds.items()]
    for name, tower in config.towers().items():
        if hasattr(tower, "depth") and tower.depth != RELEASED_DEPTHS.get(tower.width, tower.depth):
            said.append(
                f"the {name} tower has {tower.depth} blocks of width {tower.width}; "
                f"the release has {RELEASED_DEPTHS[tower.width]}"
            )
    return said
