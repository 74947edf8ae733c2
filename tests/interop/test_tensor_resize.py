"""BriVL's resize against torch's own `interpolate`."""

import numpy as np
import pytest
import torch

from ernie_vil2.data.images.tensor_resize import tensor_resize


@pytest.mark.parametrize("shape", [(450, 360), (61, 52), (380, 380), (1500, 2100), (1, 900), (37, 3000)])
@pytest.mark.parametrize("side", [380, 100])
def test_it_is_torchs_interpolate(random_image, shape, side):
    rgb = random_image(*shape)
    pixels = torch.from_numpy(rgb).permute(2, 0, 1).contiguous().float().div(255)
    wanted = torch.nn.functional.interpolate(pixels[None], size=[side, side], mode="bilinear", align_corners=False)[0]
    np.testing.assert_allclose(tensor_resize(rgb, side).transpose(2, 0, 1), wanted.numpy(), rtol=0, atol=1e-6)
