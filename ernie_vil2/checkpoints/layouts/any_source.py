"""Open whatever weights a user has: a file of Paddle, safetensors or torch, or a folder of one with its settings."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import CheckpointError, advice
from ...files import json_files
from ...files.paths.patterns import foreign
from ...files.plain import open_plain
from ..formats.lazy_tensors import Spec, TensorFile, printable, spec_of
from ..formats.paddle_file import open_pdparams, refuse_stand_in
from ..formats.safetensors_file import open_safetensors
from ..formats.torch_file import is_torch, open_torch

SHARDED = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
WEIGHTS = (
    "model.safetensors",
    "open_clip_model.safetensors",
    "model_state.pdparams",
    "pytorch_model.bin",
    "open_clip_pytorch_model.bin",
)
SUFFIXES = (".safetensors", ".pdparams", ".bin", ".pt", ".pth")
SETTINGS = ("config.json", "model_config.json", "open_clip_config.json")
WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.", "_forward_module.")
"""What data parallel, compiled and other wrapped models put in front of every key."""
KNOWN_HEAD = re.compile(
    rb"\x80|\}q\x00|\(?[ci][\w.]+\n[\w.]+\n"  # pickles of any protocol
    rb"|PK\x03\x04|\x1f\x8b|\x00{8}"
)


@dataclass
class Source:
    """An opened source: its tensors, raw and lazy, and the files beside them; notes say what was chosen or stripped."""

    path: Path
    state: Mapping
    settings: dict = field(default_factory=dict)
    tokenizer: dict = field(default_factory=dict)
    pixels: dict = field(default_factory=dict)
    vocab: Path | None = None
    notes: list = field(default_factory=list)


class Renamed(Mapping):
    """The tensors of other mappings under other keys: {key: (mapping, key there)}."""

    def __init__(self, places: Mapping[str, tuple[Mapping, str]], notes: Iterable[str] = ()):
        self.places, self.notes = places, list(notes)

    def __len__(self):
        return len(self.places)

    def __iter__(self):
        return iter(self.places)

    def __contains__(self, key):
        return key in self.places

    def spec(self, key: str) -> Spec:
        """Type and shape of a tensor."""
        state, name = self.places[key]
        return spec_of(state, name)

    def __getitem__(self, key):
        state, name = self.places[key]
        return state[name]


def open_source(
    path: str | os.PathLike, vocab: str | os.PathLike | None = None, settings: str | os.PathLike | None = None
) -> Source:
    """The Source at `path`, a file or a folder; `vocab` and `settings` (path of a config.json) go before its own.

    Nothing is executed. Raises CheckpointError when there are no weights, or they cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        weights, folder = weights_of(path), path
        state, notes = open_shards(weights) if weights.name in SHARDED else (open_weights(weights), [])
        notes = [f"weights are in {weights.name}", *notes]
    elif path.exists():
        state, notes = open_shards(path) if path.name in SHARDED else (open_weights(path), [])
        folder = path.parent if path.name in WEIGHTS + SHARDED else None
    else:
        hint = foreign(str(path)) or "give a weights file, or the folder of a model"
        raise CheckpointError(f"{path} does not exist; {hint}")
    notes += state.notes
    state, stripped = unwrapped(state)
    source = Source(path, state, notes=notes + stripped)
    if folder is not None:
        found = [folder / name for name in SETTINGS if (folder / name).is_file()]
        source.settings = read_json(found[0]) if found else {}
        source.tokenizer = read_json(folder / "tokenizer_config.json")
        source.pixels = read_json(folder / "preprocessor_config.json")
    if settings is not None:
        source.settings = read_json(Path(settings), required=True)
    beside = (folder or path.parent) / "vocab.txt"
    source.vocab = Path(vocab) if vocab is not None else beside if beside.is_file() else None
    if source.vocab is not None and not source.vocab.is_file():
        raise CheckpointError(f"the vocabulary {source.vocab} does not exist; give the vocab.txt of these weights")
    return source


