"""How fast training samples are made, per core, against a plain use of the release's steps; and whether memory grows.

Both sides read the same JPEGs from tars and end in normalised float32 with two views an image. The plain side is what
a training script would hold: OpenCV decodes in full, the short side is resized by the release's rule, a random square
is cut out and mirrored, the colours are jittered on a PIL image as torchvision does (ImageEnhance, and the hue plane of
its HSV), grey, a 5 x 5 Gaussian blur by OpenCV, and the release's own arithmetic of `/ 255`, mean and std; all of this
once per view. Our side is the Loader with one worker process, whole: its figure holds the transport to this process.
Times are seconds of CPU, of the process or of both, so they are per core whatever else the machine does.
"""

import io
import os
import statistics
import tarfile
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from ...config.model import PIXEL_PROFILES
from ...config.run import AugmentationConfig
from ...data.batches.loader import Loader, Order
from ...data.batches.views import ViewMaker
from ...data.images.augment import draw_short, vary
from ...data.images.decode import decode_for
from ...data.images.pixels import normalise
from ...data.images.resize import resize_short
from ...data.sources.base import Sample, Source
from ...data.sources.open import open_source

SIDES = 480, 640
BATCH = 64
SHARDS = 4
VIEWS = "image", "image'"
PROFILE = PIXEL_PROFILES["official"]
RECIPE = AugmentationConfig()
STAGES = "read", "decode", "augment", "normalise", "transport"


