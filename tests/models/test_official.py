"""The released base model, number by number: against golden figures, and against the fixtures where they are."""

import json
from pathlib import Path

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.config.model import ModelConfig
from ernie_vil2.data.images.pixels import normalise
from ernie_vil2.models.dual_encoder import DualEncoder, uninitialised
from tests.standin import load_standin

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


@pytest.fixture(scope="module")
def network():
    with uninitialised():
        model = load_standin(DualEncoder(ModelConfig()))
    model.eval()
    return model


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN / "official_base.npz")


def in_batch_loss(image, text, scale):
    logits = paddle.matmul(F.normalize(image), F.normalize(text), transpose_y=True) * scale
    labels = paddle.arange(len(image))
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def gradient_differences(network, wanted):
    """Relative differences of gradient norms; text key biases are left out, theirs is zero but for rounding."""
    found = {}
    for name, parameter in network.named_parameters():
        if name in wanted and not name.endswith("attn.k.bias"):
            norm = float(np.linalg.norm(parameter.grad.numpy().astype(np.float64)))
            found[name] = abs(norm - wanted[name]) / wanted[name]
    return found


def test_keys_and_shapes_are_the_manifest_of_the_layout(network):
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == {
        key: tuple(shape) for key, shape in manifest(ModelConfig()).items()
    }
    assert len(network.state_dict()) == 350


def test_text_embeddings_loss_and_text_gradients_are_the_releases(network, golden):
    with paddle.no_grad():
        text = network.encode_text(paddle.to_tensor(golden["input_ids"].astype(np.int64)))
    np.testing.assert_allclose(text.numpy(), golden["text_embeds"], atol=1e-4)
    network.clear_gradients()
    text = network.encode_text(paddle.to_tensor(golden["input_ids"][:8].astype(np.int64)))
    loss = in_batch_loss(paddle.to_tensor(golden["image_embeds"]), text, network.logit_scale())
    assert abs(loss.item() - float(golden["pair_loss"])) < 1e-5
    loss.backward()
    wanted = json.loads((GOLDEN / "official_base_gradients.json").read_text())["grad_norms"]
    differences = gradient_differences(network, wanted)
    assert len(differences) > 180 and max(differences.values()) < 1e-3


def test_padding_to_the_longest_changes_nothing(network, golden):
    ids = golden["input_ids"].astype(np.int64)
    with paddle.no_grad():
        for row in (4, 9, 11):
            length = int((ids[row] != 0).sum())
            alone = network.encode_text(paddle.to_tensor(ids[row : row + 1, :length])).numpy()
            np.testing.assert_allclose(alone[0], golden["text_embeds"][row], atol=1e-4)


def test_image_tower_has_not_moved(network, golden):
    crops = np.random.default_rng(7).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    with paddle.no_grad():
        embeds = network.encode_image(paddle.to_tensor(normalise(crops))).numpy()
    np.testing.assert_allclose(embeds, golden["noise_embeds"], atol=1e-4)


def test_fixture_pixels_embeddings_loss_and_every_gradient(network, shared_parity):
    expected = np.load(shared_parity / "expected.npz")
    network.clear_gradients()
    image = network.encode_image(paddle.to_tensor(normalise(expected["crops"])))
    np.testing.assert_allclose(image.numpy(), expected["image_embeds"], atol=1e-4)
    text = network.encode_text(paddle.to_tensor(expected["input_ids"][:8].astype(np.int64)))
    loss = in_batch_loss(image, text, network.logit_scale())
    assert abs(loss.item() - float(expected["pair_loss"])) < 1e-5
    loss.backward()
    wanted = json.loads((shared_parity / "gradients.json").read_text())["grad_norms"]
    differences = gradient_differences(network, wanted)
    assert len(differences) == len(wanted) - 12 and max(differences.values()) < 1e-3
