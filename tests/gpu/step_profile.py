"""Point 8: how fast a whole step of base size is, how long the device waits in it, and what it waits for."""

import copy
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import paddle

from ernie_vil2.config.load import load_run
from ernie_vil2.config.run import RunConfig
from ernie_vil2.device import current_device
from ernie_vil2.studies.noise import VOCABULARY, random_batch
from ernie_vil2.studies.speed.training.steps import throughput
from ernie_vil2.training.rig import Rig, build
from tests.gpu.kernel_trace import Trace, traced
from tests.gpu.records import Figure, Record

RECIPE = "configs/ernie_vil2_base_vit_zh.yaml"
SMALL, LARGE = 32, 256
ROOMY = 70 * 1024
"""MiB of a card from which 256 pairs are taken at once; docs/scaling.md works out 60 GB for them in bf16."""


def product_error(size: int = 512) -> float:
    """Error of a product of fp32 matrices over its norm: near 1e-7 in fp32, 4e-4 where the card takes TF32 for it."""
    rng = np.random.default_rng(0)
    one, two = (rng.standard_normal((size, size)).astype(np.float32) for _ in range(2))
    wanted = one.astype(np.float64) @ two.astype(np.float64)
    found = paddle.matmul(paddle.to_tensor(one), paddle.to_tensor(two)).numpy()
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def precision_of_products() -> Record:
    """Whether fp32 is TF32 here."""
    error = product_error()
    word = "TF32, unless NVIDIA_TF32_OVERRIDE=0 is set" if error > 1e-5 else "fp32"
    return Record("profile", "products of fp32", {"error": Figure(error, "of its norm")}, f"fp32 is {word}")


def speed(config: RunConfig, pairs: int, micro: int, steps: int) -> Record:
    """Pairs a second of whole steps."""
    config = copy.deepcopy(config)
    config.train.micro_batch = micro
    device = current_device()
    device.forget_most()
    found = throughput(config, pairs, steps)
    return Record(
        "profile",
        f"{pairs} pairs{f' in micro-batches of {micro}' if micro else ''}, {config.train.precision}",
        {
            "speed": Figure(found["pairs_per_second"], "pairs/s"),
            "of the gradient": Figure(found["tflops"], "TFLOP/s"),
            "step": Figure(1000 * pairs / found["pairs_per_second"], "ms"),
            "memory": Figure(device.memory().most, "MiB"),
        },
        "docs/gpu.md says what was expected, and from what",
    )


def idleness(config: RunConfig, pairs: int) -> Record:
    """The profile of one step, after two that warm up."""
    config = copy.deepcopy(config)
    config.train.micro_batch = 0
    rig = build(config, pairs)
    batch = random_batch(config.model, rig.system.views, pairs)
    for number in range(2):
        rig.step(batch, number, show=False)
    current_device().synchronise()
    trace = traced(lambda: rig.step(batch, 2, show=False))
    host = host_seconds(rig, batch)
    rig.close()
    return profile_record(trace, pairs, host)


def host_seconds(rig: Rig, batch) -> float:
    """Seconds until a step returns, its reads included, without a profiler."""
    current_device().synchronise()
    began = time.perf_counter()
    rig.step(batch, 3, show=False)
    return time.perf_counter() - began


def profile_record(trace: Trace, pairs: int, host: float) -> Record:
    """What a profile says of a step; without events of a device there is nothing to say."""
    if not trace.device:
        return Record("profile", f"{pairs} pairs, one step", reason="the profiler saw nothing on a device")
    waits = trace.waits()
    return Record(
        "profile",
        f"{pairs} pairs, one step",
        {
            "idle": Figure(trace.idle, "of the step under the profiler"),
            "kernels": Figure(sum(event.kind == "Kernel" for event in trace.device)),
            "calls that wait for the card": Figure(sum(waits.values())),
            "copies": Figure(sum(trace.copies().values())),
            "step without profiler": Figure(1000 * host, "ms"),
        },
        "a card that is idle waits for the host: more pairs at once, or fewer waits, would use it",
        details={"waits": waits, "copies": trace.copies()},
    )


def measure(folder: Path) -> Iterator[Record]:
    """Precision of products, speed at 32 and 256 pairs, and a profile at 32; all views of the recipe."""
    yield precision_of_products()
    device = current_device()
    config = load_run(RECIPE, ["data.train=none"])
    config.model.text_tower.vocab_size = config.model.text_tower.vocab_size or VOCABULARY
    config.train.precision = device.precisions[-1]
    yield speed(config, SMALL, 0, 10)
    yield idleness(config, SMALL)
    yield speed(config, LARGE, 0 if device.memory_total() >= ROOMY else SMALL, 5)
