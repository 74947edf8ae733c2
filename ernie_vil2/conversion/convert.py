"""Convert weights from any layout that is known to another, and check the result by running it.

Everything is written under a temporary name, checked there, and renamed last.
"""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..checkpoints import model_directory
from ..checkpoints import release_layout as layout
from ..checkpoints.formats.finite_weights import Finite
from ..checkpoints.formats.lazy_tensors import Float32View
from ..checkpoints.formats.paddle_file import write_pdparams
from ..checkpoints.layouts import official, recognise
from ..checkpoints.layouts.any_source import Source, open_source, read_json
from ..config.model import PIXEL_PROFILES, ModelConfig
from ..data.tokenizer import read_vocab
from ..errors import CheckpointError
from ..files.atomic import atomic_file, reported, temporary_name
from . import check as conversion_check
from .targets import write_paddlenlp, write_torch
from .their_models import Result, fixed_inputs

TARGETS = ("model-dir", "official", "paddlenlp", "torch")


@dataclass
class Opened:
    """A source as ours: its layout, the towers, the state with types as stored, and the vocabulary."""

    source: Source
    layout: object
    config: ModelConfig
    state: Mapping
    vocab: Path | None
    notes: list


def convert(source, target, to=None, vocab=None, settings=None, options=None, check=True, replace=False) -> list:
    """Write `target` from `source` and return lines that say what was recognised, left out, checked and written.

    to: one of TARGETS; by default `official` for a name that ends with .pdparams, else `model-dir`. A target that
    exists is refused unless `replace` is set. vocab and settings (a config.json) go before those beside the source;
    options {name: value} say what it cannot tell: activation, heads, epsilon, pixels (a preset's name or a mapping),
    projection (false leaves it out). With `check`, the result is loaded
    back and compared with the source on fixed inputs, and the record of it is kept in config.json. Raises UserError and
    writes nothing when the source does not fit, is not finite, has no form in the wanted layout, or the check fails.
    """
    target = Path(target)
    to = to or ("official" if target.suffix == ".pdparams" else "model-dir")
    if to not in TARGETS:
        raise CheckpointError(f"--to is {to!r}; give one of {', '.join(TARGETS)}")
    refuse_target(target, Path(source), to, replace)
    opened = open_any(source, vocab, settings, options or {})
    lines = described(opened)
    write = {"model-dir": write_model, "official": write_official, "paddlenlp": write_paddlenlp, "torch": write_torch}
    said = write[to](opened, target, check)
    return [*lines, *said, f"wrote {target}"]


def refuse_target(target, source, to, replace):
    """CheckpointError for a target that would destroy something, or whose name is that of another layout."""
    if target.suffix == ".pdparams" and to != "official":
        raise CheckpointError(
            f"--to {to} writes a folder, but {target} is the name of a file; leave out the ending, or leave out --to "
            "for the release's file"
        )
    place, origin = target.resolve(), source.resolve()
    if place == origin or place in origin.parents:
        what = "the source itself" if place == origin else f"the folder that holds the source {source}"
        raise CheckpointError(f"{target} is {what}; give another place for the result")
    empty = target.is_dir() and not any(target.iterdir())
    if target.exists() and not empty and not replace:
        raise CheckpointError(
            f"{target} exists, so nothing was written; choose another name, or give --replace to replace it"
        )


def open_any(path, vocab=None, settings=None, options=()) -> Opened:
    """An Opened of a model directory or of weights in any known layout, compared with what its model needs."""
    path = Path(path)
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
    notes = read.notes + layout.check(read.state, read.config, path)
    if read.config.text_tower is None:
        return Opened(source, kind, read.config, read.state, None, notes)
    if source.vocab is None:
        raise CheckpointError(
            f"{path} comes without a vocabulary; put its vocab.txt (one token a line, or `token TAB id`) beside the "
            "weights or name it with --vocab"
        )
    highest, rows = max(read_vocab(source.vocab).values()), read.config.text_tower.vocab_size
    if highest >= rows:
        raise CheckpointError(
            f"the vocabulary {source.vocab} has {highest + 1:,} tokens but {path} embeds only {rows:,}; "
            "give the vocabulary that belongs to these weights"
        )
    return Opened(source, kind, read.config, read.state, source.vocab, notes)


def described(opened):
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
    return ["; ".join(parts), *(f"note: {note}" for note in opened.notes)]


def pixels_name(config):
    """The pixel profile by its preset's name, or what it is."""
    profile = config.pixels
    for name, preset in PIXEL_PROFILES.items():
        if dataclasses.replace(preset, size=profile.size) == profile:
            return f"pixel profile {name}"
    return f"pixel profile {profile.decoder} {profile.interpolation} {profile.resize}"


def write_model(opened, target, check):
    """Write a model directory; lines about its check."""
    model_directory.refuse_other_target(target)
    made = temporary_name(target.with_name(f"{target.name}.unchecked"))
    extra = {"converted_from": opened.layout.name}
    try:
        model_directory.save_model(made, opened.state, opened.config, opened.vocab, extra=extra)
        said = []
        if check:
            record = checked_directory(opened, made)
            content = read_json(made / model_directory.CONFIG, required=True)
            content["extra"]["check"] = record
            with reported(target), atomic_file(made / model_directory.CONFIG) as handle:
                handle.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))
            said.append(conversion_check.sentence(record))
        with reported(target):
            model_directory.replace_directory(made, target.resolve())
        return said
    finally:
        shutil.rmtree(made, ignore_errors=True)


def checked_directory(opened, made):
    """The record of comparing a model directory with the source it was made from."""
    from ..inference.model import load

    inputs = fixed_inputs(opened.config)
    if opened.layout in official.LAYOUTS:
        theirs, reason = run_official(opened, inputs), None
    else:
        theirs, reason = conversion_check.theirs_or_reason(opened.source, opened.layout.name, opened.config, inputs)
    network = load(made).network
    ours = {} if theirs is None else conversion_check.run_ours(network, inputs)
    return conversion_check.check_record(theirs, ours, inputs, reason)


def run_official(opened, inputs):
    """The Result of weights in the release's own keys, run from the source."""
    network = conversion_check.network_of(Float32View(opened.state), opened.config)
    how = "this project, from the source's file"
    return Result(conversion_check.run_ours(network, inputs), how, {})


def write_official(opened, target, check):
    """Write a `.pdparams` in the release's keys; lines about it."""
    if len(opened.config.towers()) < 2:
        raise CheckpointError(
            f"{opened.source.path} holds only the {', '.join(opened.config.towers())} tower, while the release's file "
            "holds both; write a model directory instead"
        )
    write_pdparams(target, opened.state)
    return ["note: a .pdparams holds no configuration; keep config.json and give it with --config to come back"]
