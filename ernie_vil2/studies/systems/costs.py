"""What each system costs: parameters, time of a step and of encoding, memory; never from the wall times of runs.

Times are taken in one process, in which the systems take turns on the same pictures and captions, so that what else the
machine does hits all of them alike; memory is that of a process of its own for each system and batch.
"""

import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config.run import RunConfig
from ...files.digests import sha256_of_code
from ...files.json_files import write_json
from ...files.leftovers import scratch_folder
from ...schema import build as build_record
from ..runs.processes import answer, environment
from ..runs.run import PACKAGE
from .comparison import BASE, COMMAND

if TYPE_CHECKING:
    from ...data.batches.views import Batch
    from ...training.trainer import Trainer

START = "from ernie_vil2.studies.systems import costs; costs.serve()"
COSTS = "costs.json"
WARM_STEPS, TURNS, MEMORY_STEPS = 2, 9, 3
IMAGES, CAPTIONS = 128, 256
"""Unseen scenes and captions that are encoded in a turn"""


def measured(
    configs: Mapping[str, dict[int, dict[str, Any]]], output: str | Path, images: int, replace: bool = False
) -> dict[str, Any]:
    """The costs of {system: {batch: configuration as plain data}}, kept in COSTS below `output`, which the caller has
    claimed, and taken from there where they are of the same configurations and code, unless they are to be replaced.

    Returns {"parameters": {system: {"towers", "own", "all"}}, "times": {system: {"images", "texts", "views", batch as
    text: {"seconds", "ratio"}}}, "memory": {system: {batch as text: {"loaded", "most"}}} in MiB, "baseline": metrics,
    "code": digest}.
    ratio: over CLIP in the same turn, the median over turns; seconds: medians, of an item where something is encoded.
    """
    path, code = Path(output) / COSTS, sha256_of_code(PACKAGE)
    job = json.loads(json.dumps({"runs": configs, "images": images, "code": code}))
    if path.exists() and not replace:
        held = json.loads(path.read_text(encoding="utf-8"))
        if held["job"] == job:
            return held["costs"]
    found = json.loads(ask({"kind": "times", **job}, "the time of the systems"))
    found["memory"] = {
        name: {
            batch: json.loads(ask({"kind": "memory", "run": run}, f"the memory of {name} at batch {batch}"))
            for batch, run in runs.items()
        }
        for name, runs in job["runs"].items()
    }
    found["code"] = code
    write_json(path, {"job": job, "costs": found}, COMMAND)
    return found


def ask(job: Mapping[str, Any], what: str) -> str:
    """What a process of one thread answers to a job."""
    return answer(START, job, what, environment())


def serve() -> None:
    """One measurement: the job as JSON on standard input, the answer as JSON without blanks."""
    from ...runtime import import_paddle

    import_paddle()
    job = json.loads(sys.stdin.read())
    with scratch_folder("systems") as folder:
        found = times(job, folder) if job["kind"] == "times" else memory(trainer(job["run"], folder / "run"))
    print(json.dumps(found, separators=(",", ":")))


def trainer(run: Mapping[str, Any], folder: Path) -> "Trainer":
    """The Trainer of a configuration given as plain data, at random weights, which cost the same."""
    from ...training.trainer import Trainer

    return Trainer(build_record(RunConfig, {**run, "init": {}, "output": str(folder)}, "the job"))


def making(held: "Trainer") -> "Callable[[], tuple[Batch, list]]":
    """Function that makes the first batch, always the same one."""
    from ...data.batches.loader import BatchMaker

    make = BatchMaker(held.source, held.maker)
    return lambda: make(0, range(held.config.train.batch_size))


def stepping(held: "Trainer") -> Callable[[], object]:
    """Function that takes one more step, always on the first batch, which is made before."""
    batch, _ = making(held)()
    return lambda: held.rig.step(batch, held.rig.done, show=False)


def memory(held: "Trainer") -> dict[str, float]:
    """{"loaded": MiB before the first step, "most": the peak over a few}, of the whole process on a CPU."""
    from ...device import current_device

    step, device = stepping(held), current_device()
    loaded = device.memory().now
    for _ in range(MEMORY_STEPS):
        step()
    device.synchronise()
    held.close()
    return {"loaded": loaded, "most": device.memory().most}


def parameters(held: "Trainer") -> dict[str, int]:
    """Values of the two towers, of what the system has beside them (its temperatures among that), and of all."""
    model = held.rig.model
    towers = sum(math.prod(value.shape) for part in (model.visual, model.text_model) for value in part.parameters())
    return {"towers": towers, "own": held.rig.parameter_count - towers, "all": held.rig.parameter_count}


def times(job: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Parameters, times and the baseline of colours and words."""
    from ..demo.demo import measure_baseline, unseen_split

    held = {
        (name, batch): trainer(run, folder / f"{name}-{batch}")
        for name, runs in job["runs"].items()
        for batch, run in runs.items()
    }
    first = {name: held[name, next(iter(runs))] for name, runs in job["runs"].items()}
    scenes = unseen_split(first[BASE].config, IMAGES)
    pictures = [scenes[index].image for index in range(len(scenes))]
    captions = [text for index in range(len(scenes)) for text in scenes[index].texts][:CAPTIONS]
    calls = {(batch, name): stepping(own) for (name, batch), own in held.items()}
    for name, own in first.items():
        model = own.validation.encoder
        calls["images", name] = lambda model=model: model.encode_image(pictures)
        calls["texts", name] = lambda model=model: model.encode_text(captions)
        calls["views", name] = making(own)
    seconds = in_turns(calls)
    items = {"images": len(pictures), "texts": len(captions), "views": first[BASE].config.train.batch_size}
    found = {
        "parameters": {name: parameters(own) for name, own in first.items()},
        "times": {
            name: {what: figure(seconds, what, name, items.get(what, 1)) for what, other in calls if other == name}
            for name in first
        },
        "baseline": measure_baseline(
            first[BASE].config,
            first[BASE].validation.encoder.tokenizer,
            unseen_split(first[BASE].config, job["images"]),
        ),
    }
    for own in held.values():
        own.close()
    return found


def in_turns(calls: Mapping[tuple[str, str], Callable[[], object]]) -> dict[tuple[str, str], list[float]]:
    """Seconds of every call in each turn, until the device has done its work, after turns that warm up."""
    from ...device import current_device

    device = current_device()
    seconds = {key: [] for key in calls}
    for turn in range(WARM_STEPS + TURNS):
        for key, call in calls.items():
            device.synchronise()
            began = time.perf_counter()
            call()
            device.synchronise()
            if turn >= WARM_STEPS:
                seconds[key].append(time.perf_counter() - began)
    return seconds


def figure(seconds: Mapping[tuple[str, str], list[float]], what: str, name: str, items: int) -> dict[str, float]:
    """The median of an item's seconds, and of the ratios to CLIP in the same turn."""
    own, base = seconds[what, name], seconds[what, BASE]
    ratio = statistics.median(mine / other for mine, other in zip(own, base, strict=True))
    return {"seconds": statistics.median(own) / items, "ratio": ratio}
