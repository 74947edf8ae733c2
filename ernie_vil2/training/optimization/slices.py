"""Flat buffers slice by slice, on a CPU several slices at once: there Paddle's kernels for norms, scaling and averages
use one core. Its AdamW uses all of them by itself.

Where a slice begins depends on the buffer alone, so that a sum over slices does not depend on the number of threads.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import paddle

from ...device import device_of
from ...threads import MOST_WORKERS, SplitThreads, ordered_map, thread_count

SLICE = 1 << 22
"""Values; smaller ones take Python too long, larger ones leave a core idle at the end"""

Result = TypeVar("Result")
Slices = tuple[paddle.Tensor, ...]


def sliced(*flat: paddle.Tensor) -> list[Slices]:
    """The same slices of buffers [n], on their memory: of SLICE values each on a CPU, else one."""
    size = int(flat[0].size)
    step = SLICE if device_of(flat[0]).is_cpu else size
    if size <= step:
        return [flat]
    return [tuple(buffer._slice(start, min(start + step, size)) for buffer in flat) for start in range(0, size, step)]


def each_slice(work: Callable[..., Result], slices: Sequence[Slices]) -> list[Result]:
    """[work(*slices)], without gradients; on a CPU as many at once as there are threads, each on one core."""
    threads = thread_count() if slices and device_of(slices[0][0]).is_cpu else 1
    workers = min(threads, MOST_WORKERS, len(slices))

    @paddle.no_grad()
    def done(part: Slices) -> Result:
        return work(*part)

    if workers < 2:
        return list(map(done, slices))
    with SplitThreads(workers) as split:
        return list(ordered_map(done, slices, workers, len(slices), split.prepare))