def photo(rng, height=SIDES[0], width=SIDES[1]):
    """Pixels uint8 [H, W, 3] with detail at every scale, less of it at the finer ones, as photographs have."""
    picture = np.full((height, width, 3), 128, np.float32)
    for cells in (4, 16, 64, 160, 320, 640):
        layer = rng.standard_normal((max(3, cells * height // width), cells, 3), np.float32)
        picture += 75 / cells**0.35 * cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def write_tars(folder, count, quality=85, photos=32):
    """Paths of SHARDS tars with `count` JPEGs of 640 x 480, of `photos` different ones; and a file's mean bytes."""
    encode = [cv2.IMWRITE_JPEG_QUALITY, quality]
    files = [
        cv2.imencode(".jpg", photo(np.random.default_rng(seed)), encode)[1].tobytes()
        for seed in range(min(count, photos))
    ]
    paths = [Path(folder) / f"{shard:04}.tar" for shard in range(SHARDS)]
    for shard, path in enumerate(paths):
        with tarfile.open(path, "w") as tar:
            for index in range(shard, count, SHARDS):
                for suffix, data in (("jpg", files[index % len(files)]), ("txt", "图".encode())):
                    member = tarfile.TarInfo(f"{index:06}.{suffix}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    return paths, statistics.mean(map(len, files))


# The plain side


def plain_view(data, rng, clock):
    """One view float32 [3, 224, 224] by the release's steps, as a plain script has them."""
    from PIL import Image, ImageEnhance

    rgb = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    clock("decode")
    size = PROFILE.size
    height, width = rgb.shape[:2]
    scale = size / min(height, width)
    if scale != 1:
        sides = (size, int(scale * height) + 1) if width < height else (int(scale * width) + 1, size)
        rgb = cv2.resize(rgb, sides)
    top, left = (rng.integers(0, side - size, endpoint=True) for side in rgb.shape[:2])
    rgb = rgb[top : top + size, left : left + size]
    if rng.random() < RECIPE.flip:
        rgb = rgb[:, ::-1]
    image = Image.fromarray(np.ascontiguousarray(rgb))
    if rng.random() < RECIPE.jitter:
        for step in rng.permutation(4):
            if step == 3:
                hue, saturation, value = image.convert("HSV").split()
                turned = np.array(hue) + np.uint8(int(rng.uniform(-RECIPE.hue, RECIPE.hue) * 255) % 256)
                image = Image.merge("HSV", (Image.fromarray(turned), saturation, value)).convert("RGB")
            else:
                change = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[step]
                image = change(image).enhance(rng.uniform(0.6, 1.4))
    if rng.random() < RECIPE.grey:
        image = image.convert("L").convert("RGB")
    rgb = np.asarray(image)
    if rng.random() < RECIPE.blur:
        rgb = cv2.GaussianBlur(rgb, (5, 5), rng.uniform(*RECIPE.blur_sigma))
    clock("augment")
    pixels = rgb.astype("float32").transpose(2, 0, 1) / 255
    pixels -= np.array(PROFILE.mean).reshape(3, 1, 1)
    pixels /= np.array(PROFILE.std).reshape(3, 1, 1)
    clock("normalise")
    return pixels


def plain_turn(source, order):
    """{stage: CPU seconds} of one epoch by the plain side, a batch at a time."""
    clock = Clock()
    rng = np.random.default_rng(0)
    for step in range(order.batches_per_epoch):
        views = []
        for position in order.batch(step)[1]:
            data = source[position].image
            clock("read")
            views.append([plain_view(data, rng, clock) for _ in VIEWS])
        batch = [np.stack(view) for view in zip(*views, strict=True)]
        clock("transport")
        del batch
    return clock.seconds


# Our side


def staged_turn(source, maker, order):
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
            made.append([vary(resized, PROFILE.size, rng, RECIPE) for rng in rngs])
            clock("augment")
        batch = [np.stack(view) for view in zip(*made, strict=True)]
        clock("transport")
        for view in batch:
            normalise(view)
        clock("normalise")
    return clock.seconds


def loader_turn(source, maker, order):
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


def compare(count=1024, quality=85, repeats=3, note=lambda line: None):
    """{"bytes": mean file size, "plain" and "ours": {stage or "all": samples/s per core}, "ratio": ours / plain}.

    Medians over `repeats` turns that alternate between the sides; "all" of ours is the whole Loader.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
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


def table(result):
    """The figures of `compare` as lines."""
    lines = [
        f"640 x 480 JPEGs of {result['bytes'] / 1000:.0f} kB in tars, 2 views each; samples/s per core",
        f"{'':10}{'plain':>10}{'ours':>10}",
    ]
    lines += [f"{stage:10}{result['plain'][stage]:10,.0f}{result['ours'][stage]:10,.0f}" for stage in (*STAGES, "all")]
    return "\n".join([*lines, f"{'ratio':10}{result['ratio']:19.2f}x"])


# Memory


class Drawn(Source):
    """Small pictures made from their number."""

    name = "drawn"

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def load(self, index):
        rng = np.random.default_rng(index)
        pixels = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (80, 64))
        return Sample(str(index), cv2.imencode(".jpg", pixels)[1].tobytes(), ("图",), (), self.where(index))


def memory(count=100_000, workers=2, every=20_000, note=lambda line: None):
    """[(samples, MB)]: resident memory of this process and its loader's workers together, as samples go by."""
    maker = ViewMaker(VIEWS, None, PROFILE, RECIPE)
    loader = Loader(Drawn(count), maker, Order(count, BATCH, 0), -(-count // BATCH), workers=workers)
    found, seen = [], 0
    for batch, _ in loader:
        seen += len(batch)
        if seen // every > len(found):
            found.append((seen, sum(memory_of(pid) for pid in (os.getpid(), *loader.pids)) / 2**20))
            note(f"{seen:,} samples: {found[-1][1]:.1f} MB")
    return found


def memory_of(pid):
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid):
    """Seconds of CPU that a process has used."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class Clock:
    """Seconds of CPU of this process by stage: clock(stage) ends a stage."""

    def __init__(self):
        self.seconds, self.last = dict.fromkeys(STAGES, 0.0), time.process_time()

    def __call__(self, stage):
        now = time.process_time()
        self.seconds[stage] += now - self.last
        self.last = now
