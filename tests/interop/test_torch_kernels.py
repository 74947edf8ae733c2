"""torch's side of `bench kernels` computes what Paddle's does."""

import numpy as np
import paddle
import pytest

from ernie_vil2.config.load import load_run
from ernie_vil2.studies.speed.kernels import torch_side
from ernie_vil2.studies.speed.kernels.project import plain_functions
from ernie_vil2.studies.speed.kernels.work import kernels

torch = pytest.importorskip("torch")
SIZES = {"image": "image_size: 32, patch_size: 8", "text": "vocab_size: 50, positions: 64"}
TOWER = "depth: 1, width: 32, heads: 2, dropout: 0"


def test_a_kernel_is_the_same_in_torch():
    towers = [f"model.{side}_tower={{{TOWER}, {rest}}}" for side, rest in SIZES.items()]
    config = load_run("configs/ernie_vil2_base_vit_zh.yaml", ["data.train=none", "model.pixels={size: 32}", *towers])
    for kernel in kernels(config, 3, 5):
        arrays = kernel.inputs()
        wanted = plain_functions()[kernel.kind](kernel)(*map(paddle.to_tensor, arrays)).numpy()
        if kernel.kind == "linear":
            arrays[1] = arrays[1].T.copy()
        found = torch_side.function_of(kernel)(*map(torch.from_numpy, arrays))
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=1e-5, err_msg=kernel.name)
