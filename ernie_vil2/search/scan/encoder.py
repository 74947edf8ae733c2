"""A model as a scan needs it: pictures and texts to unit vectors, what is broken told by cause."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...data.images.inputs import AnyImage
from ...data.images.limits import DEFAULT_LIMITS, Limits
from ...errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from ...inference.model import Model


class Failure(NamedTuple):
    """Why an item has no vector: a fixed name to count by, and a sentence."""

    cause: str
    reason: str


Encoded = tuple[np.ndarray, dict[int, Failure]]
"""float32 [n, D] of n items, of length 1, and the failures by position, whose rows mean nothing"""


class Encoder:
    """What a scan encodes with. opened: gives the Model, which is not loaded before the first item; limits: what a
    picture may be; seen: called with the model when it is loaded; `waited`, with the seconds that took."""

    def __init__(
        self,
        opened: Callable[[], "Model"],
        limits: Limits = DEFAULT_LIMITS,
        seen: Callable[["Model"], object] = lambda model: None,
    ):
        self.opened, self.limits, self.seen = opened, limits, seen
        self.waited: Callable[[float], object] = lambda seconds: None
        self.loading = 0.0
        """Seconds that it took to load the model"""
        self._model: Model | None = None

    @property
    def model(self) -> "Model":
        """The model, loaded."""
        if self._model is None:
            began = time.monotonic()
            self._model = self.opened()
            self.seen(self._model)
            self.loading = time.monotonic() - began
            self.waited(self.loading)
        return self._model

    def images(self, pictures: Sequence[AnyImage]) -> Encoded:
        """The vectors of pictures; CheckpointError where the model gives no finite ones."""
        return checked(*self.model.encode_image(pictures, on_error="skip"))

    def texts(self, texts: Sequence[str]) -> Encoded:
        """The vectors of texts; CheckpointError where the model gives no finite ones, ConfigError where it has none."""
        if "text" not in self.model.config.towers():
            raise ConfigError("this model has no text tower; give --no-texts to index the pictures alone")
        return checked(*self.model.encode_text(texts, on_error="skip"))


def checked(vectors: np.ndarray, failures: Sequence[tuple[int, str]]) -> Encoded:
    """Vectors and failures of a model, if all others are finite."""
    failed = {position: Failure(getattr(reason, "cause", "broken image"), str(reason)) for position, reason in failures}
    finite = np.isfinite(vectors).all(axis=1)
    finite[list(failed)] = True
    if not finite.all():
        raise CheckpointError(
            "the model's embeddings are not finite for an item that can be read; its weights are broken, so give "
            "another model"
        )
    return vectors, failed
