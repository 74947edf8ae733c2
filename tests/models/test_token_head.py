"""The heads over tokens: Paddle's own post-norm transformer, a mean over what is there, gradients that are numbers."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from ernie_vil2.models.token_head import TokenHead, unit_rows

WIDTH, HEADS, HIDDEN = 32, 4, 48


@pytest.fixture
def head():
    paddle.seed(5)
    made = TokenHead(WIDTH, outputs=24, hidden=40, depth=2, heads=HEADS, feed_forward=HIDDEN, dropout=0.0)
    for parameter in made.parameters():
        parameter.set_value(paddle.randn(parameter.shape) * 0.2 + (parameter.ndim == 1) * 0.5)
    made.eval()
    return made


def library_encoder(head):
    """Paddle's TransformerEncoder with the weights of a head."""
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, dropout=0.0, activation="relu", normalize_before=False)
    encoder = nn.TransformerEncoder(layer, len(head.layers))
    for ours, theirs in zip(head.layers, encoder.layers, strict=True):
        for place, name in enumerate(("q_proj", "k_proj", "v_proj")):
            part = getattr(theirs.self_attn, name)
            part.weight.set_value(ours.qkv.weight[:, place * WIDTH : (place + 1) * WIDTH])
            part.bias.set_value(ours.qkv.bias[place * WIDTH : (place + 1) * WIDTH])
        pairs = [(ours.out, theirs.self_attn.out_proj), (ours.fc1, theirs.linear1), (ours.fc2, theirs.linear2)]
        for one, other in [*pairs, (ours.norm1, theirs.norm1), (ours.norm2, theirs.norm2)]:
            other.weight.set_value(one.weight)
            other.bias.set_value(one.bias)
    encoder.eval()
    return encoder


def case():
    tokens = paddle.to_tensor(np.random.default_rng(1).standard_normal((3, 7, WIDTH)), "float32")
    counts = paddle.to_tensor([7, 3, 1])
    return tokens, paddle.arange(7) < counts.unsqueeze(-1)


def test_it_is_a_transformer_a_masked_mean_and_two_layers(head):
    tokens, there = case()
    mask = paddle.where(there, 0.0, -1e9).unsqueeze([1, 2])
    with paddle.no_grad():
        inner = library_encoder(head)(F.normalize(tokens, axis=-1), mask).numpy()
        found, embeds = head.tokens(tokens, there).numpy(), head(tokens, there).numpy()
        mean = np.stack([row[kept].mean(0) for row, kept in zip(inner, there.numpy(), strict=True)])
        wanted = head.fc2(F.relu(head.fc1(paddle.to_tensor(mean)))).numpy()
    np.testing.assert_allclose(found[there.numpy()], inner[there.numpy()], atol=1e-5)
    assert not found[~there.numpy()].any()
    np.testing.assert_allclose(embeds, wanted, atol=1e-5)


def test_neither_order_nor_what_is_not_there_matters(head):
    tokens, there = case()
    other = paddle.where(there.unsqueeze(-1), tokens, paddle.randn(tokens.shape) * 9)
    with paddle.no_grad():
        wanted = head(tokens, there).numpy()
        np.testing.assert_allclose(head(other, there).numpy(), wanted, atol=1e-6)
        order = paddle.to_tensor([4, 2, 6, 0, 1, 5, 3])
        turned = head(paddle.index_select(tokens, order, 1)[:1], there[:1]).numpy()
        np.testing.assert_allclose(turned, wanted[:1], atol=1e-5)
        np.testing.assert_allclose(head(tokens[1:2, :3], there[1:2, :3]).numpy(), wanted[1:2], atol=1e-5)


@pytest.mark.parametrize("recompute", [False, True])
def test_gradients_are_numbers_also_of_a_token_of_zeros(head, recompute):
    tokens, there = case()
    tokens[0, 2] = 0.0
    tokens.stop_gradient, head.recompute = False, recompute
    head.train()
    head(tokens, there).square().sum().backward()
    grads = [tokens.grad, *(parameter.grad for parameter in head.parameters())]
    assert all(paddle.isfinite(value).all() for value in grads)
    assert np.abs(tokens.grad.numpy())[~there.numpy()].max() < 1e-4


def test_unit_rows_are_float32_and_of_unit_length():
    rows = unit_rows(paddle.to_tensor([[3.0, 4.0], [0.0, 0.0], [1e-20, 0.0]]).astype("float32"))
    np.testing.assert_allclose(rows.numpy()[0], [0.6, 0.8], rtol=1e-6)
    assert not rows.numpy()[1].any() and np.isfinite(rows.numpy()).all()
