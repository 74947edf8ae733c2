"""The device that Paddle computes on: its kind, what can be done there, how to wait for it and how full it is.

Nobody else asks Paddle for it. Nothing of this ran on a card: what is said of cards is read in Paddle 3.3.1.
"""

import importlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import UserError

if TYPE_CHECKING:
    from types import ModuleType

    from numpy import ndarray
    from paddle import Tensor

MIB = 1 << 20
BACKENDS = {"cpu": "gloo", "gpu": "nccl", "xpu": "bkcl"}
"""What carries the collectives of a kind; of custom devices it is xccl."""
SCATTERING = ("nccl", "bkcl")
"""Backends with reduce_scatter: their process groups have it in Paddle's headers, gloo's has not, and xccl's hands it
to a function that a plug-in may leave out (phi/backends/device_ext.h)."""


@dataclass(frozen=True)
class Memory:
    """MiB in use: `now`, and the `most` so far."""

    now: float
    most: float


@dataclass(frozen=True)
class Device:
    """A device, and what this library does there.

    kind: Paddle's word, cpu, gpu (NVIDIA), xpu (Kunlun), or the type of a plug-in: npu, mlu, gcu, iluvatar_gpu, ...;
    index: which one of that kind.
    """

    kind: str = "cpu"
    index: int = 0

    @property
    def is_cpu(self) -> bool:
        """Whether it is a CPU, where this library's own paths around slow CPU kernels apply."""
        return self.kind == "cpu"

    @property
    def name(self) -> str:
        """As Paddle writes it: cpu, gpu:0."""
        return "cpu" if self.is_cpu else f"{self.kind}:{self.index}"

    @property
    def count(self) -> int:
        """How many of its kind this process sees; of CPUs always 1."""
        if self.is_cpu:
            return 1
        paddle_device = self._paddle_device()
        return paddle_device.device_count() if self.kind in BACKENDS else paddle_device.device_count(self.kind)

    @property
    def backend(self) -> str:
        """What joins the ranks: gloo, nccl, bkcl or xccl."""
        return BACKENDS.get(self.kind, "xccl")

    @property
    def collectives(self) -> tuple[str, ...]:
        """Names of the functions of paddle.distributed that the backend is known to have."""
        common = ("all_gather", "all_reduce", "broadcast", "reduce")
        return (*common, "reduce_scatter") if self.backend in SCATTERING else common

    @property
    def precisions(self) -> tuple[str, ...]:
        """Of a training step: fp32, and fp16 and bf16 where there are kernels for them.

        Paddle claims bf16 for many CPUs, but there most operators silently stay in fp32.
        """
        if self.is_cpu:
            return ("fp32",)
        from paddle import amp

        found = ["fp32"]
        if self.kind == "gpu" or amp.is_float16_supported(self.name):  # Paddle 3 runs on no NVIDIA card without
            found.append("fp16")
        if amp.is_bfloat16_supported(self.name):
            found.append("bf16")
        return tuple(found)

    @property
    def fused_attention(self) -> bool:
        """Whether Paddle's scaled_dot_product_attention is one kernel there, and faster than the plain form."""
        return self.kind == "gpu"

    def synchronise(self) -> None:
        """Wait until what was started there is done; on a CPU everything is done when a call returns."""
        if not self.is_cpu:
            import paddle

            paddle.device.synchronize(self.name)

    def memory(self) -> Memory:
        """What a run takes there: the tensors on a card, the whole process on a CPU.

        UserError where the system does not tell what a process takes.
        """
        return process_memory() if self.is_cpu else self.tensors()

    def tensors(self) -> Memory:
        """What Paddle's tensors take there, on a CPU in the computer's memory; `most` since `forget_most`."""
        if self.is_cpu:
            from paddle.base import core

            now = core.host_memory_stat_current_value("Allocated", 0)
            most = core.host_memory_stat_peak_value("Allocated", 0)
        else:
            paddle_device = self._paddle_device()
            now, most = paddle_device.memory_allocated(self.index), paddle_device.max_memory_allocated(self.index)
        return Memory(now / MIB, most / MIB)

    def forget_most(self) -> None:
        """Let the `most` of the tensors begin with what they take now; that of a process cannot be forgotten."""
        if self.is_cpu:
            from paddle.base import core

            core.host_memory_stat_reset_peak_value("Allocated", 0)
        else:
            self._paddle_device().reset_max_memory_allocated(self.index)

    def memory_total(self) -> float:
        """MiB that this process can have: all of a card, or of the computer what is free or its own already.

        Infinite where nobody tells: of most plug-ins, and on systems without /proc.
        """
        if self.kind == "xpu":
            return self._paddle_device().memory_total(self.index) / MIB
        if self.is_cpu:
            try:
                return proc_sizes("/proc/meminfo")["MemAvailable"] + process_memory().now
            except (OSError, KeyError):
                return math.inf
        try:
            return self._paddle_device().get_device_properties(self.name).total_memory / MIB
        except RuntimeError:  # of every custom device that is no GPU
            return math.inf

    def _paddle_device(self) -> "ModuleType":
        """Paddle's functions for cards of this kind."""
        module = {"gpu": "cuda", "xpu": "xpu"}.get(self.kind, "custom_device")
        return importlib.import_module(f"paddle.device.{module}")


