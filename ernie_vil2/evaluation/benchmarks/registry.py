"""The benchmarks by name, each in a module that is imported when it is asked for."""

import importlib

from ...errors import ConfigError, nearest

MODULES = {
    "coco-cn": "retrieval.coco_cn",
    "flickr30k-cn": "retrieval.flickr30k_cn",
    "muge": "retrieval.muge",
    "aic-icc": "retrieval.aic_icc",
    "flickr30k": "retrieval.karpathy",
    "mscoco": "retrieval.karpathy",
    "cbvs": "retrieval.cbvs",
    "imagenet-zh": "classification.zero_shot_sets",
    "elevater-zh": "classification.zero_shot_sets",
    "folder": "classification.zero_shot_sets",
    "sts": "text_similarity.sts",
    "image-retrieval": "image_retrieval.shared_labels",
}


def benchmark(name):
    """The function `evaluate(model, name, data, *, split, progress, option=...)` of `coco-cn`, `coco-cn@5k`, ...

    ConfigError names the nearest known benchmark.
    """
    return module(name)[1].evaluate


def reader(name):
    """The `protocols.Benchmark` of a benchmark of images and texts, which reads its files without a model."""
    bare, found = module(name)
    several = getattr(found, "BENCHMARKS", {})
    only = several.get(bare, getattr(found, "BENCHMARK", None))
    if only is None:
        raise ConfigError(f"the benchmark {bare} has no pairs of images and texts; name one that has, such as coco-cn")
    return only


def module(name):
    """(name without protocol, the module that knows it)."""
    bare = name.partition("@")[0]
    if bare not in MODULES:
        close = nearest(bare, MODULES)
        hint = f"did you mean {close!r}?" if close else f"known are {', '.join(MODULES)}"
        raise ConfigError(f"unknown benchmark {bare!r}; {hint}")
    return bare, importlib.import_module(f".{MODULES[bare]}", __package__)
