"""A model directory or weights of any project, opened as what this project makes of them."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints import model_directory
from ..checkpoints.formats.finite_weights import Finite
from ..checkpoints.layouts import official, recognise
from ..checkpoints.layouts.any_source import Source, open_source, read_json
from ..checkpoints.layouts.layout_record import Layout
from ..config.model import PIXEL_PROFILES, ModelConfig
from ..data.vocabulary_file import read_vocab
from ..errors import CheckpointError


@dataclass
class Opened:
    """A source as ours: its layout, the towers, the state with types as stored, and the vocabulary."""

    source: Source
    layout: Layout
    config: ModelConfig
    state: Mapping[str, np.ndarray]
    vocab: Path | None
    notes: list[str]


def open_any(
    path: str | Path,
    vocab: str | Path | None = None,
    settings: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> Opened:
    """An Opened of a model directory or of weights in any known layout, compared with what its model needs."""
    path, options = Path(path), options or {}
    if path.is_dir() and "layout_version" in read_json(path / model_directory.CONFIG):
        state, config, vocab = model_directory.open_model(path, vocab, raw=True)
        state = Finite(state, path)
        source = Source(path, state)
        recognise.add_options(source, official.LAYOUTS[0], options)
        return Opened(source, official.LAYOUTS[0], config, state, vocab, state.notes)
    source = open_source(path, vocab, settings)
    source.state = Finite(source.state, path)
    kind = recognise.recognise(source)
    recognise.add_options(source, kind, options)
    read = recognise.read_source(source, kind)
    notes = read.notes + model_directory.check_state(read.state, read.config, path)
    if read.config.text_tower is None:
        return Opened(source, kind, read.config, read.state, None, notes)
    if source.vocab is None:
        raise CheckpointError(
            f"{path} comes without a vocabulary; put its vocab.txt (one token a line, or `token TAB id`) beside the "
            "weights or name it with --vocab"
        )
    highest, rows = max(read_vocab(source.vocab).values()), read.config.text_tower.vocab_size
    if highest >= rows or kind.whole_vocabulary and highest + 1 < rows:
        raise CheckpointError(
            f"the vocabulary {source.vocab} has {highest + 1:,} tokens but {path} embeds "
            f"{'only ' if highest >= rows else ''}{rows:,}; give the vocabulary that belongs to these weights"
        )
    return Opened(source, kind, read.config, read.state, source.vocab, notes)


def described(opened: Opened) -> list[str]:
    """Lines on what a source is."""
    parts = [f"{opened.source.path}: {opened.layout.name} layout, {len(opened.source.state):,} tensors"]
    for name, tower in opened.config.towers().items():
        sizes = f"{tower.depth} x {tower.width}" if hasattr(tower, "depth") else getattr(tower, "variant", "")
        if name == "image":
            patch = f", patch {tower.patch_size}" if hasattr(tower, "patch_size") else ""
            parts.append(
                f"image tower {tower.kind} {sizes}{patch}, {tower.image_size} px, {pixels_name(opened.config)}"
            )
        else:
            parts.append(f"text tower {tower.kind} {sizes}, {tower.vocab_size:,} tokens")
    if opened.vocab is not None:
        parts.append(f"vocabulary {opened.vocab}")
    notes = [*opened.notes, *wide_range_note(opened)]
    return ["; ".join(parts), *(f"note: {note}" for note in notes)]


def wide_range_note(opened: Opened) -> list[str]:
    """Where pictures of more than 8 bits get other pixels than by the code that the weights come from."""
    pixels = opened.config.pixels
    ours = opened.layout is official.LAYOUTS[0]
    if ours or opened.config.image_tower is None or pixels.decoder != "pil" or pixels.wide_range == "clipped":
        return []
    return [
        "16-bit grey and float pictures keep their greys, where the model's own code makes them white or black; "
        "pixels.wide_range: clipped in config.json does as it does, and no other picture differs"
    ]


def pixels_name(config: ModelConfig) -> str:
    """The pixel profile by its preset's name, or what it is."""
    profile = config.pixels
    for name, preset in PIXEL_PROFILES.items():
        if dataclasses.replace(preset, size=profile.size) == profile:
            return f"pixel profile {name}"
    return f"pixel profile {profile.decoder} {profile.interpolation} {profile.resize}"
