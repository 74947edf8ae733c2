"""Paddle Inference: a tower's program, optimised once; oneDNN on a CPU, and its own kernels on an NVIDIA card."""

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import paddle
from paddle import inference

from ...device import current_device
from ...errors import CheckpointError
from ...messages import brief
from ...runtime import STDOUT, unheard
from ...threads import MOST_WORKERS, SplitThreads, keep_in_children, refuse_fork, thread_count
from .engine import Session
from .tracing import INPUTS, traced_function, tracing

if TYPE_CHECKING:
    from paddle.inference import Config, Predictor

GRAPH = "tower"
FIRST_MEMORY = 256
"""MiB that a predictor takes of a card when it is made; it takes more when it needs more"""


def write_graph(network: "paddle.nn.Layer", kind: str, most_boxes: int, folder: Path, name: str = GRAPH) -> None:
    """Write the program of a tower and its weights in fp32 into a folder, as files of that name; raises what Paddle
    raises where it has none."""
    with tracing(network):
        function = traced_function(network, kind, most_boxes)
        function.eval()
        paddle.jit.save(function, str(folder / name))


class PaddleInferenceEngine:
    """A program in a folder, under a name, for the device of this process. precision: fp32 or bf16."""

    def __init__(self, folder: Path, precision: str, boxed: bool = False, name: str = GRAPH):
        self.folder, self.precision, self.boxed, self.graph = folder, precision, boxed, folder / name
        self.device = current_device()
        self.lock = threading.Lock()
        self.predictors: dict[int, queue.SimpleQueue] = {}
        self.heard: set[Predictor] = set()
        keep_in_children(self)

    @property
    def most_workers(self) -> int:
        """Threads on a CPU; a card has one."""
        if self.device.is_cpu:
            return min(MOST_WORKERS, thread_count())
        refuse_fork(self.device.name)
        return 1

    @contextmanager
    def session(self, workers: int) -> Iterator[Session]:
        """A predictor for each of several workers, which share the cores; one has all of them."""
        free = self._predictors(self.most_workers if workers > 1 else 1)

        def run(*arrays: np.ndarray) -> np.ndarray:
            predictor, thread = free.get()
            try:
                with nullcontext() if predictor in self.heard else unheard(STDOUT):  # oneDNN's kernels say their names
                    found = thread.submit(computed, predictor, arrays).result()
                self.heard.add(predictor)
                return found
            finally:
                free.put((predictor, thread))

        with SplitThreads(workers) as threads:  # a predictor changes the process's setting, which this restores
            yield Session(run, threads.prepare)

    def _predictors(self, count: int) -> queue.SimpleQueue:
        """What computes side by side, on one copy of the weights: made when it is first asked for, and kept. Each has a
        thread of its own, for one that is called by several fails now and then with oneDNN (Paddle 3.3.1)."""
        with self.lock:
            if count not in self.predictors:
                try:
                    self.graph.with_name(
                        f"{self.graph.name}.pdiparams"
                    ).stat()  # without them Paddle computes with none
                    first = inference.create_predictor(self._config(max(1, thread_count() // count)))
                    made = [first, *(first.clone() for _ in range(count - 1))]
                except Exception as error:  # Paddle has no class for them
                    reason = str(error).strip().split("\n")[-1]
                    raise CheckpointError(
                        f"Paddle Inference cannot read {self.graph}.json ({brief(reason, 200)}); remove that "
                        "folder, or give the engine paddle"
                    ) from None
                self.predictors[count] = queue.SimpleQueue()
                for predictor in made:
                    self.predictors[count].put((predictor, ThreadPoolExecutor(1, "paddle_inference")))
            return self.predictors[count]

    def _config(self, threads: int) -> "Config":
        """Without `enable_memory_optim`, which fails in Paddle 3.3.1."""
        config = inference.Config(f"{self.graph}.json", f"{self.graph}.pdiparams")
        config.disable_glog_info()
        if self.device.is_cpu:
            config.disable_gpu()
            config.set_cpu_math_library_num_threads(threads)
            config.enable_onednn()
            if self.precision == "bf16":
                config.enable_onednn_bfloat16()
        else:
            kind = inference.PrecisionType.Bfloat16 if self.precision == "bf16" else inference.PrecisionType.Float32
            config.enable_use_gpu(FIRST_MEMORY, self.device.index, kind)
        return config


def computed(predictor: "Predictor", arrays: tuple[np.ndarray, ...]) -> np.ndarray:
    """Raw embeddings float32 [B, D] of the arrays of a batch."""
    given = dict(zip(INPUTS, arrays, strict=False))
    for name in predictor.get_input_names():  # in an order of its own
        predictor.get_input_handle(name).copy_from_cpu(np.ascontiguousarray(given[name]))
    predictor.run()
    (name,) = predictor.get_output_names()
    return predictor.get_output_handle(name).copy_to_cpu()
