"""Which layout a set of keys follows, and a source of any layout as a model of ours."""

import importlib

from ...errors import CheckpointError
from ..tensor_file import Float32View, printable
from . import ernie, ernie_vil, hugging_face, official
from .layouts import Found, Layout, Read
from .source_file import Source

LAYOUTS = [*official.LAYOUTS, *ernie_vil.LAYOUTS, *ernie.LAYOUTS, *hugging_face.LAYOUTS]
for name in ("clip", "paddleclas_vit", "efficientnet"):
    try:
        LAYOUTS += importlib.import_module(f".{name}", __package__).LAYOUTS
    except ModuleNotFoundError:
        pass


def recognise(source: Source) -> Layout:
    """The layout of a source's keys; CheckpointError that shows some of them where none fits."""
    keys = set(source.state)
    for layout in LAYOUTS:
        if layout.fits(keys):
            return layout
    shown = ", ".join(printable(key) for key in list(source.state)[:3])
    raise CheckpointError(
        f"{source.path} is in no layout known here (its {len(keys)} keys begin with {shown}); "
        f"known are {', '.join(layout.name for layout in LAYOUTS)}"
    )


def named(name):
    """The layout of a name, or None."""
    return next((layout for layout in LAYOUTS if layout.name == name), None)


def read_source(source: Source, layout: Layout) -> Read:
    """The source's towers in the release's keys, checked; bits are kept where the layout only copies."""
    state = source.state if layout in official.LAYOUTS else Float32View(source.state)
    found = Found(state, source.path, source.settings, source.vocab, source.tokenizer, source.pixels)
    read = layout.read(found)
    read.notes = [*source.notes, *read.notes]
    return read
