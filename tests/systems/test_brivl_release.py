"""BriVL through the public surface against what its release computes, in a small size and in the released one."""

import numpy as np
import paddle
import pytest

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.systems.registry import system_class
from tests.systems import brivl_release

SIZES = ["tiny", pytest.param("full", marks=pytest.mark.slow)]
EVERY = {"tiny": (4, 1, 1), "full": (10, 64, 32)}
"""Of pixels, of the channels of the feature map and of those of tokens: which ones expected.npz holds"""
RAW = {"tiny": 1e-4, "full": 2e-3}


@pytest.fixture(scope="module", params=SIZES)
def released(request, shared_parity, tmp_path_factory):
    """(folder of the fixture, model, expected arrays, rows) of a size."""
    folder = shared_parity.parent / "brivl" / request.param
    path = tmp_path_factory.mktemp("brivl") / "model"
    read = brivl_release.released(folder, twins=False)
    save_model(path, read.state, read.config, folder.parent / "vocab.txt")
    return folder, ernie_vil2.load(path), brivl_release.expected(folder), brivl_release.lines(folder)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_pixels_boxes_and_ids_are_those_of_the_release(released):
    folder, model, expected, rows = released
    step = EVERY[folder.name][0]
    for row, pixels, boxes, count, mean in zip(
        rows, expected["pixels"], expected["boxes"], expected["box_len"], expected["pixels_mean"], strict=True
    ):
        found = model.preprocess(folder / row["image_id"])
        np.testing.assert_allclose(found[:, ::step, ::step], pixels, atol=2e-5)
        np.testing.assert_allclose(found.mean((1, 2)), mean, atol=2e-5)
        placed, number = model.regions(folder / row["image_id"], row["bbox"])
        np.testing.assert_allclose(placed, boxes, atol=1e-4)
        assert number == count
    texts = [dict(row["sentences"])["sur_text"] for row in rows]
    assert np.array_equal(model.tokenize(texts), expected["input_ids"])


def test_embeddings_are_those_of_the_release(released):
    folder, model, expected, rows = released
    images, boxes = [folder / row["image_id"] for row in rows], [row["bbox"] for row in rows]
    texts = [dict(row["sentences"])["sur_text"] for row in rows]
    found = {
        "image": (model.encode_image(images, normalize=False, boxes=boxes), model.encode_image(images, boxes=boxes)),
        "text": (model.encode_text(texts, normalize=False), model.encode_text(texts)),
    }
    for name, (raw, embeds) in found.items():
        np.testing.assert_allclose(raw, expected[f"{name}_raw"], atol=RAW[folder.name])
        np.testing.assert_allclose(embeds, expected[f"{name}_embed"], atol=2e-5)
    np.testing.assert_allclose(found["image"][1] @ found["text"][1].T, expected["similarity"], atol=2e-5)


def test_every_stage_is_that_of_the_release(released):
    folder, model, expected, rows = released
    network, (_, channels, tokens) = model.network, EVERY[folder.name]
    network.eval()
    with paddle.no_grad():
        pixels = paddle.to_tensor(np.stack([model.preprocess(folder / row["image_id"]) for row in rows]))
        boxes = paddle.to_tensor(expected["boxes"].astype(np.float32))
        there = paddle.arange(boxes.shape[1]) < paddle.to_tensor(expected["box_len"].astype(np.int64)).unsqueeze(-1)
        stages = {
            "feature_map": network.visual.features(pixels)[:, ::channels],
            "box_features": (found := network.box_features(pixels, boxes))[:, :, ::tokens],
            "box_tokens": network.image_head.tokens(found, there)[:, :, ::tokens],
        }
        ids = paddle.to_tensor(expected["input_ids"].astype(np.int64))
        hidden, step = network.text_model.tokens(ids, masked=False), 1 if folder.name == "tiny" else 24
        stages["bert_tokens"] = hidden[:, :, ::step]
        stages["text_tokens"] = network.text_head.tokens(hidden, ids != 0)[:, :, ::step]
    for name, value in stages.items():
        np.testing.assert_allclose(value.numpy(), expected[name], atol=2e-4, err_msg=name)


def test_neither_the_batch_nor_the_order_of_boxes_matters(released):
    folder, model, _, rows = released
    images, boxes = [folder / row["image_id"] for row in rows[:2]], [row["bbox"] for row in rows[:2]]
    texts = [dict(row["sentences"])["sur_text"] for row in rows[:2]]
    alone = [model.encode_image(image, boxes=one)[0] for image, one in zip(images, boxes, strict=True)]
    turned = [one[:36][::-1] for one in boxes]
    np.testing.assert_allclose(model.encode_image(images, boxes=turned, batch_size=1), alone, atol=2e-5)
    together = model.encode_text([*texts, "很长" * 60])[:2]
    np.testing.assert_allclose(together, [model.encode_text(text)[0] for text in texts], atol=2e-5)


def test_a_released_configuration_is_one_of_the_system(released):
    _, model, _, _ = released
    system = system_class("brivl")
    assert system.most_boxes(model.config) == 36 and model.config.fixed_length and model.config.pixels.decoder == "pil"
    if model.config.image_tower.variant == "b0":
        fresh = new_model(model.config, network=system.network)
        shapes = {key: list(value.shape) for key, value in model.network.state_dict().items()}
        assert {key: list(value.shape) for key, value in fresh.state_dict().items()} == shapes
