"""Towers of every kind in a small size, for the engines that run them."""

from dataclasses import replace

import numpy as np
import paddle

from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.config.run import LoraConfig
from ernie_vil2.config.tower_fields import EfficientNetConfig, ImageTowerConfig, TextTowerConfig
from ernie_vil2.models.lora import add_lora
from ernie_vil2.systems.registry import system_class

SIZE = {"width": 16, "depth": 1, "heads": 2}
VIT = ImageTowerConfig(image_size=32, patch_size=8, **SIZE)
ERNIE = TextTowerConfig(vocab_size=64, positions=32, **SIZE)
EFFICIENTNET = EfficientNetConfig(
    variant="b0", width_factor=0.25, depth_factor=0.3, image_size=64, projection=16, epsilon=1e-2
)
FEATURES = replace(EFFICIENTNET, projection=0)
PLAIN = ModelConfig(image_tower=VIT, text_tower=ERNIE, max_length=16, pixels=PixelProfile(size=32))
WIDE = replace(PLAIN, image_tower=EFFICIENTNET, pixels=PixelProfile(size=64))
HEADS = {"embed_dim": 24, "layers": 1, "image_heads": 2, "text_heads": 2, "feed_forward": 32, "hidden": 32}
BRIVL = replace(PLAIN, system="brivl", settings=HEADS | {"most_boxes": 5}, fixed_length=True)
GRID = HEADS | {"regions": "grid", "grid": 2}
COOKIE = replace(PLAIN, system="cookie", settings={"layers": 2, "heads": 2, "feed_forward": 32})


def towers(config=PLAIN, image=(), text=(), **fields):
    """The configuration with other fields of its towers and of its own."""
    return replace(
        config,
        image_tower=replace(config.image_tower, **dict(image)),
        text_tower=replace(config.text_tower, **dict(text)),
        **fields,
    )


def settings(config, **fields):
    return replace(config, settings=config.settings | fields)


CONFIGS = {
    "plain": PLAIN,
    "projected": towers(image={"projection": 8}, text={"projection": 8}),
    "other": towers(
        image={"pre_norm": False, "patch_bias": True, "activation": "gelu", "epsilon": 1e-3},
        text={"token_types": 2, "activation": "relu"},
    ),
    "fixed length": towers(text={"activation": "quick_gelu"}, fixed_length=True),
    "image alone": replace(PLAIN, text_tower=None),
    "text alone": replace(PLAIN, image_tower=None),
    "efficientnet": WIDE,
    "efficientnet same": replace(
        WIDE,
        image_tower=replace(EFFICIENTNET, padding="same", projection=0, batch_norm="train", image_size=51),
        text_tower=None,
        pixels=PixelProfile(size=51),
    ),
    "brivl boxes": BRIVL,
    "brivl aligned boxes": settings(
        replace(BRIVL, image_tower=FEATURES, pixels=WIDE.pixels), most_boxes=3, sampling="aligned"
    ),
    "brivl grid": replace(BRIVL, image_tower=FEATURES, pixels=WIDE.pixels, settings=GRID),
    "brivl aligned grid": replace(BRIVL, settings=GRID | {"sampling": "aligned"}),
    "cookie": COOKIE,
    "cookie first": settings(towers(COOKIE, text={"token_types": 2}), pooling="first", embed_dim=24, activation="relu"),
    "cookie efficientnet": replace(
        COOKIE, image_tower=FEATURES, text_tower=None, pixels=WIDE.pixels, settings=COOKIE.settings | {"embed_dim": 24}
    ),
}


def network(config, seed=0):
    """A network whose weights and statistics are all large enough to matter."""
    found = system_class(config.system).network(config)
    return filled(found, seed)


def filled(found, seed=0):
    """The network with random values in every parameter and statistic."""
    draw = np.random.default_rng(seed)
    for name, value in found.state_dict().items():
        inputs = {2: value.shape[0], 4: np.prod(value.shape[1:])}.get(value.ndim, 16)
        drawn = draw.normal(0, (3 if value.ndim == 4 else 1) * inputs**-0.5, value.shape)
        if value.ndim < 2:
            drawn = drawn + name.endswith("weight")
        if name.endswith("_variance"):
            drawn = draw.uniform(0.5, 2, value.shape)
        value.set_value(drawn.astype(np.float32))
    return found


def adapted(config=PLAIN):
    """A network with low-rank updates that matter."""
    found = network(config)
    add_lora(found, LoraConfig(rank=3, alpha=6, towers=list(config.towers())))
    return filled(found)


def merged(config=PLAIN):
    """A network with the weights of `adapted` in its own."""
    from ernie_vil2.models.lora import adapted_layers

    updated, found = adapted(config), network(config)
    own = found.state_dict()
    for name, value in updated.state_dict().items():
        if name in own:
            own[name].set_value(value)
    for name, layer in adapted_layers(updated).items():
        own[f"{name}.weight"].set_value(layer.merged())
    return found


def batches(config, kind, most_boxes=0, sizes=(1, 2, 3, 4, 5), lengths=(1, 2, 7, 16, 3)):
    """Batches of other sizes and lengths, with padding behind and between the tokens, and of ragged boxes."""
    draw = np.random.default_rng(1)
    for size, length in zip(sizes, lengths, strict=True):
        if kind == "text":
            width = config.max_length if config.fixed_length else length
            ids = draw.integers(1, 64, (size, width))
            ids[draw.uniform(size=ids.shape) < 0.3] = 0
            ids[:, 0] = 1
            yield (ids.astype(np.int64),)
            continue
        side = config.pixels.size
        pixels = draw.normal(size=(size, 3, side, side)).astype(np.float32)
        if not most_boxes:
            yield (pixels,)
            continue
        counts = draw.integers(1, most_boxes + 2, size)
        corners = np.sort(draw.uniform(-4, side + 4, (size, most_boxes + 1, 2, 2)), axis=2)
        corners[np.arange(most_boxes + 1) >= counts[:, None]] = 0
        yield pixels, corners.reshape(size, -1, 4).astype(np.float32), counts.astype(np.int64)


def dynamic(found, kind, arrays):
    """What the network itself computes."""
    found.eval()
    with paddle.no_grad():
        return getattr(found, f"encode_{kind}")(*map(paddle.to_tensor, arrays)).numpy()
