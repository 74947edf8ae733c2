"""Properties of the layers: attention and Linear against plain forms, dropout, stochastic depth, positions."""

import dataclasses

import numpy as np
import paddle
import pytest

from ernie_vil2.device import Device
from ernie_vil2.models import layers
from ernie_vil2.models.dual_encoder import DualEncoder, new_model
from ernie_vil2.models.layers import DropPath, Linear, attention, drop_path_rates, quick_gelu
from ernie_vil2.models.positions import resize_grid, resize_rows


def plain_attention(query, key, value, bias):
    mixed = np.empty_like(query)
    for batch in range(query.shape[0]):
        for head in range(query.shape[2]):
            scores = query[batch, :, head] @ key[batch, :, head].T / np.sqrt(query.shape[3]) + bias[batch, 0]
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            mixed[batch, :, head] = weights / weights.sum(-1, keepdims=True) @ value[batch, :, head]
    return mixed.reshape(*query.shape[:2], -1)


def test_attention_equals_the_plain_form_and_padding_keys_count_for_nothing():
    rng = np.random.default_rng(0)
    query, key, value = (rng.standard_normal((2, 5, 3, 4)).astype(np.float32) for _ in range(3))
    bias = np.zeros((2, 1, 1, 5), np.float32)
    bias[1, ..., 3:] = -10000.0
    tensors = [paddle.to_tensor(part) for part in (query, key, value, bias)]
    np.testing.assert_allclose(attention(*tensors).numpy(), plain_attention(query, key, value, bias), atol=1e-5)
    tensors[1][1, 3:] = 7.0
    tensors[2][1, 3:] = -9.0
    np.testing.assert_allclose(attention(*tensors).numpy(), plain_attention(query, key, value, bias), atol=1e-5)


@pytest.mark.parametrize("kind", ["cpu", "gpu", "xpu", "npu"])
def test_attention_is_one_kernel_on_a_gpu_and_the_same_everywhere(monkeypatch, kind):
    fused, plain, used = paddle.nn.functional.scaled_dot_product_attention, layers.F.softmax, []
    monkeypatch.setattr(layers, "device_of", lambda tensor: Device(kind))
    monkeypatch.setattr(
        layers.F, "scaled_dot_product_attention", lambda *a, **o: used.append("fused") or fused(*a, **o)
    )
    monkeypatch.setattr(layers.F, "softmax", lambda scores: used.append("plain") or plain(scores))
    query, key, value = (paddle.randn([2, 5, 3, 4]) for _ in range(3))
    bias = paddle.where(paddle.rand([2, 1, 1, 5]) < 0.3, -10000.0, 0.0)
    wanted = plain_attention(*(part.numpy() for part in (query, key, value, bias)))
    np.testing.assert_allclose(attention(query, key, value, bias).numpy(), wanted, atol=1e-5)
    assert used[0] == ("fused" if kind == "gpu" else "plain")


@pytest.mark.parametrize("kind", ["cpu", "gpu", "xpu", "npu"])
def test_only_a_cpu_needs_the_other_bias_gradient(monkeypatch, kind):
    apply, used = layers.LinearOnCPU.apply, []
    monkeypatch.setattr(layers, "device_of", lambda tensor: Device(kind))
    monkeypatch.setattr(layers.LinearOnCPU, "apply", lambda *given: used.append(1) or apply(*given))
    for rows in (2, layers.WORTHWHILE // 4):
        used.clear()
        Linear(6, 4)(paddle.randn([rows, 6]))
        assert bool(used) == (kind == "cpu" and rows > 2), rows


def test_linear_in_training_has_the_values_and_gradients_of_the_plain_layer(monkeypatch):
    monkeypatch.setattr(layers, "WORTHWHILE", 1)
    layer, x = Linear(6, 4), paddle.randn([2, 3, 6])
    layer.bias.set_value(paddle.randn([4]))
    results = []
    for training in (True, False):
        layer.train() if training else layer.eval()
        layer.clear_gradients()
        x.stop_gradient = False
        x.clear_gradient()
        y = layer(x)
        (y * y).sum().backward()
        results.append([tensor.numpy().copy() for tensor in (y, x.grad, layer.weight.grad, layer.bias.grad)])
    for ours, plain in zip(*results, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-5)


def test_quick_gelu_is_x_times_sigmoid():
    x = np.linspace(-8, 8, 101, dtype=np.float32)
    np.testing.assert_allclose(quick_gelu(paddle.to_tensor(x)).numpy(), x / (1 + np.exp(-1.702 * x)), atol=1e-6)


def test_quick_gelu_has_a_gradient_everywhere():
    x = paddle.to_tensor(np.array([-1e4, -200.0, -60.0, -52.0, 0.0, 60.0, 1e4], np.float32), stop_gradient=False)
    quick_gelu(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0, 0, 0, 0, 0.5, 1, 1], atol=1e-6)


