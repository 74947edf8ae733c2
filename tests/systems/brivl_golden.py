"""BriVL's release in a small size, as tests/golden/brivl_tiny.npz tells it: weights by rule, and figures."""

import json
import zlib
from pathlib import Path

import numpy as np
import paddle

from ernie_vil2.checkpoints.fill import fill_parameters
from ernie_vil2.checkpoints.formats.lazy_tensors import Float32View
from ernie_vil2.checkpoints.layouts.brivl import layout
from ernie_vil2.checkpoints.layouts.layout_record import Found
from ernie_vil2.models.dual_encoder import uninitialised
from ernie_vil2.systems.registry import system_class

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "brivl_tiny.npz"
SEED = 11


def golden():
    """{name: array} of the file."""
    return dict(np.load(GOLDEN))


def weight(key, shape, kind, a, b):
    """The stand-in for a tensor of the released file; of what carries nothing, zeros."""
    noise = np.random.default_rng([SEED, zlib.crc32(key.encode())]).standard_normal(tuple(shape), dtype=np.float32)
    if kind == "positive":
        return np.float32(a) * (np.float32(1.0) + np.float32(b) * np.abs(noise))
    return np.float32(a) + np.float32(b) * noise if kind == "normal" else np.zeros(shape, np.int64)


def network(figures):
    """The network with the stand-in weights, as it encodes."""
    state = {
        key: figures[key] if kind == "stored" else np.asarray(weight(key, shape, kind, a, b))
        for key, (shape, kind, a, b) in json.loads(bytes(figures["manifest"])).items()
    }
    read = layout.read(Found(state, GOLDEN, {"heads": 4, "image_size": 100, "max_length": 24}))
    with uninitialised():
        found = system_class("brivl").network(read.config)
    assert fill_parameters(found.state_dict(), Float32View(read.state), optional="contrastive_loss") == []
    found.eval()
    return found


def noise_pixels():
    """float32 [2, 3, 100, 100]: two images of noise, smooth at large scale, as they enter the network."""
    rng = np.random.default_rng(5)
    coarse = rng.standard_normal((2, 3, 5, 5)).repeat(20, 2).repeat(20, 3)
    return (coarse + 0.3 * rng.standard_normal((2, 3, 100, 100))).astype(np.float32)


NOISE_BOXES = np.array([[[10, 20, 60, 90], [-5, 40, 30, 130], [0, 0, 100, 100]], [[0, 0, 100, 100], *[[0] * 4] * 2]])
NOISE_COUNTS = np.array([3, 1])


def noise_embeds(model):
    """Unit embeddings [2, D] of `noise_pixels`, one with boxes of its own and one without."""
    with paddle.no_grad():
        raw = model.encode_image(
            *map(paddle.to_tensor, (noise_pixels(), NOISE_BOXES.astype(np.float32), NOISE_COUNTS))
        ).numpy()
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)
