"""ERNIE-ViL 2.0 in PaddlePaddle: load a checkpoint, encode texts and images, search, train, evaluate."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import runtime
from .versions import __version__

if TYPE_CHECKING:
    from .inference.model import Model
    from .search.index import Index

runtime.prepare()

__all__ = ["Model", "load", "open_index", "load_plugins", "__version__"]


def load(
    path: str | os.PathLike,
    vocab: str | os.PathLike | None = None,
    damaged: str = "skip",
    engine: str = "auto",
    precision: str = "fp32",
) -> "Model":
    """A model from a model directory or a `.pdparams` in the release's keys (then `vocab` names its vocabulary).

    damaged: pictures that decode only in part are errors (skip), or taken as they are (keep). engine: auto, paddle,
    paddle_inference or openvino; precision: fp32, bf16 or int8 (docs/engines.md).
    See `ernie_vil2.inference.model.load`; raises CheckpointError with every difference when the file does not fit.
    """
    runtime.import_paddle()
    from .inference.model import load as load_model

    return load_model(path, vocab, damaged, engine, precision)


def open_index(
    folder: str | os.PathLike,
    model: "str | os.PathLike | Model | None" = None,
    engine: str = "auto",
    precision: str = "fp32",
) -> "Index":
    """The index in a folder, made by `ernie-vil2 index build`, to be searched (docs/search.md).

    model: where its model lies now, if not where it was, or a loaded Model; one is loaded when a text or a picture is
    first asked for. See `ernie_vil2.search.index.open_index`; raises DataError for a folder that is no whole index.
    """
    from .search.index import open_index as open_folder

    return open_folder(folder, model, engine, precision)


def load_plugins(names: Iterable[str]) -> None:
    """Import modules with towers, losses, sources or systems of your own, by their dotted names, from the current
    folder or as they are installed (docs/extending.md). ConfigError for what is no such name, or fails."""
    from .plugins import load_plugins as import_plugins

    import_plugins(names)


def __getattr__(name):
    if name == "Model":
        from .inference.model import Model

        return Model
    raise AttributeError(f"module 'ernie_vil2' has no attribute {name!r}")
