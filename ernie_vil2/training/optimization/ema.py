"""An exponential moving average of the weights, which is evaluated and saved instead of the last ones."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import paddle

from ...errors import CheckpointError
from .slices import each_slice, sliced
from .weights import Weights

UPDATES = "ema_updates"


class Ema:
    """Averages all weights in fp32; the running statistics of batch norms are the model's own.

    decay: weight of the old average in an update. The first updates take min(decay, (1 + n) / (10 + n)) after n of
    them, so that the random start is soon forgotten; from the start the average is the model itself.
    """

    def __init__(self, weights: Weights, decay: float) -> None:
        self.weights, self.decay, self.updates = weights, decay, 0
        self.averages = weights.values.clone()

    def update(self) -> None:
        """Take the weights in; to be called after each optimizer step (and after the clamp of the temperatures)."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        share = paddle.full([1], 1 - decay, "float32")
        each_slice(lambda average, value: average.lerp_(value, share), sliced(self.averages, self.weights.values))

    def state(self) -> dict[str, np.ndarray]:
        """{name: float32 array} of the averages, and the number of updates as `ema_updates`; `load` takes it back."""
        return {**self.weights.arrays(self.averages), UPDATES: np.array([self.updates], np.float32)}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from the arrays of `state`, exactly; CheckpointError when one is missing or has another shape."""
        spans = self.weights.spans
        wrong = [
            span.name
            for span in spans
            if span.name not in arrays or list(np.shape(arrays[span.name])) != list(span.parameter.shape)
        ]
        if wrong or UPDATES not in arrays:
            raise CheckpointError(
                f"the averaged weights lack {(wrong or [UPDATES])[0]}, or hold it in another shape; go on without them "
                "(train.ema: 0) or from another checkpoint"
            )
        self.updates = int(arrays[UPDATES][0])
        for span in spans:
            span.view(self.averages).set_value(np.asarray(arrays[span.name], np.float32))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside the block the model has the averaged weights; after it, whatever happens, exactly its own again."""
        with self.weights.shown(self.averages):
            yield
