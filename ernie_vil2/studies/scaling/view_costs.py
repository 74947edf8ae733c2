"""What a view of a pair costs a tower: seconds forward and backward, and bytes kept for the backward pass."""

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...config.model import ModelConfig
from ...config.tower_fields import ImageTowerConfig, TextTowerConfig
from ...device import MIB, current_device

if TYPE_CHECKING:
    import paddle

    from ...models.dual_encoder import DualEncoder

LARGE = {"width": 1024, "depth": 24, "heads": 16}
SIZES = {
    "base": ModelConfig(),
    "large": ModelConfig(
        image_tower=replace(ImageTowerConfig(), patch_size=14, **LARGE),
        text_tower=replace(TextTowerConfig(), **LARGE),
    ),
}
"""ViT-B/16 with ERNIE 3.0 base, and ViT-L/14 with a text tower of the same depth and width."""
MICRO = {"base": 4, "large": 2}
TURNS = 2


def measure_size(size: str) -> dict[str, Any]:
    """Parameters, and per view of a tower: seconds of forward and backward, bytes that forward leaves for backward."""
    import paddle

    from ...models.dual_encoder import new_model

    config, count = SIZES[size], MICRO[size]
    model = new_model(config, ("mm", "ii", "tt"))
    model.train()
    side = config.image_tower.image_size
    inputs = {
        "image": (model.encode_image, paddle.rand([count, 3, side, side])),
        "text": (model.encode_text, paddle.randint(1, config.text_tower.vocab_size, [count, config.max_length])),
    }
    result = {"parameters": sum(int(parameter.size) for parameter in model.parameters()), "micro_batch": count}
    for tower, (encode, value) in inputs.items():
        turns = [one_turn(model, encode, value) for _ in range(TURNS + 1)][1:]
        model.recompute = True
        recomputed = one_turn(model, encode, value)["bytes"]
        model.recompute = False
        best = {key: min(turn[key] for turn in turns) / count for key in turns[0]}
        result[tower] = {**best, "bytes_recompute": recomputed / count}
    return result


def one_turn(
    model: "DualEncoder", encode: "Callable[[paddle.Tensor], paddle.Tensor]", value: "paddle.Tensor"
) -> dict[str, float]:
    """Seconds of a forward and a backward pass, and bytes held between them."""
    device = current_device()
    gc.collect()
    device.synchronise()
    before, start = allocated(), time.perf_counter()
    loss = encode(value).sum()
    device.synchronise()
    middle, held = time.perf_counter(), allocated() - before
    loss.backward()
    device.synchronise()
    end = time.perf_counter()
    model.clear_gradients()
    return {"forward": middle - start, "backward": end - middle, "bytes": held}


def allocated() -> float:
    """Bytes of Paddle's tensors on the device."""
    return current_device().tensors().now * MIB
