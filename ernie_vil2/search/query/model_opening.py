"""The model that an index was made with: looked for where it was or is said to be, checked, loaded."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import CheckpointError, ConfigError
from ...inference.identity import model_digest
from ...runtime import import_paddle

if TYPE_CHECKING:
    from ...inference.model import Model


def opened_model(
    made_with: Mapping[str, Any],
    width: int,
    given: "str | os.PathLike | Model | None" = None,
    engine: str = "auto",
    precision: str = "fp32",
) -> "Model":
    """The model of an index.

    made_with, width: of its manifest. given: a path, or a loaded Model, which is taken at its word as far as its width
    is right. engine, precision: as in `load`. Raises CheckpointError for another model than the index was made with and
    for one that is not there, and ConfigError where the index does not say which one it was.
    """
    model = loaded(made_with, given, engine, precision) if is_path(given) else given
    if model.embed_dim != width:
        told = f"the model's vectors have {model.embed_dim} numbers and the index's {width}"
        raise CheckpointError(f"{told}; give the model that the index was made with")
    return model


def is_path(given: object) -> bool:
    """Whether a model is still to be loaded."""
    return given is None or isinstance(given, (str, os.PathLike))


def loaded(made_with: Mapping[str, Any], given: str | os.PathLike | None, engine: str, precision: str) -> "Model":
    """The model at a place, by default where it was, if its digest is that of the index."""
    digest, path = made_with.get("digest"), given or made_with.get("path")
    if not digest:
        raise ConfigError("the index does not say which model its vectors are of; ask with vectors of that model")
    if not path or not Path(path).exists():
        raise CheckpointError(f"{path or 'the model'}: is not there; name the model of this index (--model, model=)")
    if model_digest(path) != digest:
        made = made_with.get("path") or "unknown place"
        raise CheckpointError(
            f"{path} is another model than the index was made with ({made}), and their vectors do not compare; "
            "give that one, or build the index anew"
        )
    import_paddle()
    from ...inference.model import load

    return load(path, made_with.get("vocab") or None, engine=engine, precision=precision)
