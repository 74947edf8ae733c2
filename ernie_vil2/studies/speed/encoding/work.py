"""What all sides encode: JPEG files and captions of two lengths, with one model that all of them load."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ....checkpoints.model_directory import open_model, save_model
from ....config.model import ModelConfig
from ....data.vocabulary_file import read_vocab
from ....errors import UserError
from ..photos import photo
from ..turns.process import Process
from . import random_weights

IMAGE_SIDES = (375, 500)
LENGTHS = {"short": 12, "long": 48}
"""Tokens of a caption, [CLS] and [SEP] included"""
MARKS = 2
"""[CLS] and [SEP]"""
KINDS = ("images", *LENGTHS)
QUERIES = {"short": 8, "images": 4}
"""{kind: single items that a side is asked for in a turn}"""
MODEL = "model"


@dataclass(frozen=True)
class Work:
    """The work of every side. model: its directory; tokens: {kind of caption: of each}."""

    model: str
    photos: list[str]
    captions: dict[str, list[str]]
    tokens: dict[str, int]

    def items(self, kind: str) -> list[str]:
        """Paths of the images, or captions."""
        return self.photos if kind == "images" else self.captions[kind]

    def to_dict(self) -> dict[str, Any]:
        """What the process of a side is told."""
        return asdict(self)


def make_work(
    folder: Path, model: str | os.PathLike | None, vocab: str | os.PathLike | None, images: int, texts: int
) -> tuple[Work, ModelConfig]:
    """Files in `folder`, and the configuration of the model: a copy of the one at a path, since engines are kept beside
    it, or one of the base size with random weights. Raises CheckpointError for a path that cannot be loaded."""
    place = folder / MODEL
    if model is None:
        config = ModelConfig()
        Process("random weights", random_weights.START, {"to": str(place)}).close()
    else:
        state, config, vocabulary = open_model(model, vocab)
        if len(config.towers()) < 2:
            raise UserError(f"{model} has one tower, and the comparison encodes images and texts; give a whole model")
        save_model(place, state, config, vocabulary)
    (folder / "photos").mkdir()
    photos = [folder / "photos" / f"{number:06}.jpg" for number in range(images)]
    write_photos(photos)
    draw = caption_drawer(place / "vocab.txt")
    tokens = {kind: min(length, config.max_length) for kind, length in LENGTHS.items()}
    captions = {kind: draw(texts, length - MARKS) for kind, length in tokens.items()}
    return Work(str(place), list(map(str, photos)), captions, tokens), config


def write_photos(paths: list[Path]) -> None:
    """JPEG files of photograph size, with detail at every scale."""
    import cv2

    for seed, path in enumerate(paths):
        path.write_bytes(cv2.imencode(".jpg", photo(np.random.default_rng(seed), *IMAGE_SIDES))[1].tobytes())


def caption_drawer(vocab: str | os.PathLike) -> Callable[[int, int], list[str]]:
    """Function (count, characters) -> Chinese captions, each character a token of a vocabulary."""
    characters = [token for token in read_vocab(vocab) if len(token) == 1 and "\u4e00" <= token <= "\u9fff"]
    if not characters:
        raise UserError("the model's vocabulary has no Chinese characters to make captions of; leave out --model")
    rng = np.random.default_rng(0)
    return lambda count, length: ["".join(rng.choice(characters, length)) for _ in range(count)]