def weights_of(folder: Path) -> Path:
    """The weights file of a folder: one of the known names, or the only file that looks like one."""
    for name in (*SHARDED[:1], *WEIGHTS[:3], *SHARDED[1:], *WEIGHTS[3:]):
        if (folder / name).is_file():
            return folder / name
    others = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())
    if len(others) != 1:
        named = ", ".join(path.name for path in others[:4])
        if others:
            raise CheckpointError(f"{folder} holds several weights files ({named}); give one of them by its name")
        inside = sorted(path.parent for name in WEIGHTS + SHARDED for path in folder.glob(f"*/{name}"))
        if inside:
            names = " and ".join(dict.fromkeys(str(found) for found in inside))
            raise CheckpointError(f"{folder} holds no weights itself, but {names} do; give one of them")
        raise CheckpointError(
            f"{folder} holds no weights ({', '.join(WEIGHTS[:4])} or one other file of {', '.join(SUFFIXES)}); "
            "give the weights file itself, or take the folder again"
        )
    return others[0]


def open_weights(path: Path) -> TensorFile:
    """The tensors of one file, by its first bytes and not by its name."""
    try:
        with open_plain(path) as handle:
            head = handle.read(512)
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path}: {error.strerror or error}; {advice(error, 'give the path of a weights file')}"
        ) from None
    refuse_unknown(head, path)
    if is_torch(head):
        return open_torch(path)
    if head[8:9] == b"{" or path.suffix == ".safetensors":
        return open_safetensors(path)
    if path.suffix in (".bin", ".pt", ".pth", ".ckpt"):
        return open_torch(path)
    return open_pdparams(path)


def refuse_unknown(head: bytes, path: Path) -> None:
    """CheckpointError for a file whose first bytes are those of no kind of weights, nor of what a reader names."""
    refuse_stand_in(head, path)
    if not head or KNOWN_HEAD.match(head) or head[8:9] == b"{" or head[257:262] == b"ustar":
        return
    raise CheckpointError(
        f"{path} is no weights file of torch, Paddle or safetensors (it begins with "
        f"'{printable(head[:24].decode('latin-1'))}'); give the weights file itself"
    )


def open_shards(path: Path) -> tuple[Renamed, list[str]]:
    """(the tensors of several files as one mapping, notes) by an index `{"weight_map": {key: file}}` beside them."""
    index = read_json(path, required=True).get("weight_map")
    good = type(index) is dict and index and all(type(name) is str for name in index.values())
    if not good or any(Path(name).name != name or name in ("", ".", "..") for name in index.values()):
        raise CheckpointError(f"{path} does not say which file beside it holds which tensor; take the folder again")
    files = {name: open_weights(path.parent / name) for name in sorted(set(index.values()))}
    absent = [key for key, name in index.items() if key not in files[name]]
    if absent:
        raise CheckpointError(
            f"{path} names {len(absent)} tensors that its files do not hold ({printable(absent[0])} first); "
            "take the folder again"
        )
    notes = [f"{len(files)} files of weights", *(note for file in files.values() for note in file.notes)]
    return Renamed({key: (files[name], key) for key, name in index.items()}), notes


def unwrapped(state: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[str]]:
    """(the state without a prefix that all its keys have because the model was wrapped, notes)."""
    prefix = ""
    while found := next((word for word in WRAPPERS if all(key.startswith(prefix + word) for key in state)), None):
        prefix += found
    if not prefix:
        return state, []
    places = {key[len(prefix) :]: (state, key) for key in state}
    return Renamed(places), [f"every key begins with `{prefix}`, which is taken off"]


def read_json(path: Path, required: bool = False) -> dict[str, Any]:
    """The dictionary in a JSON file; {} where there is none and none is required."""
    if not required and not path.is_file():
        return {}
    try:
        content = json_files.read_json(path, most=json_files.SETTINGS_BYTES)
        if type(content) is not dict:
            raise ValueError("not a dictionary")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", error)
        fix = getattr(error, "fix", None) or advice(error, "correct it, or take it again from its source")
        raise CheckpointError(f"cannot read {path} ({reason}); {fix}") from None
    return content
