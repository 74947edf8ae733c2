"""What the public release of BriVL computes with stand-in weights, read where the fixtures lie beside the clone."""

import importlib.util
import json

import numpy as np

from ernie_vil2.checkpoints.formats.lazy_tensors import Float32View
from ernie_vil2.checkpoints.layouts.brivl import layout, names
from ernie_vil2.checkpoints.layouts.layout_record import Found

OPTIONS = {"tiny": {"heads": 4, "image_size": 100, "max_length": 24}, "full": {}}
"""What the shapes of a size cannot tell"""


def recipe(folder):
    """The fixtures' own module, which makes the weights."""
    spec = importlib.util.spec_from_file_location("brivl_recipe", folder.parent / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def released(folder, twins=True):
    """The Read of the released file's weights: our configuration and state."""
    state = recipe(folder).checkpoint(str(folder / "manifest.json"), twins)
    read = layout.read(Found(state, folder, OPTIONS[folder.name]))
    read.state = Float32View(read.state)
    return read


def expected(folder):
    """The arrays of expected.npz."""
    return dict(np.load(folder / "expected.npz"))


def lines(folder):
    """The rows of input.jsonl."""
    return [json.loads(line) for line in (folder / "input.jsonl").read_text(encoding="utf-8").splitlines()]


def theirs_of(config):
    """{our key: theirs} of the two plain encoders."""
    found = {}
    for part in (names.IMAGE, names.TEXT):
        found |= {row.ours: f"{part}.{row.theirs}" for row in names.rows(part, config) if row.ours is not None}
    return found
