"""Paddle's dynamic mode: the network itself, the only engine while training."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import paddle

from ...device import device_of
from ...threads import MOST_WORKERS, SplitThreads, refuse_fork
from .engine import Session


@contextmanager
def evaluation(network: paddle.nn.Layer) -> Iterator[None]:
    """Evaluation mode inside, and the former mode of every layer after it."""
    training = [layer for layer in network.sublayers(include_self=True) if layer.training]
    network.eval()
    try:
        yield
    finally:
        for layer in training:
            layer.training = True


class DynamicEngine:
    """A tower of a network in evaluation mode, without gradients."""

    boxed = False

    def __init__(self, network: paddle.nn.Layer, kind: str):
        self.network, self.kind = network, kind

    @property
    def most_workers(self) -> int:
        """Threads on a CPU; a card has one."""
        device = device_of(self.network.parameters()[0])
        if device.is_cpu:
            return MOST_WORKERS
        refuse_fork(device.name)
        return 1

    @contextmanager
    def session(self, workers: int) -> Iterator[Session]:
        """The network in evaluation mode."""
        with evaluation(self.network), SplitThreads(workers) as threads:
            yield Session(self.run, threads.prepare)

    def run(self, *arrays: np.ndarray) -> np.ndarray:
        """Raw embeddings float32 [B, D] of a batch."""
        encode = getattr(self.network, f"encode_{self.kind}")
        with paddle.no_grad():
            return encode(*map(paddle.to_tensor, arrays)).astype("float32").numpy()
