"""The benchmarks by name, each in a module that is imported when it is asked for.

To add one: a module whose BENCHMARKS holds its `Benchmark` by name, and a line in MODULES for the name.
"""

import importlib
from pathlib import Path

from ...errors import ConfigError, nearest
from .benchmark import Benchmark

MODULES = {
    "coco-cn": "retrieval.coco_cn",
    "flickr30k-cn": "retrieval.flickr30k_cn",
    "muge": "retrieval.muge",
    "aic-icc": "retrieval.aic_icc",
    "flickr30k": "retrieval.karpathy",
    "mscoco": "retrieval.karpathy",
    "cbvs": "retrieval.cbvs",
    "msr-vtt": "retrieval.msr_vtt",
    "imagenet-zh": "classification.zero_shot_sets",
    "elevater-zh": "classification.zero_shot_sets",
    "folder": "classification.zero_shot_sets",
    "sts": "text_similarity.sts",
    "image-retrieval": "image_retrieval.shared_labels",
    "scenes": "scenes.sets",
}


def benchmark(name: str) -> Benchmark:
    """The Benchmark of `coco-cn`, `coco-cn@5k`, ...; ConfigError names the nearest known one."""
    bare = name.partition("@")[0]
    if bare not in MODULES:
        close = nearest(bare, MODULES)
        hint = f"did you mean {close!r}?" if close else f"known are {', '.join(MODULES)}"
        raise ConfigError(f"unknown benchmark {bare!r}; {hint}")
    return importlib.import_module(f".{MODULES[bare]}", __package__).BENCHMARKS[bare]


def read_sets(name: str, data: str | Path, split: str | None = None, allow_counts: bool = False) -> list:
    """The Pairs of every protocol that `name` asks for, read without a model.

    Raises ConfigError for a benchmark that has no pairs of images and texts.
    """
    sets = benchmark(name).sets
    if sets is None:
        bare = name.partition("@")[0]
        raise ConfigError(
            f"the benchmark {bare} has no pairs of images and texts in files; name one that has, such as coco-cn"
        )
    return sets(name, data, split, allow_counts)
