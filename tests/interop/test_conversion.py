"""Image towers of every layout as tools/convert.py takes them: files and folders in, checked model directories out."""

import json
import math

import numpy as np
import open_clip.transformer
import paddle
import pytest
import timm
import torch
import transformers
from paddleclas.ppcls.arch.backbone.model_zoo import efficientnet, foundation_vit, vision_transformer

import ernie_vil2  # its CPU settings reach Paddle
from ernie_vil2.conversion.convert import convert
from tests.interop.conversions import assert_same, random_torch

VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 2, "num_heads": 1, "mlp_ratio": 4, "qkv_bias": True}


def random_convolutions(state):
    """Values of a trained network's size in a state dict of NumPy arrays."""
    rng = np.random.default_rng(1)
    for key, value in state.items():
        if key.endswith(("variance", "running_var")):
            state[key] = rng.uniform(0.5, 1.5, value.shape).astype(np.float32)
        elif value.ndim < 2:
            state[key] = (rng.normal(0, 0.2, value.shape) + key.endswith("weight")).astype(np.float32)
        else:
            state[key] = rng.normal(0, math.prod(value.shape[1:]) ** -0.5, value.shape).astype(np.float32)
    return state


def check_of(path):
    return json.loads((path / "config.json").read_text())["extra"]["check"]


def ours(path, pixels):
    model = ernie_vil2.load(path)
    model.network.eval()
    with paddle.no_grad():
        return model.network.encode_image(paddle.to_tensor(pixels)).numpy()


def pixels_of(side):
    return np.random.default_rng(1).standard_normal((3, 3, side, side)).astype(np.float32)


@pytest.mark.parametrize("form", ("zip", "legacy", "module", "script", "safetensors"))
def test_openai_clip_from_every_kind_of_file(tmp_path, form):
    """As OpenAI publishes it (TorchScript, half precision), as `.pt` with a prefix, and as safetensors."""
    tower = random_torch(
        open_clip.transformer.VisionTransformer(
            image_size=32,
            patch_size=8,
            width=64,
            layers=2,
            heads=1,
            mlp_ratio=4.0,
            output_dim=16,
            act_layer=open_clip.transformer.QuickGELU,
        )
    )

    class Clip(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.visual = tower
            self.logit_scale = torch.nn.Parameter(torch.ones([]))
            self.register_buffer("input_resolution", torch.tensor(32))

        def forward(self, image):
            return self.visual(image)

    model, path, pixels = Clip().eval(), tmp_path / "clip.pt", pixels_of(32)
    if form == "script":
        torch.jit.trace(model.half().float(), torch.from_numpy(pixels), check_trace=False).save(str(path))
    elif form == "safetensors":
        path = tmp_path / "clip.safetensors"
        from safetensors.torch import save_file

        save_file(model.state_dict(), path)
    else:
        state = {("module." if form == "module" else "") + key: value for key, value in model.state_dict().items()}
        plan = {"epoch": 3, "state_dict": state} if form == "module" else state
        torch.save(plan, path, _use_new_zipfile_serialization=form != "legacy")
    lines = convert(path, tmp_path / "model")
    with torch.no_grad():
        assert_same(ours(tmp_path / "model", pixels), tower(torch.from_numpy(pixels)).numpy())
    assert "CLIP layout" in lines[0] and check_of(tmp_path / "model")["cosine"]["image"] > 0.999999
    assert any("quick_gelu is assumed" in line for line in lines)


def test_clip_of_transformers(tmp_path):
    config = transformers.CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        image_size=32,
        num_attention_heads=2,
        patch_size=8,
        projection_dim=16,
    )
    model = random_torch(transformers.CLIPVisionModelWithProjection(config))
    model.save_pretrained(tmp_path / "source")
    convert(tmp_path / "source", tmp_path / "model")
    pixels = pixels_of(32)
    with torch.no_grad():
        assert_same(ours(tmp_path / "model", pixels), model(torch.from_numpy(pixels)).image_embeds.numpy())
    assert check_of(tmp_path / "model")["cosine"]["image"] > 0.999999


@pytest.mark.parametrize("kind", ("vit", "clip"))
def test_vision_transformers_of_paddleclas(tmp_path, kind):
    with paddle.utils.unique_name.guard():
        if kind == "vit":
            model = vision_transformer.VisionTransformer(**VIT, class_num=10, epsilon=1e-6)
        else:
            model = foundation_vit.VisionTransformer(
                **VIT, class_num=0, model_name="CLIP_vit_base_patch16_224", model_size="base_patch16_224"
            )
    rng = np.random.default_rng(0)
    for key, parameter in model.state_dict().items():
        values = 0.1 * rng.standard_normal(parameter.shape) + (parameter.ndim == 1 and key.endswith("weight"))
        parameter.set_value(values.astype(np.float32))
    paddle.save(model.state_dict(), str(tmp_path / "source.pdparams"))
    lines = convert(tmp_path / "source.pdparams", tmp_path / "model")
    assert f"PaddleClas {'ViT' if kind == 'vit' else 'CLIP ViT'} layout" in lines[0]
    assert check_of(tmp_path / "model")["cosine"]["image"] > 0.999999


@pytest.mark.parametrize("library", ("paddleclas", "timm"))
def test_efficientnets(tmp_path, library):
    """The check runs the library's own network, and the model directory computes the same."""
    if library == "paddleclas":
        with paddle.utils.unique_name.guard():
            model = efficientnet.EfficientNetB0(padding_type="SAME")
        state = random_convolutions({key: value.numpy() for key, value in model.state_dict().items()})
        paddle.save({key: paddle.to_tensor(value) for key, value in state.items()}, str(tmp_path / "b0.pdparams"))
        path = tmp_path / "b0.pdparams"
    else:
        model = timm.create_model("tf_efficientnet_b0", pretrained=False)
        state = {key: value.numpy() for key, value in model.state_dict().items() if value.is_floating_point()}
        path = tmp_path / "b0.pth"
        torch.save({key: torch.from_numpy(value) for key, value in random_convolutions(state).items()}, path)
    convert(path, tmp_path / "model")
    check = check_of(tmp_path / "model")
    assert check["how"].startswith(library) and check["cosine"]["image"] > 0.999999
    convert(tmp_path / "model", tmp_path / "torch", "torch")
    convert(tmp_path / "torch", tmp_path / "again")
    pixels = pixels_of(64)
    np.testing.assert_allclose(ours(tmp_path / "again", pixels), ours(tmp_path / "model", pixels), atol=1e-5)
    if library == "timm":
        one, two = (ernie_vil2.load(tmp_path / name).config for name in ("model", "again"))
        assert one == two
