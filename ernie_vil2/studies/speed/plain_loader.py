"""The plain side of the loader's comparison: the release's steps as a training script holds them, timed by stage."""

import time
from collections.abc import Callable

import cv2
import numpy as np

from ...config.augmentation import AugmentationConfig
from ...config.model import PIXEL_PROFILES
from ...data.batches.order import Order
from ...data.sources.base import Source

BATCH = 64
VIEWS = "image", "image'"
PROFILE = PIXEL_PROFILES["official"]
RECIPE = AugmentationConfig()
STAGES = "read", "decode", "augment", "normalise", "transport"


def plain_view(data: bytes, rng: np.random.Generator, clock: Callable[[str], object]) -> np.ndarray:
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


def plain_turn(source: Source, order: Order) -> dict[str, float]:
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


class Clock:
    """Seconds of CPU of this process by stage: clock(stage) ends a stage."""

    def __init__(self):
        self.seconds, self.last = dict.fromkeys(STAGES, 0.0), time.process_time()

    def __call__(self, stage):
        now = time.process_time()
        self.seconds[stage] += now - self.last
        self.last = now
