"""How fast training samples are made, per core, against a plain use of the release's steps.

Both sides read the same JPEGs from tars and end in normalised float32 with two views an image. The plain side is what
a training script would hold: OpenCV decodes in full, the short side is resized by the release's rule, a random square
is cut out and mirrored, the colours are jittered on a PIL image as torchvision does (ImageEnhance, and the hue plane of
its HSV), grey, a 5 x 5 Gaussian blur by OpenCV, and the release's own arithmetic of `/ 255`, mean and std; all of this
once per view. Our side is the Loader with one worker process, whole: its figure holds the transport to this process.
Times are seconds of CPU, of the process or of both, so they are per core whatever else the machine does.
"""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...data.batches.loader import Loader
from ...data.batches.order import Order
from ...data.batches.views import ViewMaker
from ...data.images.augment import draw_short, vary
from ...data.images.decode import decode_for
from ...data.images.pixels import normalise
from ...data.images.resize import resize_short
from ...data.sources.base import Source
from ...data.sources.open import open_source
from ...files.leftovers import scratch_folder
from .photos import write_tars
from .plain_loader import BATCH, PROFILE, RECIPE, STAGES, VIEWS, Clock, plain_turn


def staged_turn(source: Source, maker: ViewMaker, order: Order) -> dict[str, float]:
    """{stage: CPU seconds} of one epoch by our steps in this process; transport is collation alone."""
    clock = Clock()
    for step in range(order.batches_per_epoch):
        made = []
        for position in order.batch(step)[1]:
            data = source[position].image
            clock("read")
            rngs = [np.random.default_rng((position, view)) for view in range(len(VIEWS))]
            short = draw_short(PROFILE.size, rngs[0], RECIPE.crop_scale)
            rgb, sides = decode_for(data, short)
            clock("decode")
            resized = resize_short(rgb, short, sides=sides)
            made.append([vary(resized, PROFILE.size, rng, RECIPE)[0] for rng in rngs])
            clock("augment")
        batch = [np.stack(view) for view in zip(*made, strict=True)]
        clock("transport")
        for view in batch:
            normalise(view)
        clock("normalise")
    return clock.seconds


def loader_turn(source: Source, maker: ViewMaker, order: Order) -> float:
    """CPU seconds of one epoch through the Loader with one worker, this process and the worker together."""
    loader = Loader(source, maker, order, order.batches_per_epoch + 4, workers=1)
    batches = iter(loader)
    for _ in range(4):  # the worker has started, and is as far ahead as it will be at the end
        next(batches)
    (pid,) = loader.pids
    began, used = time.process_time(), cpu_seconds(pid)
    for _ in range(order.batches_per_epoch - 4):
        batch, _ = next(batches)
        for pixels in batch.pixels.values():
            normalise(pixels)
    spent = time.process_time() - began + cpu_seconds(pid) - used
    batches.close()
    return spent * order.batches_per_epoch / (order.batches_per_epoch - 4)


def compare(
    count: int = 1024, quality: int = 85, repeats: int = 3, note: Callable[[str], object] = lambda line: None
) -> dict[str, Any]:
    """{"bytes": mean file size, "plain" and "ours": {stage or "all": samples/s per core}, "ratio": ours / plain}.

    Medians over `repeats` turns that alternate between the sides; "all" of ours is the whole Loader.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with scratch_folder("loader") as folder:
            paths, size = write_tars(folder, count, quality)
            source = open_source([str(path) for path in paths])
            maker = ViewMaker(VIEWS, None, PROFILE, RECIPE)
            order = Order(source.shard_sizes(), min(BATCH, count // 8), 0)
            made = order.batches_per_epoch * order.batch_size
            plain, ours = [], []
            for turn in range(repeats):
                stages = plain_turn(source, order)
                plain.append({**stages, "all": sum(stages.values())})
                whole, stages = loader_turn(source, maker, order), staged_turn(source, maker, order)
                stages["transport"] = max(0.0, whole - sum(stages.values()) + stages["transport"])
                ours.append({**stages, "all": whole})
                note(
                    f"turn {turn + 1} of {repeats}: plain {made / plain[-1]['all']:.0f}, ours {made / whole:.0f} "
                    f"samples/s per core"
                )
    finally:
        cv2.setNumThreads(threads)
    speeds = [
        {stage: made / max(1e-9, statistics.median(turn[stage] for turn in side)) for stage in (*STAGES, "all")}
        for side in (plain, ours)
    ]
    ratio = statistics.median(one["all"] / two["all"] for one, two in zip(plain, ours, strict=True))
    return {"bytes": size, "plain": speeds[0], "ours": speeds[1], "ratio": ratio}


def table(result: Mapping[str, Any]) -> str:
    """The figures of `compare` as lines."""
    lines = [
        f"640 x 480 JPEGs of {result['bytes'] / 1000:.0f} kB in tars, 2 views each; samples/s per core",
        f"{'':10}{'plain':>10}{'ours':>10}",
    ]
    lines += [f"{stage:10}{result['plain'][stage]:10,.0f}{result['ours'][stage]:10,.0f}" for stage in (*STAGES, "all")]
    return "\n".join([*lines, f"{'ratio':10}{result['ratio']:19.2f}x"])


def cpu_seconds(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
