"""Weights: files of every format and folders of every project, damaged as bytes and as what they are made of."""

import functools
import json
import random
import struct
from pathlib import Path

import numpy as np

from ernie_vil2.checkpoints.formats.lazy_tensors import Spec
from ernie_vil2.checkpoints.layouts.any_source import Source, open_source
from ernie_vil2.checkpoints.layouts.recognise import read_source, recognise
from ernie_vil2.checkpoints.model_directory import check_state, open_model
from ernie_vil2.conversion.opened import described, open_any
from ernie_vil2.data.vocabulary_file import read_vocab
from ernie_vil2.errors import CheckpointError, ConfigError, DataError
from tests.checkpoints.layouts.brivl_weights import released
from tests.checkpoints.layouts.foreign import SETTINGS, ernie_vil, paddle_ernie, torch_bert
from tests.fuzz.damage import damaged
from tests.fuzz.example import Example
from tests.fuzz.judge import Target
from tests.fuzz.pickles import spoilt_pickle, spoilt_zip, zipped_again
from tests.fuzz.values import changed_value, json_text, spoilt_json
from tests.fuzz.weight_files import (
    foreign_folders,
    members,
    model_files,
    sharded_folder,
    single_files,
    small_state,
    vocabulary,
)  # fmt: skip


def opened(example: Example, folder: object) -> None:
    """Open the weights and read every tensor."""
    state = open_source(folder / example.told["path"]).state
    for key in state:
        state[key]


def loaded(example: Example, folder: object) -> None:
    """Open a model directory and read every tensor."""
    state, _, vocab = open_model(folder / "model")
    if vocab is not None:
        read_vocab(vocab)
    for key in state:
        state[key]


def converted(example: Example, folder: object) -> None:
    """Open what may be of any project, as `convert` does, and read every tensor."""
    found = open_any(folder / "model")
    described(found)
    for key in found.state:
        found.state[key]


def read_words(example: Example, folder: object) -> None:
    read_vocab(folder / "vocab.txt")


class Zeros(dict):
    """A state of zeros, with what an opened file has beside its tensors."""

    notes: list[str] = []

    def spec(self, key: str) -> Spec:
        return Spec("float32", self[key].shape)


def recognised(example: Example, folder: object) -> None:
    """Recognise tensors by their keys and shapes and read them as a model of ours."""
    state = Zeros({key: np.zeros(np.maximum(shape, 0), np.float32) for key, shape in example.told["shapes"].items()})
    source = Source(Path("weights.bin"), state, settings=example.told["settings"])
    read = read_source(source, recognise(source))
    for key in read.state:
        read.state[key]
    check_state(read.state, read.config, "weights.bin")


MODEL_ERRORS = (CheckpointError, ConfigError, DataError)
TARGETS = {
    "weights": Target(opened, (CheckpointError,)),
    "model directory": Target(loaded, MODEL_ERRORS),
    "any model": Target(converted, MODEL_ERRORS),
    "layout": Target(recognised, (CheckpointError, ConfigError), in_memory=True),
    "vocabulary": Target(read_words, (DataError,)),
}


def make(rng: random.Random) -> Example:
    """Damaged weights and how they are opened."""
    way = rng.randrange(12)
    if way > 9:
        return of_layout(rng)
    if way < 5:
        name = rng.choice(list(single_files()))
        data = spoilt_file(rng, name, single_files()[name])
        name = rng.choice((name, name, name, "model.bin", "model.safetensors", "model.pdparams", "model"))
        return Example("weights", {name: data}, {"path": name})
    if way == 5:
        text = spoilt_words(rng)
        return Example("vocabulary", {"vocab.txt": text})
    if way < 8:
        return Example(rng.choice(("model directory", "any model")), spoilt_folder(rng, model_files()))
    files = rng.choice((*foreign_folders(), sharded_folder()))
    target = rng.choice(("any model", "any model", "weights"))
    return Example(target, spoilt_folder(rng, files), {"path": "model"} if target == "weights" else {})


def of_layout(rng: random.Random) -> Example:
    """Tensors of another project with one to three keys or shapes changed, and settings beside them."""
    shapes = {key: list(shape) for key, shape in rng.choice(layouts()).items()}
    for _ in range(rng.choice((1, 1, 2, 3)) if rng.randrange(6) else 0):
        key = rng.choice(list(shapes))
        shape = shapes.pop(key)
        way = rng.randrange(7)
        if way == 1:
            shapes[
                rng.choice(
                    (key + "x", key.upper(), "model." + key, key.replace("0", "7"), key.replace(".", ".."), "", "\x1b")
                )
            ] = shape
        elif way == 2:
            shapes[key] = shape[::-1] + [1] * rng.randrange(3)
        elif way > 2 and shape:
            place = rng.randrange(len(shape))
            shape[place] = rng.choice((0, 1, 2, 3, 7, shape[place] + 1, shape[place] - 1, shape[place] * 2, 999))
            shapes[key] = shape
        elif way > 2:
            shapes[key] = [2]
    settings = changed_value(rng, SETTINGS) if rng.randrange(2) else dict(SETTINGS) if rng.randrange(2) else {}
    return Example("layout", {}, {"shapes": shapes, "settings": settings if isinstance(settings, dict) else {}})


