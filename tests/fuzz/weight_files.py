"""Small weights in every form that is read: files of torch, Paddle and safetensors, folders, shards, a run."""

import functools
import io
import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from ernie_vil2.checkpoints.formats.paddle_file import write_pdparams
from ernie_vil2.checkpoints.formats.safetensors_file import write_safetensors
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.config.tower_fields import ImageTowerConfig, TextTowerConfig
from tests.checkpoints.formats.torch_zips import legacy_file, state_file
from tests.checkpoints.layouts.foreign import ernie_vil, paddle_ernie, torch_bert, write_source
from tests.conftest import VOCABULARY

STATE = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([1.5, -2], np.float16),
    "c": np.array([0x3F80], np.uint16),
    "d": np.array([True, False]),
    "e": np.array(7, np.int64),
    "empty": np.zeros((0, 3), np.float64),
}
Files = dict[str, bytes]


def contents(folder: Path) -> Files:
    """{path below a folder: bytes} of all of its files."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def small_config() -> ModelConfig:
    tower = {"width": 8, "depth": 1, "heads": 1, "dropout": 0.0}
    return ModelConfig(
        image_tower=ImageTowerConfig(image_size=8, patch_size=4, **tower),
        text_tower=TextTowerConfig(vocab_size=len(VOCABULARY), positions=16, **tower),
        max_length=8,
        pixels=PixelProfile(size=8),
    )


def small_state() -> dict[str, np.ndarray]:
    shapes = manifest(small_config())
    return {
        key: np.random.default_rng(place).standard_normal(shape).astype(np.float32)
        for place, (key, shape) in enumerate(shapes.items())
    }


def vocabulary() -> bytes:
    return "".join(f"{word}\t{place}\n" for place, word in enumerate(VOCABULARY)).encode()


@functools.cache
def single_files() -> dict[str, bytes]:
    """{file name: bytes} of one state in the formats."""
    buffer = io.BytesIO()
    write_safetensors(buffer, STATE)
    found = {"zip.pt": state_file(STATE), "legacy.pt": legacy_file(STATE), "plain.safetensors": buffer.getvalue()}
    found["wrapped.bin"] = state_file(
        STATE, lambda plan: {"model": {"state_dict": plan}, "epoch": 3, "optimizer": {"state": {}}}
    )
    with tempfile.TemporaryDirectory() as folder:
        write_pdparams(Path(folder, "p.pdparams"), {key: value for key, value in STATE.items() if key != "empty"})
        found["plain.pdparams"] = Path(folder, "p.pdparams").read_bytes()
    return found


@functools.cache
def members(name: str) -> dict[str, bytes]:
    """{name: content} of a zip among `single_files`."""
    with zipfile.ZipFile(io.BytesIO(single_files()[name])) as archive:
        return {member: archive.read(member) for member in archive.namelist()}


@functools.cache
def model_files() -> Files:
    """A model directory of this project, in the folder `model`."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "vocab.txt").write_bytes(vocabulary())
        save_model(Path(folder, "model"), small_state(), small_config(), Path(folder, "vocab.txt"))
        return contents(Path(folder))


@functools.cache
def foreign_folders() -> tuple[Files, ...]:
    """Folders of other projects, each in the folder `model`."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for place, (state, name) in enumerate(
            (
                (paddle_ernie(), "model_state.pdparams"),
                (torch_bert(), "model.safetensors"),
                (ernie_vil(), "model_state.pdparams"),
            )
        ):
            base = Path(folder, str(place))
            write_source(
                base / "model",
                state,
                name=name,
                tokenizer_config={"do_lower_case": True},
                preprocessor_config={"size": 32},
            )
            found.append(contents(base))
    return tuple(found)


@functools.cache
def sharded_folder() -> Files:
    """A state in two files with an index, in the folder `model`."""
    files, index = {}, {}
    keys = list(torch_bert())
    for part, chosen in enumerate((keys[::2], keys[1::2])):
        name, buffer = f"model-{part}.safetensors", io.BytesIO()
        write_safetensors(buffer, {key: torch_bert()[key] for key in chosen})
        files[f"model/{name}"] = buffer.getvalue()
        index |= dict.fromkeys(chosen, name)
    files["model/model.safetensors.index.json"] = json.dumps(
        {"metadata": {"total_size": 1}, "weight_map": index}
    ).encode()
    return files | {name: data for name, data in foreign_folders()[1].items() if name.endswith((".json", ".txt"))}
