"""The branches of a card, taken on a CPU: for counts and sizes of what a card would do."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..device import Device


@contextmanager
def branches_of_a_card() -> Iterator[None]:
    """Inside the block layers, losses and steps take the branches of a GPU: fused attention, plain Linear, pixels
    uploaded as bytes, tiles of a card's size, one tower after another. Fused attention runs in its plain form here, so
    its kernels are more."""
    from ..models import layers
    from ..objectives import positives, tiles, views
    from ..training import step

    kept = []
    try:
        for module in (layers, positives, tiles, views, step):
            for name in ("device_of", "current_device"):
                if name in vars(module):
                    kept.append((module, name, vars(module)[name]))
                    setattr(module, name, lambda *tensor: Device("gpu"))
        yield
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)
