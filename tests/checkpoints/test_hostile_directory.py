"""A model directory from a stranger: refused in one sentence, within 2 seconds and 200 MB, before it is read whole."""

import json
import os
import shutil
import struct

import numpy as np
import pytest

from ernie_vil2.checkpoints.formats.safetensors_file import write_safetensors
from ernie_vil2.checkpoints.model_directory import save_model
from tests.bounded import answers, refusals

OPEN = "ernie_vil2.checkpoints.model_directory:open_model"
SOURCE = "ernie_vil2.checkpoints.layouts.any_source:open_source"
VOCABULARY = "ernie_vil2.data.vocabulary_file:read_vocab"
GIGABYTE = 1 << 30
BRACKETS = {"brackets": b"[" * 100_000, "objects": b'{"a":' * 100_000, "closed": b"[" * 100_000 + b"]" * 100_000}


def sparse(path, size=GIGABYTE, head=b""):
    path.unlink(missing_ok=True)
    path.write_bytes(head)
    os.truncate(path, size)


def listed(folder, name, **values):
    """config.json says of a file what it has now, or other values."""
    content = json.loads((folder / "config.json").read_text())
    content["files"][name] |= {"bytes": (folder / name).stat().st_size, **values}
    (folder / "config.json").write_text(json.dumps(content))


def said(folder, **values):
    content = json.loads((folder / "config.json").read_text())
    for name, value in values.items():
        place = content
        *way, last = name.split("__")
        for key in way:
            place = place[key]
        place[last] = value
    (folder / "config.json").write_text(json.dumps(content))


def raw(folder, old, new):
    text = (folder / "config.json").read_text()
    assert old in text
    (folder / "config.json").write_text(text.replace(old, new, 1))


def header(folder, content, size=0):
    """model.safetensors with a header of these bytes, and `size` bytes of data."""
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(content)) + content + bytes(size))
    listed(folder, "model.safetensors")


def entries(count):
    about = {"dtype": "F32", "shape": [], "data_offsets": [0, 0]}
    return json.dumps({f"a{number}": about for number in range(count)}).encode()


def tensors(**about):
    """A header of named tensors: (type, shape, first, last) each."""
    return json.dumps(
        {key: {"dtype": kind, "shape": shape, "data_offsets": place} for key, (kind, shape, place) in about.items()}
    ).encode()


def pipe(folder, name):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)


def linked(folder, name, target):
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(target)


