"""Views on their way into a model."""

import numpy as np
import paddle
import pytest

from ernie_vil2.config.model import PixelProfile
from ernie_vil2.data.images.pixels import normalise
from ernie_vil2.device import Device
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.objectives import views
from ernie_vil2.studies.noise import random_batch
from tests.systems.boxed import Boxed


@pytest.mark.parametrize("kind", ["cpu", "gpu", "xpu", "npu"])
def test_pixels_are_normalised_alike_before_and_on_a_card(monkeypatch, kind):
    asked = []
    monkeypatch.setattr(views, "current_device", lambda: Device(kind))
    monkeypatch.setattr(views.pixels, "normalise", lambda *given: asked.append(1) or normalise(*given))
    crops, profile = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8), PixelProfile(size=4)
    found = views.to_device([crops[:1], crops], profile)
    wanted = normalise(crops[[0, 0, 1]], profile)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5, atol=1e-6)
    assert bool(asked) == (kind == "cpu")  # on a card only bytes are sent there


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_crops_that_are_floats_are_normalised_as_they_are(monkeypatch, kind):
    monkeypatch.setattr(views, "current_device", lambda: Device(kind))
    crops, profile = np.random.default_rng(0).random((2, 4, 4, 3)).astype(np.float32), PixelProfile(size=4)
    found = views.to_device([crops[:1], crops], profile)
    wanted = ((crops[[0, 0, 1]] - np.array(profile.mean)) / profile.std).transpose(0, 3, 1, 2)
    assert found.dtype == paddle.float32
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("wanted", [("image",), ("image", "image'"), ("image'",)])
def test_each_view_is_encoded_with_its_own_boxes(tiny_config, wanted):
    model, rng = new_model(tiny_config, network=Boxed.network), np.random.default_rng(0)
    model.eval()
    batch = random_batch(tiny_config, ("image", "image'"), 3)
    for view in batch.pixels:
        batch.boxes[view] = rng.uniform(0, 32, (3, 4, 4)).astype(np.float32)
        batch.box_counts[view] = rng.integers(1, 5, 3)
    found = views.encode(model, batch, views=wanted)
    assert model.calls == [(3 * len(wanted), True)]
    for view in wanted:
        pixels = normalise(batch.pixels[view], tiny_config.pixels)
        raw = model.encode_image(*map(paddle.to_tensor, (pixels, batch.boxes[view], batch.box_counts[view])))
        np.testing.assert_allclose(found[view].numpy(), views.normalise(raw).numpy(), atol=2e-6, err_msg=view)


@pytest.mark.parametrize("wanted", [None, ("image", "caption", "tags"), ("caption'",)])
def test_views_that_are_encoded_together_are_those_encoded_alone(tiny_config, monkeypatch, wanted):
    model, calls = new_model(tiny_config), []
    model.eval()
    batch = random_batch(tiny_config, ("image", "image'", "caption", "caption'", "tags"), 3)
    batch.tokens["tags"] = batch.tokens["tags"][:, :3]
    for name in ("encode_image", "encode_text"):
        original = getattr(model, name)
        monkeypatch.setattr(model, name, lambda x, original=original: calls.append(x.shape[0]) or original(x))
    found = views.encode(model, batch, views=wanted)
    asked = wanted or (*batch.pixels, *batch.tokens)
    counts = [3 * sum(view in held for view in asked) for held in (batch.pixels, batch.tokens)]
    assert calls == [count for count in counts if count], "each tower runs once"
    assert set(found) == set(asked)
    for view in asked:
        alone = batch.pixels.get(view)
        if alone is None:
            raw = model.text_model(paddle.to_tensor(batch.tokens[view]))
        else:
            raw = model.visual(paddle.to_tensor(normalise(alone, tiny_config.pixels)))
        np.testing.assert_allclose(found[view].numpy(), views.normalise(raw).numpy(), atol=2e-6, err_msg=view)
