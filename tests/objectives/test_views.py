"""Views on their way into a model."""

import numpy as np
import pytest

from ernie_vil2.config.model import PixelProfile
from ernie_vil2.data.images.pixels import normalise
from ernie_vil2.device import Device
from ernie_vil2.objectives import views


@pytest.mark.parametrize("kind", ["cpu", "gpu", "xpu", "npu"])
def test_pixels_are_normalised_alike_before_and_on_a_card(monkeypatch, kind):
    asked = []
    monkeypatch.setattr(views, "current_device", lambda: Device(kind))
    monkeypatch.setattr(views.pixels, "normalise", lambda *given: asked.append(1) or normalise(*given))
    crops, profile = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8), PixelProfile(size=4)
    found = views.to_device(crops, profile)
    np.testing.assert_allclose(found.numpy(), normalise(crops, profile), rtol=1e-5, atol=1e-6)
    assert bool(asked) == (kind == "cpu")  # on a card only bytes are sent there
