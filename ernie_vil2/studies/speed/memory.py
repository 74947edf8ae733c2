"""Memory of a step: a large batch through the gradient cache against one micro-batch, each in a process of its own."""

import json
import sys

from ...config.run import RunConfig
from ...device import current_device
from ...schema import as_dict
from ...schema import build as build_record
from ..noise import VOCABULARY, random_batch
from ..runs.processes import answer

START = "from ernie_vil2.studies.speed import memory; memory.serve()"


def compare(config: RunConfig, batch: int, micro: int) -> dict[str, float]:
    """{"small": MiB, "large": MiB, "ratio": ...}: peak above what is in use after loading, of a training step with
    `micro` pairs and with `batch` pairs in micro-batches of `micro`. config: a RunConfig; its data are not read."""
    peaks = {}
    for name, size in (("small", micro), ("large", batch)):
        job = {"run": as_dict(config), "batch": size, "micro": micro}
        peaks[name] = float(answer(START, job, f"a step of {size} pairs"))
    return {**peaks, "ratio": peaks["large"] / peaks["small"]}


def serve() -> None:
    """One side of the comparison: the job as JSON on standard input, the answer in MiB."""
    from ...runtime import import_paddle

    import_paddle()
    job = json.loads(sys.stdin.read())
    print(step_peak(build_record(RunConfig, job["run"], "the job"), job["batch"], job["micro"]))


def step_peak(config: RunConfig, size: int, micro: int) -> float:
    """MiB that one step of `size` pairs in micro-batches of `micro` needs above what is in use after loading:
    of the process on a CPU, of the tensors on a card."""
    from ...training.rig import build

    config.model.text_tower.vocab_size = config.model.text_tower.vocab_size or VOCABULARY
    config.train.micro_batch = micro
    rig = build(config, size)
    batch, device = random_batch(config.model, rig.system.views, size), current_device()
    device.synchronise()
    device.forget_most()
    loaded = device.memory().now
    rig.step(batch, 0, show=False)
    device.synchronise()
    return device.memory().most - loaded
