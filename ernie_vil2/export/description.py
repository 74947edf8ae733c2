"""export.json: all that a reader of the exported files must know, in words and numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..files.json_files import write_json
from ..files.marks import written_by
from ..inference.model import Model
from ..versions import installed_version, versions
from .parity import LARGEST_DIFFERENCE, Row
from .pixels_description import pixels_description
from .target import Target
from .tokens_description import tokens_description

DESCRIPTION, FORMAT = "export.json", 1
COMMAND = "export"


def description(
    model: Model, target: Target, weights: str, notes: Sequence[str], rows: Sequence[Row] = ()
) -> dict[str, Any]:
    """What export.json says of a model that was written by a target; rows: what was found by running the files."""
    parts = target.parts(model)
    parts["image"] = {**parts["image"], "pixels": pixels_description(model.config.pixels), **boxes_of(model)}
    parts["text"] = {**parts["text"], "tokens": tokens_description(model.tokenizer)}
    scale = model.logit_scale
    return {
        "format": FORMAT,
        "target": target.name,
        "system": model.config.system,
        "weights": weights,
        "made_by": made_by(target),
        "embedding": {"width": model.embed_dim, "normalise": True},
        "logit_scale": {"value": scale, "of": "cosine similarities, which it multiplies before a softmax"},
        **parts,
        "notes": list(notes),
        "parity": parity_of(rows),
    }


def made_by(target: Target) -> dict[str, str]:
    """{name: version} of what an export is made with, and of what the target's own is made and run with."""
    found = versions() | {name: installed_version(name) for name in target.distributions}
    return {name: version for name, version in found.items() if version}


def boxes_of(model: Model) -> dict[str, Any]:
    """{"boxes": ...} of a model that takes some: what stands for a picture without boxes, in pixels of its input."""
    if not model.most_boxes:
        return {}
    return {"boxes": {"most": model.most_boxes, "default": model.default_boxes().tolist()}}


def parity_of(rows: Sequence[Row]) -> dict[str, Any]:
    """The table of what the files compute against what the network does."""
    return {"bound": LARGEST_DIFFERENCE, "rows": [asdict(row) for row in rows]}


def write_description(folder: Path, content: Mapping[str, Any]) -> None:
    """Write export.json into a folder, with the mark by which the command knows its own."""
    write_json(folder / DESCRIPTION, content, COMMAND)


def is_export(folder: Path) -> bool:
    """Whether a folder says that this project exported it."""
    return written_by(folder / DESCRIPTION, COMMAND)
