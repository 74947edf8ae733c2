"""What Paddle's profiler saw of a few calls: kernels and copies on the device, and waits of the host for it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import paddle
from paddle import profiler

WAITS = ("cudaMemcpy", "cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
"""Calls of the runtime that return when the device is done."""


@dataclass(frozen=True)
class Event:
    """Something with a name, a kind (Paddle's: Kernel, Memcpy, CudaRuntime, Operator, ...), and times in ns."""

    name: str
    kind: str
    began: int
    ended: int


@dataclass(frozen=True)
class Trace:
    """Events of the device, calls of the runtime, and the time of the whole."""

    device: list[Event]
    runtime: list[Event]
    began: int
    ended: int

    @property
    def idle(self) -> float:
        """Share of the time in which the device did nothing."""
        busy, reached = 0, self.began
        for event in sorted(self.device, key=lambda event: event.began):
            busy += max(0, min(event.ended, self.ended) - max(event.began, reached))
            reached = max(reached, event.ended)
        return 1 - busy / (self.ended - self.began)

    def waits(self) -> dict[str, int]:
        """{name of a call that waits for the device: how often}; the version suffix of a name is left out."""
        names = [event.name.split("_v")[0].split("[")[0] for event in self.runtime]
        return {wait: names.count(wait) for wait in WAITS if wait in names}

    def copies(self) -> dict[str, int]:
        """{name of a kind of copy: how often}."""
        names = [event.name for event in self.device if event.kind == "Memcpy"]
        return {name: names.count(name) for name in sorted(set(names))}


def every_node(nodes: Iterable[Any]) -> Iterator[Any]:
    """The host's nodes of a profile, from the outermost inwards."""
    for node in nodes:
        yield node
        yield from every_node(node.children_node)


def event_of(node: Any) -> Event:
    """A node of Paddle's profile without its tree."""
    return Event(node.name, node.type.name, node.start_ns, node.end_ns)


def trace_of(trees: Mapping[int, Any]) -> Trace:
    """The Trace of a profile, {thread: outermost node}; the time is that of its outermost ProfileStep."""
    hosts = list(every_node(trees.values()))
    runtime = [node for host in hosts for node in host.runtime_node]
    device = [node for holder in (*hosts, *runtime) for node in holder.device_node]
    step = next(node for node in hosts if node.type.name == "ProfileStep")
    return Trace(list(map(event_of, device)), list(map(event_of, runtime)), step.start_ns, step.end_ns)


def traced(work: Callable[[], object]) -> Trace:
    """The Trace of a call, to the end of what it started on the device."""
    kept = []
    targets = [profiler.ProfilerTarget.CPU]
    if paddle.is_compiled_with_cuda():
        targets.append(profiler.ProfilerTarget.GPU)

    def keep(profile: profiler.Profiler) -> None:
        kept.append(trace_of(profile.profiler_result.get_data()))  # the nodes are gone with the profile

    with profiler.Profiler(targets=targets, on_trace_ready=keep):
        work()
        if paddle.is_compiled_with_cuda():
            paddle.device.synchronize()
    return kept[0]
