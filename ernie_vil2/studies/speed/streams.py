"""What the shared layers of COOKIE cost beside a plain dual encoder, and both beside a one-stream scorer of its width.

All parts are timed in one process, turn by turn, so that what else the machine does hits all of them; a figure is the
median of the turns. What N images against M texts cost is added up from the parts: two streams encode N + M times and
multiply, one stream runs its image tower N times and its joint transformer N x M times. With images kept, both are
spared the image tower, and one stream nothing else.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...config.model import PLAIN, ModelConfig
from ...device import current_device
from ...pages.markdown import markdown
from ..noise import TEXT_LENGTH, VOCABULARY

if TYPE_CHECKING:
    import paddle

SIDES = {"plain": "dual encoder", "cookie": "COOKIE"}
PAPER = 3 / 1000
"""Inference time over that of a one-stream model, as the paper states it, without the sizes of its sets"""
SET_SIZES = ((1000, 1), (10, 10), (100, 100), (1000, 1000), (1000, 5000))
"""Images and texts: first a query in a thousand images, last the test set of Flickr30k"""
PRODUCT = 1000
"""Embeddings a side of the product of scores that is timed"""


def compare(config: ModelConfig, images: int, texts: int, turns: int) -> dict[str, float]:
    """Seconds: `plain image`, `plain text`, `cookie image`, `cookie text`, `one image` (its tower) an item, `one pair`
    a pair, `product` a score of two embeddings; `image bytes` of kept tokens of the one-stream scorer and `embedding
    bytes` of a kept embedding.

    config: of a COOKIE; the plain side is the same without its layers. images x texts pairs are scored in a turn.
    """
    import paddle

    from ...models.dual_encoder import new_model
    from ...systems.registry import system_class
    from .one_stream import OneStreamScorer

    text_tower = replace(config.text_tower, vocab_size=config.text_tower.vocab_size or VOCABULARY)
    config = replace(config, text_tower=text_tower)
    models = {
        name: new_model(one, network=system_class(one.system).network)
        for name, one in (("plain", plain_side(config)), ("cookie", config))
    }
    one_stream = new_model(config, network=lambda *_: OneStreamScorer(config))
    for model in (*models.values(), one_stream):
        model.eval()
    rng, side = np.random.default_rng(0), config.pixels.size
    pixels = paddle.to_tensor(rng.standard_normal((images, 3, side, side), dtype=np.float32))
    shape = (texts, min(TEXT_LENGTH, config.max_length))
    ids = paddle.to_tensor(rng.integers(1, text_tower.vocab_size, shape))
    with paddle.no_grad():
        kept = one_stream.image_tokens(pixels)
        width = models["cookie"].encode_image(pixels[:1]).shape[1]
        scores = paddle.to_tensor(rng.standard_normal((PRODUCT, width), dtype=np.float32))
        parts: dict[str, tuple[Callable[[], object], int]] = {}
        for name, model in models.items():
            parts[f"{name} image"] = (lambda model=model: model.encode_image(pixels), images)
            parts[f"{name} text"] = (lambda model=model: model.encode_text(ids), texts)
        parts["one image"] = (lambda: one_stream.image_tokens(pixels), images)
        parts["one pair"] = (lambda: every_pair(one_stream, kept, ids), images * texts)
        parts["product"] = (lambda: paddle.matmul(scores, scores, transpose_y=True), PRODUCT**2)
        found = timed(parts, turns)
    return found | {"image bytes": 4.0 * kept[0].size, "embedding bytes": 4.0 * width}


def plain_side(config: ModelConfig) -> ModelConfig:
    """The dual encoder of a COOKIE's towers, with a projection on what is not as wide as its embeddings."""
    wide = config.embed_dims()[0]
    towers = {
        f"{name}_tower": replace(tower, projection=0 if tower.width == wide else wide)
        for name, tower in config.towers().items()
    }
    return replace(config, system=PLAIN, settings={}, **towers)


def every_pair(scorer: Callable, image_tokens: "paddle.Tensor", ids: "paddle.Tensor") -> list["paddle.Tensor"]:
    """Scores of every image with all texts, image by image."""
    texts = ids.shape[0]
    return [scorer(image_tokens[row : row + 1].expand([texts, -1, -1]), ids) for row in range(len(image_tokens))]


def timed(parts: dict[str, tuple[Callable[[], object], int]], turns: int) -> dict[str, float]:
    """{part: median seconds of one item}; parts: {name: (call, items)}, which take turns after one unmeasured."""
    seconds, device = {name: [] for name in parts}, current_device()
    for turn in range(turns + 1):
        for name, (call, items) in parts.items():
            device.synchronise()
            began = time.perf_counter()
            call()
            device.synchronise()
            if turn:
                seconds[name].append((time.perf_counter() - began) / items)
    return {name: statistics.median(values) for name, values in seconds.items()}


def set_seconds(found: dict[str, float], images: int, texts: int, side: str, kept: bool = False) -> float:
    """Seconds for the scores of `images` x `texts` pairs by plain, cookie or one; kept: what can be kept of the images
    (embeddings, tokens) is there already."""
    pairs = images * texts
    if side == "one":
        return (0 if kept else images * found["one image"]) + pairs * found["one pair"]
    return (0 if kept else images * found[f"{side} image"]) + texts * found[f"{side} text"] + pairs * found["product"]


def table(found: dict[str, float]) -> str:
    """The figures of `compare` as Markdown: by item, and for whole sets."""
    items = [
        [title, *(f"{1000 * found[f'{side} {kind}']:.1f}" for kind in ("image", "text")), "–"]
        for side, title in SIDES.items()
    ]
    items.append(["one-stream scorer", f"{1000 * found['one image']:.1f}", "–", f"{1000 * found['one pair']:.1f}"])
    ratios = [found[f"cookie {kind}"] / found[f"plain {kind}"] for kind in ("image", "text")]
    items.append(["COOKIE / dual encoder", *(f"{ratio:.2f}" for ratio in ratios), "–"])
    rows = []
    for images, texts in SET_SIZES:
        for kept in (False, True):
            one = set_seconds(found, images, texts, "one", kept)
            shares = [1000 * set_seconds(found, images, texts, side, kept) / one for side in SIDES]
            rows.append(
                [f"{images:,} x {texts:,}", "kept" if kept else "encoded", f"{one:,.1f}", *map("{:.2f}".format, shares)]
            )
    bytes_kept = (
        f"Kept of an image: one stream {found['image bytes']:,.0f} bytes, two streams {found['embedding bytes']:,.0f}."
    )
    head = ["images x texts", "images", "one stream, s", *(f"{title}, thousandths of it" for title in SIDES.values())]
    return "\n\n".join(
        [
            markdown(["milliseconds", "an image", "a text", "a pair"], items),
            markdown(head, rows),
            f"{bytes_kept} The paper says {1000 * PAPER:g} thousandths.",
        ]
    )