ONE = ("F32", [1], [0, 4])
DIRECTORIES = {
    "a vocabulary of 1 GB": lambda d: (sparse(d / "vocab.txt"), listed(d, "vocab.txt")),
    "a configuration of 1 GB": lambda d: sparse(d / "config.json"),
    "a configuration of 4 MB of lists": lambda d: (d / "config.json").write_bytes(b"[" + b"[]," * 1_300_000 + b"[]]"),
    "a header of 99 MB": lambda d: (
        sparse(d / "model.safetensors", 99 << 20, struct.pack("<Q", (99 << 20) - 8)),
        listed(d, "model.safetensors"),
    ),
    "a header of 2**63 bytes": lambda d: (
        (d / "model.safetensors").write_bytes(struct.pack("<Q", 2**63) + b"{}"),
        listed(d, "model.safetensors"),
    ),
    "a header of many tensors": lambda d: header(d, entries(100_000)),
    "a header of one long name": lambda d: header(d, tensors(**{"n" * 7_000_000: ONE}), 4),
    "a header of brackets": lambda d: header(d, b'{"a":' * 1_000_000),
    "a header that is a list": lambda d: header(d, b"[]"),
    "a header that is cut": lambda d: header(d, b'{"a": {'),
    "a name twice": lambda d: header(d, tensors(a=ONE)[:-1] + b"," + tensors(a=ONE)[1:], 4),
    "tensors that overlap": lambda d: header(d, tensors(a=ONE, b=("F32", [1], [2, 6])), 6),
    "tensors of the same bytes": lambda d: header(d, tensors(a=ONE, b=ONE), 4),
    "a gap": lambda d: header(d, tensors(a=ONE, b=("F32", [1], [8, 12])), 12),
    "data behind the last tensor": lambda d: header(d, tensors(a=ONE), 8),
    "less data than the header says": lambda d: header(d, tensors(a=("F32", [2**40], [0, 2**42])), 4),
    "a type that lies": lambda d: header(d, tensors(a=("F64", [1], [0, 4])), 4),
    "a type that is none": lambda d: header(d, tensors(a=([], [1], [0, 4])), 4),
    "negative offsets": lambda d: header(d, tensors(a=("F32", [1], [-4, 0])), 0),
    "endless offsets": lambda d: header(d, tensors(a=("F32", [1], [0, float("inf")])), 4),
    "a negative shape": lambda d: header(d, tensors(a=("F32", [-1, -1], [0, 4])), 4),
    "a shape that overflows": lambda d: header(d, tensors(a=("F32", [2**32, 2**32, 0], [0, 0]))),
    "a shape of 40 sides": lambda d: header(d, tensors(a=("F32", [1] * 40, [0, 4])), 4),
    "metadata that is no text": lambda d: header(d, b'{"__metadata__": {"a": 1}}'),
    "a checksum that is no number": lambda d: header(
        d, tensors(a=ONE)[:-1] + b', "__metadata__": {"crc32 a": "' + b"z" * 9 + b'"}}', 4
    ),
    "a shape of 5,000 digits": lambda d: header(d, tensors(a=ONE).replace(b"[1]", b"[" + b"1" * 5000 + b"]"), 4),
    "sizes that have no end": lambda d: raw(d, '"bytes": ', '"bytes": Infinity, "x": '),
    "sizes that are no number": lambda d: raw(d, '"bytes": ', '"bytes": NaN, "x": '),
    "sizes of another kind": lambda d: said(d, **{"files__vocab.txt__bytes": [1]}),
    "sizes below nothing": lambda d: said(d, **{"files__vocab.txt__bytes": -1}),
    "checksums of another kind": lambda d: said(d, **{"files__vocab.txt__sha256": 3}),
    "files of another kind": lambda d: said(d, files=["vocab.txt"]),
    "a ratio of 10**400": lambda d: said(d, image_tower__mlp_ratio=10**400),
    "a ratio without end": lambda d: said(d, image_tower__mlp_ratio=float("inf")),
    "10**9 blocks": lambda d: said(d, image_tower__depth=10**9),
    "blocks of 5,000 digits": lambda d: raw(d, '"depth": ', f'"depth": {"9" * 5000}, "x": '),
    "a vocabulary of 10**9 words": lambda d: said(d, text_tower__vocab_size=10**9),
    "a tower that is a list": lambda d: said(d, image_tower=[1]),
    "weights that are a pipe": lambda d: pipe(d, "model.safetensors"),
    "weights that are a device": lambda d: linked(d, "model.safetensors", "/dev/zero"),
    "weights that are a link to nothing": lambda d: linked(d, "model.safetensors", "absent"),
    "a vocabulary that is a pipe": lambda d: pipe(d, "vocab.txt"),
    "a vocabulary that is a device": lambda d: linked(d, "vocab.txt", "/dev/zero"),
    "a configuration that is a pipe": lambda d: pipe(d, "config.json"),
    "a configuration that is a device": lambda d: linked(d, "config.json", "/dev/zero"),
} | {name: lambda d, raw=raw: (d / "config.json").write_bytes(raw) for name, raw in BRACKETS.items()}


