"""OpenVINO on a CPU: a tower's graph, written once and compiled for the work at hand."""

import functools
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from ...errors import CheckpointError
from ...messages import brief
from ...threads import keep_in_children, note_computing, thread_count
from .engine import Session
from .openvino_graph import openvino_model
from .tracing import trace

if TYPE_CHECKING:
    import paddle

GRAPH = "tower.xml"
HINTS = {"fp32": "f32", "bf16": "bf16"}

LOCK = threading.Lock()
"""OpenVINO's bindings fill tables of theirs in the first calls of a process, and two threads that do so at once can
wait for each other for ever (seen with 2026.4.1)"""


@functools.cache
def infer_first() -> None:
    """Run a graph of one operation, so that the tables are filled before there are threads; to be called under LOCK."""
    numbers = ops.parameter([1], np.float32)
    request = ov.compile_model(ov.Model([ops.relu(numbers)], [numbers], "first"), "CPU").create_infer_request()
    request.infer([np.zeros(1, np.float32)], share_inputs=True)


def write_graph(network: "paddle.nn.Layer", kind: str, most_boxes: int, folder: Path, name: str = GRAPH) -> None:
    """Write the graph of a tower, weights in fp32, into a folder, as a file of that name; Untranslatable, or what
    Paddle raises, where it has none."""
    ov.save_model(openvino_model(trace(network, kind, most_boxes)), folder / name, compress_to_fp16=False)


class OpenVinoEngine:
    """A graph in a folder, in a file of a name. precision: fp32 or bf16; of a quantised graph, that of what is not int8
    in it."""

    def __init__(self, folder: Path, precision: str, boxed: bool = False, name: str = GRAPH):
        self.folder, self.hint, self.boxed, self.graph = folder, HINTS[precision], boxed, folder / name
        self.most_workers = thread_count()
        self.core = ov.Core()
        self.requests: dict[int, queue.SimpleQueue] = {}
        keep_in_children(self)

    @contextmanager
    def session(self, workers: int) -> Iterator[Session]:
        """A stream of one core each for several workers; one has all cores."""
        note_computing()
        free = self._requests(self.most_workers if workers > 1 else 1)

        def run(*arrays: np.ndarray) -> np.ndarray:
            request = free.get()
            try:
                (found,) = request.infer(list(arrays), share_inputs=True).values()
                return found.astype(np.float32, copy=False)
            except RuntimeError as error:
                raise self._refused("run", error) from None
            finally:
                free.put(request)

        yield Session(run)

    def _requests(self, streams: int) -> queue.SimpleQueue:
        """What computes side by side: compiled when it is first asked for, and kept."""
        with LOCK:
            infer_first()
            if streams not in self.requests:
                settings = {
                    "INFERENCE_PRECISION_HINT": self.hint,
                    "INFERENCE_NUM_THREADS": self.most_workers,
                    "NUM_STREAMS": streams,
                    "ENABLE_CPU_PINNING": False,  # other processes, and the threads that decode, have the same cores
                }
                try:
                    compiled = self.core.compile_model(self.core.read_model(self.graph), "CPU", settings)
                except RuntimeError as error:
                    raise self._refused("compile", error) from None
                self.requests[streams] = queue.SimpleQueue()
                for _ in range(streams):
                    self.requests[streams].put(compiled.create_infer_request())
            return self.requests[streams]

    def _refused(self, what: str, error: RuntimeError) -> CheckpointError:
        """The sentence on a graph that OpenVINO does not take: of another tower, or damaged with its record."""
        reason = brief(str(error).strip().split("\n")[-1], 200)
        return CheckpointError(
            f"OpenVINO cannot {what} {self.graph} ({reason}); remove that folder (and quantize "
            "again, if it was int8), or give the engine paddle"
        )
