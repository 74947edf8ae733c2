"""Which layout a set of keys follows, and a source of any layout as a model of ours."""

from collections.abc import Mapping
from typing import Any

from ...config.model import ModelConfig
from ...config.tower_fields import ACTIVATIONS, EPSILON, MAX_POSITIONS, MAX_SIDE, MAX_WIDTH
from ...errors import CheckpointError, nearest
from ...messages import quoted
from ...schema import WORDS, check_range, coerce
from ..formats.lazy_tensors import Float32View, printable
from . import clip, efficientnet, ernie, ernie_vil, hugging_face, official, paddleclas_vit
from .any_source import Source
from .brivl import layout as brivl
from .brivl import sizes as brivl_sizes
from .layout_record import Found, Layout, Read

MODULES = (official, ernie_vil, ernie, hugging_face, clip, paddleclas_vit, efficientnet, brivl)
LAYOUTS = [layout for module in MODULES for layout in module.LAYOUTS]
OPTIONS = ("activation", "heads", "epsilon", "pixels", "projection")
"""What a user may say of a source that cannot tell it."""
KIND_OF = {
    "heads": (int, 1, MAX_WIDTH),
    "epsilon": (float, EPSILON["minimum"], EPSILON["maximum"]),
    "image_size": (int, 1, MAX_SIDE),
    "max_length": (int, 3, MAX_POSITIONS),
    "projection": (bool,),
    "twins": (bool,),
}
"""{option: its type, least and most}; others are checked where they are used"""
TAKEN = {
    layout.name: taken
    for modules, taken in (
        ((official, ernie_vil), ()),
        ((ernie, hugging_face), OPTIONS[:3]),
        ((efficientnet,), ("pixels",)),
        ((brivl,), brivl_sizes.OPTIONS),
    )
    for module in modules
    for layout in module.LAYOUTS
}
"""Those that a layout takes, where it does not take all."""


def recognise(source: Source, ours: bool = False) -> Layout:
    """The layout of a source's keys; CheckpointError that shows some of them where none fits.

    ours: whether the configuration of a model directory came with it, so that keys of any kind of tower here are ours.
    """
    keys = set(source.state)
    if (ours or "layout_version" in source.settings) and official.of_any_kind(keys):
        return official.LAYOUTS[0]
    for layout in LAYOUTS:
        if layout.fits(keys):
            return layout
    if official.of_any_kind(keys):
        raise CheckpointError(
            f"{source.path} holds towers of another kind than the release's, and its keys do not tell which; "
            "give the config.json of its model directory with --config"
        )
    shown = ", ".join(printable(key) for key in list(source.state)[:3])
    raise CheckpointError(
        f"{source.path} is in no layout known here (its {len(keys)} keys begin with {shown}); "
        f"known are {', '.join(layout.name for layout in LAYOUTS)}"
    )


def named(name: str) -> Layout | None:
    """The layout of a name, or None."""
    return next((layout for layout in LAYOUTS if layout.name == name), None)


def add_options(source: Source, layout: Layout, options: Mapping[str, Any]) -> None:
    """Put what a user says of a source into its settings, where it goes before the rest.

    Raises CheckpointError for an option that the layout does not take, and for an activation that no tower has.
    """
    taken = TAKEN.get(layout.name, OPTIONS)
    for name in options:
        if name not in taken:
            known = f"it takes {', '.join(taken)}" if taken else "it takes none"
            raise CheckpointError(f"the layout {layout.name} takes no option {printable(name)}: {known}")
    asked = dict(options).get("activation", ACTIVATIONS[0])
    if asked not in ACTIVATIONS:
        close = nearest(asked, ACTIVATIONS)
        hint = f"; did you mean activation={close}?" if close else ""
        raise CheckpointError(
            f"the option activation is {quoted(asked)}, but must be one of {', '.join(ACTIVATIONS)}{hint}"
        )
    source.settings = source.settings | {name: option_value(name, value) for name, value in options.items()}


def option_value(name: str, value: Any) -> Any:
    """The value of an option, in its type; ConfigError for one of another type or beyond what a model may have."""
    if name not in KIND_OF:
        return value
    kind, *bounds = KIND_OF[name]
    if kind is bool and not isinstance(value, bool) and not (isinstance(value, str) and value.lower() in WORDS):
        raise CheckpointError(f"the option {name} is {quoted(value)}, but must be true or false")
    found = coerce(kind, value, "the options", name)
    check_range(found, dict(zip(("minimum", "maximum"), bounds, strict=False)), "the options", name)
    return found


def read_source(source: Source, layout: Layout) -> Read:
    """The source's towers in the release's keys, checked; bits are kept where the layout only copies."""
    state = source.state if layout.raw else Float32View(source.state)
    found = Found(state, source.path, source.settings, source.vocab, source.tokenizer, source.pixels)
    read = layout.read(found)
    read.config = ModelConfig.from_dict(read.config.to_dict(), str(source.path))  # what it was told may be absurd
    read.notes = [*source.notes, *read.notes]
    return read
