"""What a training step costs the host: a run's own step at full depth, and so narrow that arithmetic hardly counts.

What is left of the time is Python, Paddle's dispatch and a kernel's fixed cost, which a card's host pays as well; a
card cannot finish a step sooner. Beside it stand the blocking reads, copies and collectives of the step.
"""

import copy
import gc
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config.model import PixelProfile
from ...config.run import RunConfig
from ...device import current_device
from ...errors import UserError
from ...files.leftovers import scratch_folder
from ...runtime import import_paddle
from ...schema import as_dict
from ...schema import build as build_record
from ...training.ranks.launch import plain_environment
from ..card_branches import branches_of_a_card
from ..noise import random_batch
from ..traffic import Traffic
from .step_parts import StepClock, parts_timed

if TYPE_CHECKING:
    from ...training.rig import Rig

WIDTH, HEADS, SIDE, PATCH, LENGTH, VOCABULARY = 16, 2, 32, 16, 12, 1000
EMA = 0.999
WARM_UP, ROUNDS = 3, 5
"""Steps that are not counted, and repetitions of those that are"""
CALLS = 2000
START = "from ernie_vil2.studies.speed import host; host.serve()"


def narrow(config: RunConfig, pairs: int, chunks: int = 1, ranks: int = 1) -> RunConfig:
    """A copy of a run at its own depths, dropout and pairs, but narrow, with little input, in fp32 and with an average.

    pairs: of a micro-batch; chunks: micro-batches of each of the ranks. Raises UserError for towers that have no width
    to choose.
    """
    config = copy.deepcopy(config)
    image, text = config.model.image_tower, config.model.text_tower
    if any({"heads", "width"} - {field.name for field in fields(tower)} for tower in (image, text)):
        raise UserError(
            f"towers of kind {image.kind} and {text.kind} cannot be made narrow; measure a run with vit and ernie"
        )
    sizes = {"width": WIDTH, "heads": HEADS, "projection": 0}
    config.model = replace(
        config.model,
        image_tower=replace(image, image_size=SIDE, patch_size=PATCH, **sizes),
        text_tower=replace(text, vocab_size=VOCABULARY, positions=LENGTH, **sizes),
        max_length=LENGTH,
        pixels=PixelProfile(size=SIDE),
    )
    config.init = type(config.init)()
    train, config.output = config.train, tempfile.gettempdir()
    train.precision, train.micro_batch, train.batch_size = "fp32", pairs, pairs * chunks * ranks
    train.ema, train.spike = train.ema or EMA, 0.0
    return config