def test_every_hostile_directory_is_refused(tmp_path, tiny_state, tiny_config, tiny_vocab):
    save_model(tmp_path / "good", tiny_state, tiny_config, tiny_vocab)
    calls = []
    for number, spoil in enumerate(DIRECTORIES.values()):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "good", folder)
        spoil(folder)
        calls.append((OPEN, [folder]))
    found = dict(zip(DIRECTORIES, refusals(calls), strict=True))
    assert "stands" not in found["a gap"] and "a gap lies before b" in found["a gap"]
    assert "overlap before b" in found["tensors that overlap"]
    assert "'a' is given twice" in found["a name twice"]
    assert "the file has over 8,388,608 bytes" in found["a vocabulary of 1 GB"]
    assert "the file has over 4,194,304 bytes" in found["a configuration of 1 GB"]


SETTINGS = ("config.json", "tokenizer_config.json", "preprocessor_config.json")
INDEX = "pytorch_model.bin.index.json"


def foreign(folder):
    folder.mkdir()
    with open(folder / "model.safetensors", "wb") as handle:
        write_safetensors(handle, {"a": np.zeros(2, np.float32)})
    return folder


def index(folder, weight_map):
    (folder / "model.safetensors").unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))


FOREIGN = {
    **{f"{name} of 1 GB": lambda d, name=name: sparse(d / name) for name in SETTINGS},
    **{f"{name} of brackets": lambda d, name=name: (d / name).write_bytes(BRACKETS["objects"]) for name in SETTINGS},
    **{f"{name} that is a list": lambda d, name=name: (d / name).write_text("[1]") for name in SETTINGS},
    "an index of 10**6 tensors": lambda d: index(d, {f"a{number}": "x" for number in range(1_000_000)}),
    "an index of many files": lambda d: index(d, {f"a{number}": f"{number}.bin" for number in range(100_000)}),
    "an index that leads out": lambda d: index(d, {"a": "../good/model.safetensors"}),
    "an index that leads elsewhere": lambda d: index(d, {"a": "/dev/zero"}),
    "an index of names that are none": lambda d: index(d, {"a": "x\0y"}),
    "an index of half a letter": lambda d: index(d, {"a": "\ud800"}),
    "an index of other kinds": lambda d: index(d, {"a": ["model.bin"]}),
    "an index that is a list": lambda d: index(d, [1]),
    "an index of a pipe": lambda d: (index(d, {"a": "pipe.bin"}), os.mkfifo(d / "pipe.bin")),
    "an index of a device": lambda d: (index(d, {"a": "zero.bin"}), linked(d, "zero.bin", "/dev/zero")),
    "weights that are a pipe": lambda d: pipe(d, "model.safetensors"),
    "weights that are a device": lambda d: linked(d, "model.safetensors", "/dev/zero"),
    "weights of one endless name": lambda d: header_of(d, "module." * 1_000_000),
}


def header_of(folder, name):
    content = tensors(**{name: ONE})
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(content)) + content + bytes(4))


def test_every_hostile_folder_of_others_is_refused(tmp_path):
    calls = []
    for number, spoil in enumerate(FOREIGN.values()):
        folder = foreign(tmp_path / str(number))
        spoil(folder)
        calls.append((SOURCE, [folder]))
    refusals(calls)
    assert answers([(SOURCE, [foreign(tmp_path / "good")])])[0].said is None


@pytest.mark.parametrize("name", ("model.pdparams", "model.bin", "model.safetensors", "model.pt"))
def test_weights_that_never_end_are_refused(tmp_path, name):
    for number, make in enumerate((os.mkfifo, lambda path: path.symlink_to("/dev/zero"), os.mkdir)):
        (tmp_path / str(number)).mkdir()
        make(tmp_path / str(number) / name)
    refusals([(SOURCE, [tmp_path / str(number) / name]) for number in range(3)])


def test_vocabularies_are_refused_before_they_are_read(tmp_path):
    sparse(tmp_path / "large.txt")
    (tmp_path / "long.txt").write_bytes(b"a\n" * (2 << 20))
    (tmp_path / "returns.txt").write_bytes(b"\r" * (6 << 20))
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "device.txt").symlink_to("/dev/zero")
    found = refusals([(VOCABULARY, [path]) for path in sorted(tmp_path.iterdir())])
    assert any("over 500,000 lines" in text for text in found)
