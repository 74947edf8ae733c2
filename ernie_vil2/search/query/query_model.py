"""The model that an index was made with, loaded when a text or a picture is first asked for."""

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import CheckpointError, ConfigError, DataError
from ...inference.identity import model_digest
from ...runtime import import_paddle
from .combination import unit_vector
from .recent import Recent

if TYPE_CHECKING:
    from ...inference.model import Model

REMEMBERED = 256
"""Texts whose vectors are kept, so that another page or filter costs no encoding"""


class QueryModel:
    """Unit vectors of what is asked of an index.

    made_with: the record of the manifest: `digest` and `path` of a model, both empty where it is not known. given: a
    path, or a loaded Model, which is taken at its word as far as its width is right. engine, precision: as in `load`;
    they need not be those that the pictures were encoded with.
    """

    def __init__(
        self,
        made_with: dict[str, Any],
        width: int,
        given: "str | os.PathLike | Model | None" = None,
        engine: str = "auto",
        precision: str = "fp32",
    ):
        self.made_with, self.width, self.given = made_with, width, given
        self.engine, self.precision = engine, precision
        self._model: Model | None = None
        self._lock = threading.Lock()
        self._texts = Recent(REMEMBERED)

    def encode(self, kind: str, item: Any) -> np.ndarray:
        """float32 [D]: the unit vector of a text, an image or a vector; DataError for what is none."""
        if kind == "vector":
            return unit_vector(item, self.width)
        if kind == "text" and isinstance(item, str):
            return self._texts.get(item, lambda: self._encoded(kind, item))
        return self._encoded(kind, item)

    def _encoded(self, kind, item):
        with self._lock:
            model = self._loaded()
            try:
                return (model.encode_text([item]) if kind == "text" else model.encode_image([item]))[0]
            except DataError as error:  # there is one item, so its number tells nothing
                raise type(error)(str(error).removeprefix(f"{kind} 0 (counted from 0): ")) from None

    def loaded(self) -> "Model":
        """The model; CheckpointError for another one than the index was made with."""
        with self._lock:
            return self._loaded()

    def _loaded(self):
        if self._model is None:
            model = self._open() if self.given is None or isinstance(self.given, (str, os.PathLike)) else self.given
            if model.embed_dim != self.width:
                told = f"the model's vectors have {model.embed_dim} numbers and the index's {self.width}"
                raise CheckpointError(f"{told}; give the model that the index was made with")
            self._model = model
        return self._model

    def _open(self):
        digest, path = self.made_with.get("digest"), self.given or self.made_with.get("path")
        if not digest:
            raise ConfigError("the index does not say which model its vectors are of; ask with vectors of that model")
        if not path or not Path(path).exists():
            raise CheckpointError(
                f"{path or 'the model'}: is not there; name the model of this index (--model, model=)"
            )
        if model_digest(path) != digest:
            made = self.made_with.get("path") or "unknown place"
            raise CheckpointError(
                f"{path} is another model than the index was made with ({made}), and their vectors do not compare; "
                "give that one, or build the index anew"
            )
        import_paddle()
        from ...inference.model import load

        return load(path, self.made_with.get("vocab") or None, engine=self.engine, precision=self.precision)
