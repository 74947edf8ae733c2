"""The model that an index was made with, loaded when a text or a picture is first asked for."""

import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError
from .combination import unit_vector
from .model_opening import opened_model
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
            self._model = opened_model(self.made_with, self.width, self.given, self.engine, self.precision)
        return self._model
