"""Memory of a step: a large batch through the gradient cache against one micro-batch, each in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

from ...config.run import RunConfig
from ...errors import UserError
from ...schema import as_dict
from ...schema import build as build_record
from ..noise import VOCABULARY, random_batch

START = "from ernie_vil2.studies.speed import memory; memory.serve()"


def compare(config: RunConfig, batch: int, micro: int) -> dict[str, float]:
    """{"small": MiB, "large": MiB, "ratio": ...}: peak above the resident memory after loading of a training step with
    `micro` pairs and with `batch` pairs in micro-batches of `micro`. config: a RunConfig; its data are not read."""
    peaks = {}
    for name, size in (("small", micro), ("large", batch)):
        job = json.dumps({"run": as_dict(config), "batch": size, "micro": micro})
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", START], input=job, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip() or "it gave no reason").split("\n")[-1]
            raise UserError(f"a step of {size} pairs could not be measured: {reason}")
        peaks[name] = float(done.stdout.split()[-1])
    return {**peaks, "ratio": peaks["large"] / peaks["small"]}


def serve() -> None:
    """One side of the comparison: the job as JSON on standard input, the answer in MiB."""
    from ...runtime import import_paddle

    import_paddle()
    job = json.loads(sys.stdin.read())
    print(step_peak(build_record(RunConfig, job["run"], "the job"), job["batch"], job["micro"]))


def step_peak(config: RunConfig, size: int, micro: int) -> float:
    """MiB that one step of `size` pairs in micro-batches of `micro` needs above what is resident after loading."""
    from ...training.rig import build

    config.model.text_tower.vocab_size = config.model.text_tower.vocab_size or VOCABULARY
    config.train.micro_batch = micro
    rig = build(config, size)
    batch = random_batch(config.model, rig.system.views, size)
    loaded = resident("VmRSS")
    rig.step(batch, 0, show=False)
    return resident("VmHWM") - loaded


def resident(field: str) -> float:
    """MiB of this process: VmRSS now, VmHWM at most so far. UserError where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field + ":")) / 1024
    except (OSError, StopIteration):
        raise UserError("memory is read from /proc/self/status, which this system does not have") from None
