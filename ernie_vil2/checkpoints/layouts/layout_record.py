"""What a layout of weights is to the converter; every module that knows one lists it in `LAYOUTS` there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...config.model import ModelConfig


@dataclass
class Found:
    """A state that a layout has recognised.

    state: {key: array} without the `prefix` that all keys had (such as `module.`). settings: what the source says of
    itself (its config.json or the like), {} for nothing. path: where it came from. vocab: a vocabulary, or None.
    tokenizer, pixels: its tokenizer_config.json and preprocessor_config.json, {} where there is none.
    """

    state: Mapping
    path: Path
    settings: dict = field(default_factory=dict)
    vocab: Path | None = None
    tokenizer: dict = field(default_factory=dict)
    pixels: dict = field(default_factory=dict)


@dataclass
class Read:
    """A recognised state as ours: one tower or both, in the release's keys; notes say what was left out or assumed."""

    config: ModelConfig
    state: Mapping
    notes: list = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    """One way to name and shape the weights of a model.

    name: for people and for `--to`. fits(keys) tells whether a set of keys is of this layout. read(found) gives a Read;
    CheckpointError lists what is missing or mis-shaped. write(state, config) is the way back, {key: array}, or None
    where there is none; settings(config) is what belongs into the config.json beside what `write` gives. raw: `read`
    gets tensors in the types that they are stored in, else as float32. whole_vocabulary: its word embedding has a row
    for every token and no other.
    """

    name: str
    fits: Callable
    read: Callable
    write: Callable | None = None
    settings: Callable | None = None
    raw: bool = False
    whole_vocabulary: bool = False
