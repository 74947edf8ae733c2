"""What a process asks of a card while it computes: blocking reads, copies from the host, collectives; with bytes.

Paddle's own calls are wrapped from outside, so that it is counted wherever it happens. On a CPU nothing waits and
nothing crosses a bus, but the calls are the same. What C++ does by itself is not seen: an index that is an array, a
mask as an index, a size that is a tensor.
"""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from ..device import waiting_calls

READING = (
    *("numpy", "item", "tolist", "cpu", "__array__", "__str__", "__format__"),
    *("__bool__", "__float__", "__int__", "__long__", "__index__", "__complex__"),
)
"""Methods of a tensor that wait until it is computed"""
SIZED_BY_VALUES = ("nonzero", "masked_select", "unique")
"""Operators that wait too: how much they give follows from values"""
CARRIED = {"all_reduce": 0, "reduce": 0, "broadcast": 0, "all_gather": 1, "reduce_scatter": 1, "barrier": None}
"""Collectives, and which argument they carry"""


class Traffic:
    """Inside `with Traffic() as seen:` calls are counted, in all threads; after it Paddle is as it was.

    reads: {call: calls} of blocking reads, `synchronize` among them; copies: {call: calls} and copied: bytes of arrays
    that become tensors or values of one; numbers: tensors made of a single number, which a GPU fills in without a copy
    (read in paddle/tensor/creation.py of 3.3.1); collectives: {(collective, type): calls} and carried: {the same:
    bytes}, an all-gather with what it gives, the others with what they are given. A call inside another of its sort
    is part of it.
    """

    def __init__(self) -> None:
        self.reads, self.copies, self.collectives, self.carried = Counter(), Counter(), Counter(), Counter()
        self.copied = self.numbers = 0
        self._lock, self._inside, self._kept = threading.Lock(), threading.local(), []

    def __enter__(self) -> "Traffic":
        import paddle
        import paddle.distributed as dist

        for name in READING:
            self._watch(paddle.Tensor, name, "read", self._read)
        for owner, name in waiting_calls():
            self._watch(owner, name, "read", self._read)
        for name in SIZED_BY_VALUES:
            self._watch(paddle._C_ops, name, "read", self._read)
        for name in ("__init__", "set_value", "cuda"):
            self._watch(paddle.Tensor, name, "copy", self._copy)
        for name in CARRIED:
            for owner in (dist, dist.stream):
                self._watch(owner, name, "collective", self._collective)
        return self

    def __exit__(self, *error: object) -> None:
        while self._kept:
            setattr(*self._kept.pop())

    def _watch(self, owner: Any, name: str, kind: str, note: Callable) -> None:
        if name not in vars(owner):
            return
        call = vars(owner)[name]

        def watched(*args, **options):
            if getattr(self._inside, kind, False):
                return call(*args, **options)
            with self._lock:
                note(name, args, options)
            setattr(self._inside, kind, True)
            try:
                return call(*args, **options)
            finally:
                setattr(self._inside, kind, False)

        self._kept.append((owner, name, call))
        setattr(owner, name, watched)

    def _read(self, name, args, options):
        self.reads[name] += 1

    def _copy(self, name, args, options):
        value = args[0] if name == "cuda" else next(iter((*args[1:], *options.values())), None)
        if name != "cuda" and not isinstance(value, np.ndarray):
            return
        if name == "__init__" and value.size == 1:
            self.numbers += 1
            return
        self.copies["to_tensor" if name == "__init__" else name] += 1
        self.copied += value.nbytes if isinstance(value, np.ndarray) else int(value.size) * value.element_size()

    def _collective(self, name, args, options):
        import paddle.distributed as dist

        place = CARRIED[name]
        value = None if place is None else [*args, *options.values()][place]
        tensors = value if isinstance(value, (list, tuple)) else [value] * (value is not None)
        kind = str(tensors[0].dtype).split(".")[-1] if tensors else ""
        size = sum(int(part.size) * part.element_size() for part in tensors) * (
            dist.get_world_size() if name == "all_gather" else 1
        )
        self.collectives[name, kind] += 1
        self.carried[name, kind] += size