def test_drop_path_keeps_the_mean_drops_whole_samples_and_rests_in_evaluation():
    layer, x = DropPath(0.25), paddle.ones([4000, 2, 3])
    dropped = layer(x).numpy()
    assert set(np.round(np.unique(dropped), 4)) == {0.0, np.float32(1.3333)}
    assert (dropped.reshape(4000, -1).std(1) == 0).all()
    assert abs(dropped.mean() - 1) < 0.05
    layer.eval()
    np.testing.assert_array_equal(layer(x).numpy(), x.numpy())
    assert drop_path_rates(0.2, 3) == pytest.approx([0.0, 0.1, 0.2])


def test_dropout_works_in_training_only_and_depends_on_the_seed(tiny_config):
    tiny_config.text_tower.dropout = tiny_config.image_tower.dropout = 0.3
    model, ids = new_model(tiny_config), paddle.to_tensor([[1, 9, 8, 2]])
    pixels = paddle.randn([1, 3, 32, 32])

    def embeds(seed):
        paddle.seed(seed)
        return np.concatenate([part.numpy() for part in model(pixels, ids)])

    assert np.array_equal(embeds(3), embeds(3)) and not np.allclose(embeds(3), embeds(4))
    model.eval()
    np.testing.assert_array_equal(embeds(3), embeds(4))


def test_starting_values_depend_on_the_seed_alone(tiny_config):
    first, again, other = (new_model(tiny_config, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(np.array_equal(first[key].numpy(), again[key].numpy()) for key in first)
    assert not np.array_equal(
        first["visual.patch_embed.proj.weight"].numpy(), other["visual.patch_embed.proj.weight"].numpy()
    )


@pytest.mark.parametrize("tower", ["image_tower", "text_tower"])
def test_projection_changes_the_width_of_the_embedding(tiny_config, tower):
    wide = dataclasses.replace(getattr(tiny_config, tower), width=48)
    config = dataclasses.replace(tiny_config, **{tower: dataclasses.replace(wide, projection=32)})
    image, text = DualEncoder(config)(paddle.randn([2, 3, 32, 32]), paddle.to_tensor([[1, 5, 2], [1, 2, 0]]))
    assert image.shape == text.shape == [2, 32]


def test_temperatures_are_clamped_for_real(tiny_config):
    model = new_model(tiny_config, ("mm", "ii", "tt"))
    assert model.logit_scale("ii").item() == pytest.approx(np.exp(2.65926), rel=1e-5)
    for group, value in (("mm", 9.0), ("ii", -1.0), ("tt", 3.0)):
        model.temperature(group).temperature_b.set_value(paddle.to_tensor([value]))
    model.clamp_temperatures()
    assert model.logit_scale("mm").item() == pytest.approx(100.0, rel=1e-5)
    assert model.logit_scale("ii").item() == 1.0
    assert model.logit_scale("tt").item() == pytest.approx(np.exp(3.0), rel=1e-5)


def test_positions_of_another_size_keep_the_class_token_and_smooth_fields():
    rows, columns = np.mgrid[0:4, 0:4] / 3
    grid = np.concatenate([np.full((1, 1, 2), 5.0), np.stack([rows, columns], -1).reshape(1, 16, 2)], 1)
    larger = resize_grid(grid, 1 + 64)
    assert larger.shape == (1, 65, 2) and (larger[0, 0] == 5).all()
    field = larger[0, 1:].reshape(8, 8, 2)
    assert (np.diff(field[..., 0], axis=0) > 0).all() and np.abs(np.diff(field[..., 0], axis=1)).max() < 1e-5
    np.testing.assert_array_equal(resize_grid(grid, 17), grid.astype(np.float32))


def test_text_positions_are_cut_or_stretched():
    rows = np.arange(10, dtype=np.float32)[:, None] * [[1.0, -2.0]]
    np.testing.assert_array_equal(resize_rows(rows, 4), rows[:4].astype(np.float32))
    longer = resize_rows(rows, 19)
    np.testing.assert_allclose(longer[:, 0], np.linspace(0, 9, 19), atol=1e-6)