@functools.cache
def layouts() -> tuple[dict[str, tuple[int, ...]], ...]:
    """{key: shape} of every layout."""
    states = (paddle_ernie(), torch_bert(), ernie_vil(), small_state(), released())
    return tuple({key: value.shape for key, value in state.items()} for state in states)


def spoilt_file(rng: random.Random, name: str, data: bytes) -> bytes:
    """A file of weights, damaged by its format as often as not."""
    way = rng.randrange(4)
    if way == 0:
        return damaged(rng, data)
    if name.endswith(".safetensors"):
        return spoilt_safetensors(rng, data)
    if name in ("zip.pt", "wrapped.bin"):
        if way == 1:
            return spoilt_zip(rng, data)
        inside = dict(members(name))
        if way == 2:
            return zipped_again(rng, inside)
        plan = next(member for member in inside if member.endswith("data.pkl"))
        inside[plan] = spoilt_pickle(rng, inside[plan])
        return zipped_again(random.Random(99), inside) if rng.randrange(9) == 0 else plain_zip(inside)
    return spoilt_pickle(rng, data)


def plain_zip(inside: dict[str, bytes]) -> bytes:
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, content in inside.items():
            archive.writestr(zipfile.ZipInfo(member), content)
    return buffer.getvalue()


def spoilt_safetensors(rng: random.Random, data: bytes) -> bytes:
    """The header changed by its values, its length right as a rule."""
    length = int.from_bytes(data[:8], "little")
    header, tensors = json.loads(data[8 : 8 + length]), data[8 + length :]
    if rng.randrange(4) == 0:
        name = rng.choice(list(header))
        about = header[name]
        if "shape" in about:
            about[rng.choice(("shape", "data_offsets"))] = rng.choice(
                (
                    [0],
                    [1 << 40],
                    [-1],
                    [1 << 62, 4],
                    [0, 1 << 62],
                    [2, 0],
                    [1.0, 2],
                    [True],
                    [None],
                    [],
                    list(range(70)),
                    [1] * 40,
                )
            )
        header[name] = about
        text = json_text(header).encode("utf-8", "surrogatepass")
    elif rng.randrange(4) == 0:
        text = spoilt_json(rng, header)
    else:
        text = json_text(changed_value(rng, header)).encode("utf-8", "surrogatepass")
    size = (
        len(text) if rng.randrange(6) else rng.choice((0, 1, 1 << 20, 1 << 40, 1 << 63, len(text) - 1, len(text) + 1))
    )
    return struct.pack("<Q", size) + text + (tensors if rng.randrange(6) else damaged(rng, tensors))


def spoilt_folder(rng: random.Random, files: dict[str, bytes]) -> dict[str, bytes]:
    """A folder with one file damaged, absent, a folder or a pipe."""
    files = dict(files)
    name = rng.choice([name for name in files if name.startswith("model/")])
    way = rng.randrange(12)
    if way == 0:
        del files[name]
    elif way == 1:
        files[name + "/"] = files.pop(name)
    elif way == 2:
        files[name] = b""
    elif name.endswith(".json") and way < 9:
        files[name] = spoilt_json(rng, json.loads(files[name]))
    elif name.endswith(".txt"):
        files[name] = spoilt_words(rng)
    elif name.endswith(".safetensors") and way < 9:
        files[name] = spoilt_safetensors(rng, files[name])
    else:
        files[name] = damaged(rng, files[name])
    return files


def spoilt_words(rng: random.Random) -> bytes:
    """A vocabulary with lines changed."""
    lines = vocabulary().decode().splitlines()
    for _ in range(rng.choice((1, 2, 5))):
        at = rng.randrange(len(lines))
        word = lines[at].split("\t")[0]
        odd = (
            "",
            "\t",
            f"{word}\t-1",
            f"{word}\t{10**12}",
            f"{word}\t1.5",
            f"{word}\t",
            f"{word}",
            f"{word}\t0",
            "[PAD]\t3",
            f"{word}\t\u0663",
            "\x00\t4",
            f"a\x85b\t{at}",
            "x" * 5000,
            f"{word}\t{at}\t{at}",
            "\ufeff[PAD]\t0",
        )
        if rng.randrange(4):
            lines[at] = rng.choice(odd)
        else:
            del lines[at]
    text = "\n".join(lines)
    codec = rng.choice(("utf-8", "utf-8", "utf-8", "gbk", "utf-16", "utf-8-sig"))
    data = text.encode(codec, "replace")
    return damaged(rng, data) if rng.randrange(3) == 0 else data