CPU = Device()


def current_device() -> Device:
    """The device of this process: where new tensors go."""
    import paddle

    kind, _, index = paddle.get_device().partition(":")
    return Device(kind, int(index or 0))


def host_tensor(values: "ndarray") -> "Tensor":
    """An array as a tensor in the computer's memory, whatever the device: for kernels that take small numbers there."""
    import paddle

    return paddle.to_tensor(values, place=paddle.CPUPlace())


def host_array(tensor: "Tensor") -> "ndarray":
    """A tensor as an array: of a CPU's on the same memory, of a card's once it is computed."""
    import numpy as np

    return np.from_dlpack(tensor) if device_of(tensor).is_cpu else tensor.numpy()


def float32_copy(tensor: "Tensor") -> "ndarray":
    """A tensor as a float32 array of its own.

    `Tensor.numpy()` of a view copies the whole buffer behind it on a CPU (Paddle 3.3.1): of all weights, for each.
    """
    import numpy as np

    return np.array(host_array(tensor.detach().astype("float32")), np.float32)


def waiting_calls() -> "list[tuple[ModuleType, str]]":
    """(module, name) of Paddle's functions that wait for a device."""
    import paddle

    return [(paddle.device, "synchronize"), (paddle.device.cuda, "synchronize")]


def device_of(tensor: "Tensor") -> Device:
    """The device that computes with a tensor; cheap, for layers ask it in every call."""
    place = getattr(tensor, "place", None)
    if place is None or place.is_cpu_place():  # None: a tower is traced, whose plain form every engine knows
        return CPU
    if place.is_gpu_place():
        return Device("gpu", place.gpu_device_id())
    if place.is_xpu_place():
        return Device("xpu", place.xpu_device_id())
    if place.is_custom_place():
        return Device(place.custom_device_type(), place.custom_device_id())
    return current_device()  # a copy in pinned memory waits for it


def process_memory() -> Memory:
    """Resident memory of this process, UserError where the system does not tell. Source: proc(5), VmRSS and VmHWM."""
    try:
        sizes = proc_sizes("/proc/self/status")
        return Memory(sizes["VmRSS"], sizes["VmHWM"])
    except (OSError, KeyError):
        raise UserError("memory is read from /proc/self/status, which this system does not have") from None


def proc_sizes(path: str) -> dict[str, float]:
    """{name: MiB} of the lines of a file in /proc that are sizes."""
    lines = Path(path).read_text(encoding="ascii", errors="replace").splitlines()
    sizes = (line.split() for line in lines if line.endswith(" kB"))
    return {words[0].rstrip(":"): int(words[1]) / 1024 for words in sizes}
