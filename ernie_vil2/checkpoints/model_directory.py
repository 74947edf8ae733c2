"""The model directory: config.json, model.safetensors, vocab.txt; written whole or not at all, refused when not whole.

A directory of an image tower alone has no vocabulary.

config.json is written last and lists the other files: their sizes, the SHA-256 of the vocabulary, and that of the
header of the weights. The header holds a CRC-32 of every tensor, which is compared as the tensor is read (0.2 s for
815 MB, against 0.7 s for a SHA-256 of the file), so a copy that stopped anywhere is an error and never a wrong model.
"""

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..config.model import PLAIN, ModelConfig
from ..config.towers import KINDS, SIDES
from ..errors import CheckpointError, advice
from ..files.atomic import ASIDE, atomic_directory, sync_directory, synced_file
from ..files.json_files import SETTINGS_BYTES, read_json
from ..files.paths.patterns import foreign
from ..files.text import ContentError, read_bytes
from ..messages import quoted
from ..plugins import made_with, origin
from . import release_layout
from .formats.lazy_tensors import FLOATS, Float32View, TensorFile, printable, spec_of
from .formats.paddle_file import refuse_stand_in_at
from .formats.safetensors_file import header_digest, open_safetensors, write_safetensors
from .layouts import ernie_vil, official
from .layouts.any_source import open_source
from .layouts.recognise import read_source, recognise
from .released_vocabulary import VOCAB_BYTES, VOCAB_SOURCE

CONFIG, WEIGHTS, VOCAB = "config.json", "model.safetensors", "vocab.txt"
PADDLENLP_WEIGHTS = "model_state.pdparams"
ENGINES = "engines"
"""A folder in a model directory, of what was built of it and can be built anew; no part of the model."""
PLUGINS = "plugins"
"""Key of "extra" in config.json: modules that a user gave when the model was made"""
LOADED = [*official.LAYOUTS, *ernie_vil.LAYOUTS]


