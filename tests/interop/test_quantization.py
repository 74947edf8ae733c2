"""NNCF itself: int8 of a small model keeps its embeddings, at every length, and its makers hear nothing."""

import os

import numpy as np
import openvino as ov
import pytest

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.inference.quantization import quantize_model
from tests.standin import standin_tensor

LONGEST = 40
TEXTS = ["红色的猫", "a small blue dog", "二只大狗和三个小猫在图片的上和下", "三个圆形和方形的图片"] * 10


@pytest.fixture
def path(tmp_path, tiny_config, tiny_vocab, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ERNIE_VIL2_ENGINE", raising=False)
    monkeypatch.delenv("NNCF_CI", raising=False)
    text, tiny_config.max_length = tiny_config.text_tower, LONGEST
    text.positions, text.width, text.heads = LONGEST, 128, 4  # 32 numbers a head
    tiny_config.image_tower.projection = 128
    state = {key: standin_tensor(key, shape) for key, shape in manifest(tiny_config).items()}
    for values in state.values():
        if values.ndim > 1:
            values *= 4  # so that attention has something to choose from
    save_model(tmp_path / "model", state, tiny_config, tiny_vocab)
    return tmp_path / "model"


def cosines(found, wanted):
    found, wanted = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (found, wanted))
    return (found * wanted).sum(1)


def int8_weights(folder):
    graph = ov.Core().read_model(folder / "tower.xml")
    return sum(node.get_type_name() == "Constant" and node.get_element_type() == ov.Type.i8 for node in graph.get_ops())


def test_int8_keeps_embeddings(path, random_image, capfd):
    images = [random_image(40, 36, seed) for seed in range(40)]
    kept = quantize_model(path, images, TEXTS)
    assert capfd.readouterr().out == "" and os.environ["NNCF_CI"] == "1"
    assert all(int8_weights(folder) >= 8 for folder in kept.values())
    model, plain = ernie_vil2.load(path, precision="int8"), ernie_vil2.load(path, engine="paddle")
    assert model.precision == {"image": "int8", "text": "int8"}
    assert cosines(model.encode_text(TEXTS), plain.encode_text(TEXTS)).min() > 0.99
    assert cosines(model.encode_image(images), plain.encode_image(images)).min() > 0.99


def test_bf16_beside_int8_is_right_at_every_length(path, random_image):
    folder = quantize_model(path, texts=TEXTS, towers=["text"])["text"]
    graph = ov.Core().read_model(folder / "tower.xml")
    half, full = (ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": hint}) for hint in ("bf16", "f32"))
    draw = np.random.default_rng(0)
    for length in range(1, LONGEST + 1):
        ids = draw.integers(1, 60, (3, length)).astype(np.int64)
        assert cosines(half([ids])[0], full([ids])[0]).min() > 0.98, length
