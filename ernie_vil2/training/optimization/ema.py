"""An exponential moving average of the weights, which is evaluated and saved instead of the last ones."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import paddle
from paddle import nn

from ...errors import CheckpointError
from ...models.towers.batch_norm import is_statistic

UPDATES = "ema_updates"


class Ema:
    """Averages all parameters of a model in fp32; the running statistics of batch norms are the model's own.

    decay: weight of the old average in an update. The first updates take min(decay, (1 + n) / (10 + n)) after n of
    them, so that the random start is soon forgotten; from the start the average is the model itself.
    """

    def __init__(self, model: nn.Layer, decay: float) -> None:
        self.model, self.decay, self.updates = model, decay, 0
        self.averages = {name: copied(parameter) for name, parameter in self._averaged()}

    def _averaged(self):
        return [(name, value) for name, value in self.model.named_parameters() if not is_statistic(name)]

    def update(self) -> None:
        """Take the weights in; to be called after each optimizer step (and after the clamp of the temperatures)."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        with paddle.no_grad():
            for name, parameter in self._averaged():
                self.averages[name].lerp_(parameter.astype("float32"), 1 - decay)

    def state(self) -> dict[str, np.ndarray]:
        """{name: float32 array} of the averages, and the number of updates as `ema_updates`; `load` takes it back."""
        arrays = {name: np.array(value.numpy()) for name, value in self.averages.items()}
        return {**arrays, UPDATES: np.array([self.updates], np.float32)}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from the arrays of `state`, exactly; CheckpointError when one is missing or has another shape."""
        wrong = [
            name
            for name, value in self.averages.items()
            if name not in arrays or list(np.shape(arrays[name])) != list(value.shape)
        ]
        if wrong or UPDATES not in arrays:
            raise CheckpointError(
                f"the averaged weights lack {(wrong or [UPDATES])[0]}, or hold it in another shape; go on without them "
                "(train.ema: 0) or from another checkpoint"
            )
        self.updates = int(arrays[UPDATES][0])
        for name, value in self.averages.items():
            value.set_value(np.asarray(arrays[name], np.float32))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside the block the model has the averaged weights; after it, whatever happens, exactly its own again."""
        named = dict(self._averaged())
        own = {name: parameter.detach().clone() for name, parameter in named.items()}
        try:
            with paddle.no_grad():
                for name, parameter in named.items():
                    parameter.set_value(self.averages[name].astype(parameter.dtype))
            yield
        finally:
            with paddle.no_grad():
                for name, parameter in named.items():
                    parameter.set_value(own[name])


def copied(parameter: paddle.Tensor) -> paddle.Tensor:
    """A float32 copy of its own memory."""
    return parameter.detach().astype("float32").clone()
