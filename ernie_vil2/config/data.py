"""Configuration of the samples of a run: sources, and how they become views."""

import typing
from dataclasses import dataclass

from ..schema import document
from .augmentation import AugmentationConfig

MAX_COUNT = 10**9


@dataclass
class DataConfig:
    """Where samples come from and how they become views."""

    train: typing.Any = document(None, "source of training: a path, or {kind: tar | tsv | mix | ..., ...}, see data.md")
    valid: typing.Any = document(None, "source of validation, or null for none")
    zero_shot: dict[str, typing.Any] = document(
        dict, "{name: source} of other data, measured before and after training beside `valid`: what it forgets"
    )
    vocab: str | None = document(
        None,
        "vocabulary file, as ernie-vil2 data vocab makes it; null builds one for scenes, or takes that of init.text",
    )
    augmentation: AugmentationConfig | None = document(None, "training pixels; null for the plain evaluation pixels")
    workers: int = document(
        1, "processes of a rank that decode and augment ahead of the step; 0 for none", minimum=0, maximum=1024
    )
    max_bad: float = document(
        0.01,
        "share of the different rows read that may be bad (under 10 always may); over it the run stops",
        minimum=0,
        maximum=1.0,
    )
    damaged: str = document(
        "skip", "pictures that decode only in part: skip, a bad row, or keep, as they are", choices=("skip", "keep")
    )
    shuffle_window: int = document(
        131072, "samples that are shuffled together; whole shards are shuffled first", minimum=1, maximum=MAX_COUNT
    )
    reduced_decode: bool = document(True, "training JPEGs are decoded at 1/2, 1/4 or 1/8 where the crop allows it")
    timeout: float = document(
        300.0, "seconds that a batch may take before its loader process is named", positive=True, maximum=1e6
    )
    cache_locked: bool = document(
        False, "embeddings of a locked image tower are computed once for each image, and kept on the disk"
    )
    cache_folder: str | None = document(
        None, "where cache_locked keeps them; null: image_embeddings beside `output`, where other runs find them too"
    )