def measure(config: RunConfig, steps: int, ranks: int = 1, card: bool = False) -> dict[str, Any]:
    """`measured_here` in a process of its own with one thread for its kernels, since a host starts a card's from one.

    ranks: so many processes, joined by gloo; the first one tells. UserError with its last line when it fails.
    """
    job = json.dumps({"run": as_dict(config), "steps": steps, "ranks": ranks, "card": card})
    environment = {**plain_environment(), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", START]
    done = subprocess.run(command, input=job, capture_output=True, text=True, env=environment)
    if done.returncode:
        reason = (done.stderr.strip() or "it gave no reason").split("\n")[-1]
        raise UserError(f"the host's part of a step could not be measured: {reason}")
    return json.loads(done.stdout.strip().split("\n")[-1])


def serve() -> None:
    """One process of `measure`: the job as JSON on standard input, the answer as JSON on the last line."""
    import_paddle()
    job = json.loads(sys.stdin.read())
    if job["ranks"] == 1:
        print(json.dumps(measured_here(build_record(RunConfig, job["run"], "the job"), job["steps"], job["card"])))
        return
    import paddle.distributed as dist

    with scratch_folder("ranks") as folder:
        path = folder / "host.json"
        dist.spawn(rank_job, args=(str(path), job), nprocs=job["ranks"], backend="gloo")
        print(path.read_text())


def rank_job(path: str, job: Mapping[str, Any]) -> None:
    """One of several ranks; the first one writes what it measured."""
    from ...training.distributed import join_ranks

    ranks = join_ranks()
    found = measured_here(build_record(RunConfig, job["run"], "the job"), job["steps"], job["card"])
    if ranks.main:
        Path(path).write_text(json.dumps(found))
    ranks.leave()


def measured_here(config: RunConfig, steps: int, card: bool = False) -> dict[str, Any]:
    """A rank's step of a run that is `narrow`: {"milliseconds": {part: median of steps}, and `counts`}, JSON-able.

    Milliseconds are processor time, `elapsed` those by the clock, `call` microseconds of `small_call`. The medians are
    those of the quickest of ROUNDS rounds, which other work on the machine disturbed least. card: with
    `branches_of_a_card`.
    """
    with branches_of_a_card() if card else nullcontext():
        rig = rig_of(config)
        try:
            return step_costs(rig, steps)
        finally:
            rig.close()


def rig_of(config: RunConfig) -> "Rig":
    """The rig that takes this process's part of the step."""
    from ...objectives.gather import divide
    from ...training.distributed import join_ranks
    from ...training.rig import Rig, build

    ranks, train = join_ranks(), config.train
    if ranks.size == 1:
        return build(config)
    return Rig(config, ranks, divide(train.batch_size, train.micro_batch, ranks.rank, ranks.size), [])


def step_costs(rig: "Rig", steps: int) -> dict[str, Any]:
    """Times of a rig's steps on noise, then what one step more asks for: counting takes time itself."""
    share, device, numbers = rig.share, current_device(), itertools.count()
    batch = random_batch(rig.config.model, rig.system.views, share.rows, first=share.start)

    def step():
        rig.step(batch, next(numbers), show=False)
        device.synchronise()

    for _ in range(WARM_UP):
        step()
    gc.collect()
    rounds = []
    for _ in range(ROUNDS):
        clock, call = StepClock(), small_call()
        with parts_timed(rig, clock):
            for _ in range(steps):
                clock.step(step)
        rounds.append((clock.medians(), statistics.median(clock.elapsed), min(call, small_call())))
    with Traffic() as seen:
        rig.step(batch, next(numbers), show=False)
    quickest, elapsed, call = min(rounds, key=lambda each: each[0]["step"])
    return {
        "milliseconds": {part: 1000 * seconds for part, seconds in quickest.items()},
        "elapsed": 1000 * elapsed,
        "call": 1e6 * call,
        **counts(seen),
        "parameters": len(rig.model.parameters()),
        "values": rig.parameter_count,
        "views": len(rig.system.views),
        "pairs": share.rows,
    }


def small_call() -> float:
    """Seconds of the cheapest call of a kernel, with which hosts, and hours of one that is busy, can be compared."""
    import paddle

    value = paddle.ones([WIDTH])
    with paddle.no_grad():
        began = time.process_time()
        for _ in range(CALLS):
            paddle.add(value, value)
        return (time.process_time() - began) / CALLS


def counts(seen: Traffic) -> dict[str, Any]:
    """What was seen, JSON-able; a collective by its name and type."""
    return {
        "reads": dict(seen.reads),
        "copies": dict(seen.copies),
        "copied": seen.copied,
        "numbers": seen.numbers,
        "collectives": {
            " ".join(key).strip(): {"calls": calls, "bytes": seen.carried[key]}
            for key, calls in seen.collectives.items()
        },
    }


def both(config: RunConfig, steps: int, ranks: int = 1) -> dict[str, dict[str, Any]]:
    """{"cpu": ..., "card": ...}: `measure` with the branches of a CPU and with those of a card."""
    return {"cpu": measure(config, steps, ranks), "card": measure(config, steps, ranks, card=True)}


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """What `both` gives, for a terminal: a line for each part of the time and for each count."""
    times = {branch: values["milliseconds"] for branch, values in found.items()}
    parts = sorted(times["card"], key=lambda part: -times["card"][part])
    lines = [f"{'ms of a step, branches of a':<36}" + "".join(f"{branch:>14}" for branch in found)]
    lines += [f"{part:<36}" + "".join(f"{values.get(part, 0):14.2f}" for values in times.values()) for part in parts]
    lines.append(f"{'step by the clock on the wall':<36}" + "".join(f"{v['elapsed']:14.2f}" for v in found.values()))
    calls = [values["call"] for values in found.values()]
    lines.append(f"{'a small call, us':<36}" + "".join(f"{call:14.2f}" for call in calls))
    ratios = [1000 * values["milliseconds"]["step"] / values["call"] for values in found.values()]
    lines.append(f"{'the step in such calls':<36}" + "".join(f"{ratio:14,.0f}" for ratio in ratios))
    for title, kind in (("reads", "reads"), ("copies from the host", "copies")):
        rows = {"all": [sum(values[kind].values()) for values in found.values()]}
        for name in sorted(set().union(*(values[kind] for values in found.values()))):
            rows[name] = [values[kind].get(name, 0) for values in found.values()]
        lines += [
            f"{f'{title}, {name}':<36}" + "".join(f"{number:14,}" for number in row) for name, row in rows.items()
        ]
    for title, kind in (("bytes of them", "copied"), ("tensors of one number", "numbers")):
        lines.append(f"{title:<36}" + "".join(f"{values[kind]:14,}" for values in found.values()))
    for name in sorted(set().union(*(values["collectives"] for values in found.values()))):
        rows = [values["collectives"].get(name, {"calls": 0, "bytes": 0}) for values in found.values()]
        for unit in ("calls", "bytes"):
            lines.append(f"{f'{name}, {unit}':<36}" + "".join(f"{row[unit]:14,}" for row in rows))
    sizes = found["card"]
    lines.append(
        f"{sizes['pairs']} pairs of a rank, {sizes['views']} views, {sizes['parameters']} parameters of "
        f"{sizes['values']:,} values"
    )
    return "\n".join(lines)