def save_model(
    path: str | os.PathLike,
    state: Mapping[str, Any],
    config: ModelConfig,
    vocab: str | os.PathLike | None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a model directory at `path`, in place of an older one if there is one.

    `state` is {key: array} in the release's layout, `vocab` the vocabulary file that is copied (None for an image tower
    alone), `extra` a JSON-able dictionary kept in config.json under "extra". Until the last moment everything is in
    `<path>.tmp-<process>`; a run that is killed leaves only that. Raises CheckpointError when the state does not fit,
    the target is something else, or the disk refuses.
    """
    check_state(state, config, "the state to be saved")
    path = Path(os.path.realpath(path))
    refuse_other_target(path)
    with atomic_directory(path) as temporary:
        write_directory(temporary, state, config, vocab, extra)


def check_state(state: Mapping[str, np.ndarray], config: ModelConfig, where: str | Path) -> list[str]:
    """Notes on harmless differences of `state` from what `config` needs; CheckpointError for all others.

    The keys of the plain system are known here; those of another one when its model is built (`inference.model.load`),
    which reads none that begin with `unused.`: these may be of any type.
    """
    if config.system == PLAIN:
        return release_layout.check(state, config, where)
    wrong = {key: spec_of(state, key).dtype for key in state if not key.startswith(release_layout.UNUSED)}
    wrong = [f"{printable(key)} ({kind})" for key, kind in wrong.items() if kind not in FLOATS]
    if wrong:
        raise CheckpointError(f"{where}: not floating point: {', '.join(wrong)}; save it again from its training")
    return []


def is_model(path: Path) -> bool:
    """Whether a folder has the configuration of a model, whole or not."""
    return (path / CONFIG).is_file()


def refuse_other_target(path: Path) -> None:
    if path.exists() and not (path.is_dir() and (is_model(path) or not any(path.iterdir()))):
        raise CheckpointError(
            f"{path} exists and is not a model directory, so it is not replaced; choose another name or remove it"
        )


def write_directory(
    folder: Path,
    state: Mapping[str, Any],
    config: ModelConfig,
    vocab: str | os.PathLike | bytes | None,
    extra: Mapping[str, Any] | None,
) -> None:
    folder.mkdir()
    with synced_file(folder / WEIGHTS) as handle:
        write_safetensors(handle, state)
    files = {WEIGHTS: {"bytes": (folder / WEIGHTS).stat().st_size, "header_sha256": header_digest(folder / WEIGHTS)}}
    if config.text_tower is not None:
        vocabulary = vocab if isinstance(vocab, bytes) else read_vocab(vocab)
        with synced_file(folder / VOCAB) as handle:
            handle.write(vocabulary)
        files[VOCAB] = {"bytes": len(vocabulary), "sha256": hashlib.sha256(vocabulary).hexdigest()}
    if needed := plugins_of(config):
        extra = {**(extra or {}), PLUGINS: needed}
    content = {**config.to_dict(), "files": files, **({"extra": extra} if extra is not None else {})}
    with synced_file(folder / CONFIG) as handle:
        handle.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace"))
    sync_directory(folder)


def plugins_of(config: ModelConfig) -> list[str]:
    """The modules that brought the system and the towers of a model, for the sentence where they are not given."""
    brought = [origin("system", config.system), *(origin("tower", tower.kind) for tower in config.towers().values())]
    return sorted(filter(None, set(brought)))


def read_vocab(vocab: str | os.PathLike) -> bytes:
    try:
        data = read_bytes(vocab, VOCAB_BYTES)
    except ContentError as error:
        raise CheckpointError(f"the vocabulary {error.sentence()}; {VOCAB_SOURCE}") from None
    except OSError as error:
        raise CheckpointError(
            f"cannot read the vocabulary {vocab}: {error.strerror or error}; {advice(error, VOCAB_SOURCE)}"
        ) from None
    if not data.strip():
        raise CheckpointError(f"the vocabulary {vocab} is empty; {VOCAB_SOURCE}")
    return data


def open_model(
    path: str | os.PathLike,
    vocab: str | os.PathLike | None = None,
    config: ModelConfig | None = None,
    raw: bool = False,
) -> tuple[Mapping[str, Any], ModelConfig, Path | None]:
    """(state, config, vocabulary path) of a model directory, of a `.pdparams` in the release's keys, or of weights of
    PaddleNLP's ErnieViL (a file or a folder); the path is None for an image tower alone.

    `state` maps keys to float32 arrays and reads a tensor when it is asked for; it may hold the harmless extra keys
    that its list `notes` tells of. With `raw`, arrays keep the type they are stored in (bfloat16 as uint16). `vocab`
    overrides the directory's own; for a `.pdparams` without it, a vocab.txt beside the file is taken. `config` is for
    a `.pdparams` whose configuration its shapes cannot tell. Raises CheckpointError when anything is missing or does
    not fit.
    """
    path = Path(path)
    if path.is_dir() and not (path / PADDLENLP_WEIGHTS).is_file():
        state, config, found = open_directory(path)
    elif path.exists():
        state, config, found = open_other(path, config)
    else:
        waiting = [other for other in path.parent.glob("*") if other.name.startswith(path.name + ASIDE)]
        hint = "give a model directory or a .pdparams file"
        if waiting:
            hint = f"a save that was interrupted left {waiting[0]}: rename it to {path.name}"
        raise CheckpointError(f"{path} does not exist; {foreign(str(path)) or hint}")
    state.notes += check_state(state, config, path)
    if config.text_tower is None:
        return state if raw else Float32View(state), config, None
    vocab = Path(vocab) if vocab is not None else found
    if not vocab.is_file():
        lacking = f"{path} comes without a vocabulary" if vocab == found else f"the vocabulary {vocab} does not exist"
        raise CheckpointError(f"{lacking}; {VOCAB_SOURCE}")
    return state if raw else Float32View(state), config, vocab


def open_other(path: Path, config: ModelConfig | None) -> tuple[Mapping[str, Any], ModelConfig, Path]:
    """(state, config, vocabulary beside it) of weights in the release's layout or in PaddleNLP's of the same model."""
    source = open_source(path)
    kind = recognise(source, ours=config is not None)
    if kind not in LOADED:
        raise CheckpointError(
            f"{path} is in the layout {kind.name}, not the release's (its keys begin with "
            f"{', '.join(list(source.state)[:3])}); make a model directory of it with ernie-vil2 convert"
        )
    vocab = source.vocab or (path if path.is_dir() else path.parent) / VOCAB
    if config is not None and kind in official.LAYOUTS:
        return source.state, config, vocab
    read = read_source(source, kind)
    read.state.notes += read.notes
    return read.state, config or read.config, vocab


def read_listing(path: Path) -> tuple[dict[str, Any], dict[str, tuple[int, str]]]:
    """(what config.json of a model directory says of the model, {file: (its bytes, its checksum)})."""
    try:
        content = read_json(path / CONFIG, most=SETTINGS_BYTES)
        files = content.pop("files")
        extra = content.pop("extra", None)
        names = (WEIGHTS,) if content.get("text_tower", True) is None else (WEIGHTS, VOCAB)
        sums = {name: files[name]["header_sha256" if name == WEIGHTS else "sha256"] for name in names}
        listed = {name: (files[name]["bytes"], sums[name]) for name in names}
        if not all(type(size) is int and size >= 0 and type(digest) is str for size, digest in listed.values()):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f" ({error.reason})" if isinstance(error, ContentError) else ""
        raise CheckpointError(
            f"{path / CONFIG} is damaged{reason}, or another program wrote it; copy the directory again, "
            "or write it with ernie-vil2 convert"
        ) from None
    refuse_unknown(path, content, extra)
    return content, listed


def refuse_unknown(path: Path, content: Mapping[str, Any], extra: Any) -> None:
    """CheckpointError where a model has a tower of a kind that a module brings which was not given; none is imported
    because a file names it."""
    given = [content.get(f"{side}_tower") for side in SIDES]
    kinds = [tower["kind"] for tower in given if isinstance(tower, dict) and isinstance(tower.get("kind"), str)]
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown and (told := made_with(extra, PLUGINS)):
        raise CheckpointError(f"{path} has a tower of kind {quoted(unknown[0])} and {told}")


def refuse_system(path: Path, name: str, known: Collection[str]) -> None:
    """The same of a system that is none of the known ones."""
    if name not in known and (told := made_with(read_json(path / CONFIG, most=SETTINGS_BYTES).get("extra"), PLUGINS)):
        raise CheckpointError(f"{path} is of the system {quoted(name)} and {told}")


def open_directory(path: Path) -> tuple[TensorFile, ModelConfig, Path]:
    """(raw state, config, vocabulary) after comparing the directory with what its config.json lists."""
    if not (path / CONFIG).is_file():
        inside = sorted(path.glob("*.pdparams"))
        hint = f"give {inside[0]} itself" if inside else "name the folder of a run or of ernie-vil2 convert, whole"
        raise CheckpointError(f"{path} is not a model directory: {CONFIG} is missing; {hint}")
    content, listed = read_listing(path)
    for name, (size, _) in listed.items():
        found = (path / name).stat().st_size if (path / name).is_file() else None
        if found != size:
            refuse_stand_in_at(path / name)
            state = "is missing" if found is None else f"has {found:,} bytes where {CONFIG} says {size:,}"
            raise CheckpointError(f"{path / name} {state}: the directory is incomplete; copy or convert it again")
    config = ModelConfig.from_dict(content, str(path / CONFIG))
    actual = {WEIGHTS: header_digest(path / WEIGHTS)}
    if VOCAB in listed:
        actual[VOCAB] = hashlib.sha256(read_vocab(path / VOCAB)).hexdigest()
    state = open_safetensors(path / WEIGHTS)
    for name, (_, digest) in listed.items():
        if actual[name] != digest:
            raise CheckpointError(
                f"{path / name} is not the file that {CONFIG} was written with; copy or convert the directory again"
            )
    return state, config, path / VOCAB
