"""Every library of requirements-interop.txt and requirements-models.txt imports, and runs a model with random weights.

One process holds Torch and Paddle, whichever came first.
"""

import subprocess
import sys

import numpy as np
import pytest

TINY_TEXT = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
TINY_VIT = {**TINY_TEXT, "image_size": 32, "patch_size": 8}
TINY_VIT.pop("vocab_size")


def tokens():
    """Token ids [2, 8]."""
    return np.arange(1, 17).reshape(2, 8)


def pixels(size):
    """Normalised pixels [1, 3, size, size]."""
    return np.random.default_rng(0).normal(size=(1, 3, size, size)).astype(np.float32)


def in_torch(function, *arrays):
    """Result of `function` without gradients, as an array."""
    import torch

    with torch.no_grad():
        return function(*map(torch.from_numpy, arrays)).numpy()


def in_paddle(function, *arrays):
    """Result of `function` without gradients, as an array."""
    import paddle

    with paddle.no_grad():
        return function(*map(paddle.to_tensor, arrays)).numpy()


def is_a_result(array, *shape):
    return array.shape == shape and np.isfinite(array).all() and array.std() > 0


@pytest.mark.parametrize("kind", ["Bert", "Ernie"])
def test_transformers(kind):
    import transformers

    config = getattr(transformers, f"{kind}Config")(**TINY_TEXT)
    model = getattr(transformers, f"{kind}Model")(config).eval()
    mask = np.ones((2, 8), np.int64)
    assert is_a_result(in_torch(lambda ids, mask: model(ids, mask).pooler_output, tokens(), mask), 2, 16)


def test_transformers_tokenizes(tmp_path):
    """With the tokenizers of this project's pin, whose number transformers would refuse."""
    import transformers

    path = tmp_path / "tokens"
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "红"]), encoding="utf-8")
    for kind in transformers.BertTokenizer, transformers.BertTokenizerFast:
        assert kind(str(path))("ab 红a")["input_ids"] == [2, 5, 6, 7, 5, 3]


def test_timm():
    import timm

    model = timm.create_model("tf_efficientnet_b0", pretrained=False).eval()
    assert is_a_result(in_torch(model.forward_features, pixels(64)), 1, 1280, 2, 2)


def test_open_clip():
    from open_clip.transformer import VisionTransformer

    model = VisionTransformer(
        image_size=32, patch_size=8, width=32, layers=2, heads=2, mlp_ratio=4.0, output_dim=16
    ).eval()
    assert is_a_result(in_torch(model, pixels(32)), 1, 16)


def test_cn_clip():
    from cn_clip.clip.model import CLIP

    text = {
        **TINY_TEXT,
        "attention_probs_dropout_prob": 0.0,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "max_position_embeddings": 16,
        "type_vocab_size": 2,
    }
    vocab_size = text.pop("vocab_size")
    model = CLIP(
        embed_dim=12,
        image_resolution=32,
        vision_layers=2,
        vision_width=64,
        vision_patch_size=8,
        vocab_size=vocab_size,
        **{f"text_{name}": value for name, value in text.items()},
    ).eval()
    assert is_a_result(in_torch(model.encode_image, pixels(32)), 1, 12)
    assert is_a_result(in_torch(model.encode_text, tokens()), 2, 12)


def test_paddlenlp_ernie():
    from paddlenlp.transformers import ErnieConfig, ErnieModel

    model = ErnieModel(ErnieConfig(**TINY_TEXT))
    model.eval()
    assert is_a_result(in_paddle(lambda ids: model(ids)[1], tokens()), 2, 16)


def test_paddlenlp_ernie_vil():
    from paddlenlp.transformers import ErnieViLConfig, ErnieViLModel, ErnieViLTextConfig, ErnieViLVisionConfig

    towers = ErnieViLTextConfig(**TINY_TEXT), ErnieViLVisionConfig(**TINY_VIT)
    model = ErnieViLModel(ErnieViLConfig.from_text_vision_configs(*towers))
    model.eval()
    assert is_a_result(in_paddle(model.get_text_features, tokens()), 2, 16)
    assert is_a_result(in_paddle(lambda image: model.get_image_features(pixel_values=image), pixels(32)), 1, 16)


@pytest.mark.parametrize(
    "module, name, size",
    [
        ("efficientnet", "EfficientNetB0", 64),
        ("vision_transformer", "ViT_small_patch16_224", 224),
        ("foundation_vit", "CLIP_vit_base_patch16_224", 224),
    ],
)
def test_paddleclas(module, name, size):
    import importlib

    import paddle

    zoo = importlib.import_module(f"paddleclas.ppcls.arch.backbone.model_zoo.{module}")
    with paddle.utils.unique_name.guard():
        model = getattr(zoo, name)()
    model.eval()
    assert is_a_result(in_paddle(model, pixels(size)), 1, 1000)


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("order", [["torch", "paddle"], ["paddle", "torch"]], ids="-".join)
def test_torch_and_paddle_share_a_process(order, threads):
    code = """
import importlib, os, sys
import ernie_vil2
first, second = map(importlib.import_module, sys.argv[1:])
import numpy as np, paddle, torch
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
a, b = np.random.default_rng(0).normal(size=(2, 256, 256)).astype("float32")
for _ in range(3):
    t = torch.from_numpy(a.copy()).requires_grad_()
    p = paddle.to_tensor(a.copy(), stop_gradient=False)
    torch.relu(t @ torch.from_numpy(b)).square().sum().backward()
    paddle.nn.functional.relu(p @ paddle.to_tensor(b)).square().sum().backward()
    np.testing.assert_allclose(p.grad.numpy(), t.grad.numpy(), rtol=1e-4, atol=1e-2)
"""
    environment = {"OMP_NUM_THREADS": threads, "PYTHONPATH": ".", "PATH": ""}
    command = [sys.executable, "-W", "ignore", "-c", code, *order]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
