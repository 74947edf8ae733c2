"""What the jobs read, made once: a table with pictures, a small model, its weights in the release's file, a run."""

import base64
import io
from pathlib import Path

import numpy as np

from ernie_vil2.checkpoints.formats.paddle_file import write_pdparams
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.config.tower_fields import ImageTowerConfig, TextTowerConfig
from tests.conftest import VOCABULARY
from tests.standin import standin_tensor
from tests.training.runs import write_config

ROWS = 900
"""Of the table: several commits of encoding, several tars."""
PHOTOS = 60
STEPS, SAVE_EVERY, EVAL_EVERY = 8, 2, 4
WIDTH = 64
"""Heads are 64 wide in the release's file, from whose shapes the configuration is told."""


def prepare(folder: Path) -> None:
    """Write all inputs into a new folder."""
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("".join(f"{word}\t{index}\n" for index, word in enumerate(VOCABULARY)), "utf-8")
    config = model_config()
    for seed, name in enumerate(("model", "other")):
        state = {key: standin_tensor(key, shape, seed) for key, shape in manifest(config).items()}
        save_model(folder / name, state, config, folder / "vocab.txt")
    write_pdparams(folder / "weights.pdparams", state)
    write_table(folder / "rows.tsv")
    for name, changes in {"one": {}, "two": {"train__sharding": 1}}.items():
        (folder / name).mkdir()
        write_config(folder / name, **run_settings(), **changes)


def run_settings() -> dict:
    """Changes of the run that tests of training have: fewer views, a validation, a checkpoint every few steps."""
    scenes = {"kind": "scenes", "image_size": 32, "languages": ["zh"]}
    return {
        "data__workers": 1,
        "data__valid": {**scenes, "size": 24, "split": "valid"},
        "objective": {"pairs": [["image", "caption"], ["caption", "caption'"]]},
        "train__micro_batch": 6,
        "train__steps": STEPS,
        "train__save_every": SAVE_EVERY,
        "train__eval_every": EVAL_EVERY,
    }


def model_config() -> ModelConfig:
    """A model of one head a tower, which is what the shapes of the release's file tell."""
    tower = {"width": WIDTH, "depth": 2, "heads": 1, "dropout": 0.0}
    return ModelConfig(
        image_tower=ImageTowerConfig(image_size=32, patch_size=8, **tower),
        text_tower=TextTowerConfig(vocab_size=len(VOCABULARY), positions=32, **tower),
        max_length=16,
        pixels=PixelProfile(size=32),
    )


def write_table(path: Path, rows: int = ROWS) -> None:
    """Rows of the release's form: text, id, picture; every 97th has a picture that cannot be read."""
    from PIL import Image

    pictures = []
    for seed in range(PHOTOS):
        buffer = io.BytesIO()
        pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
        Image.fromarray(pixels).save(buffer, "PNG")
        pictures.append(base64.b64encode(buffer.getvalue()).decode())
    words = VOCABULARY[8:30]
    lines = []
    for row in range(rows):
        key, picture = f"图{row // 3}", pictures[row // 3 % PHOTOS]
        if row % 97 == 96:
            key, picture = f"坏{row}", base64.b64encode(b"no picture").decode()
        lines.append(f"{words[row % len(words)]}{words[row // 7 % len(words)]}\t{key}\t{picture}\n")
    path.write_text("".join(lines), encoding="utf-8")
