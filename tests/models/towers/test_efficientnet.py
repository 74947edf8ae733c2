"""The EfficientNet tower: sizes, padding, frozen statistics, the way through a model directory."""

import numpy as np
import paddle
import pytest

import ernie_vil2
from ernie_vil2.checkpoints import release_layout
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.config.tower_fields import EFFICIENTNETS, EfficientNetConfig
from ernie_vil2.errors import ConfigError
from ernie_vil2.models.dual_encoder import DualEncoder, layer_of, new_model
from ernie_vil2.models.towers.batch_norm import is_statistic

MILLIONS = {"b0": 5.3, "b1": 7.8, "b2": 9.2, "b3": 12, "b4": 19, "b5": 30, "b6": 43, "b7": 66, "l2": 480}


def config_of(text_tower=None, **changes):
    tower = EfficientNetConfig(**{"variant": "b0", "image_size": 32, "projection": 32, **changes})
    return ModelConfig(image_tower=tower, text_tower=text_tower, max_length=16, pixels=PixelProfile(size=32))


def random_statistics(model, seed=0):
    """Statistics as after training, so that a batch norm that ignores them is seen."""
    rng = np.random.default_rng(seed)
    for name, value in model.named_parameters():
        if name.endswith("._mean"):
            value.set_value(rng.normal(0, 0.3, value.shape).astype(np.float32))
        if name.endswith("._variance"):
            value.set_value(rng.uniform(0.5, 2.0, value.shape).astype(np.float32))
    return model


@pytest.fixture(scope="module")
def model():
    return random_statistics(new_model(config_of()))


@pytest.mark.parametrize("variant", EFFICIENTNETS)
def test_the_variants_have_the_published_number_of_parameters(variant):
    tower = EfficientNetConfig(variant=variant, projection=1000)  # as wide as the classifier that is counted with them
    shapes = release_layout.tower_shapes(tower)
    count = sum(int(np.prod(shape)) for key, shape in shapes.items() if not is_statistic(key)) / 1e6
    assert count == pytest.approx(MILLIONS[variant], rel=0.025)


def test_the_manifest_is_what_is_built(model):
    built = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert built == release_layout.manifest(model.config)
    for variant in ("b1", "b5"):
        with paddle.LazyGuard():
            lazy = DualEncoder(config_of(variant=variant, projection=0))
        assert {key: tuple(value.shape) for key, value in lazy.state_dict().items()} == release_layout.manifest(
            lazy.config
        )


@pytest.mark.parametrize("padding", ["same", "dynamic"])
@pytest.mark.parametrize("sides", [(33, 47), (32, 64)])
def test_the_feature_map_has_a_cell_for_32_pixels_begun_and_the_embedding_is_its_mean(padding, sides):
    tower = layer_of(EfficientNetConfig(variant="b0", image_size=32, projection=0, padding=padding))
    tower.eval()
    pixels = paddle.rand([2, 3, *sides])
    features = tower.features(pixels)
    assert features.shape == [2, 1280, -(-sides[0] // 32), -(-sides[1] // 32)]
    np.testing.assert_allclose(tower(pixels).numpy(), features.numpy().mean((2, 3)), atol=1e-6)


def test_the_paddings_agree_at_odd_sizes_only():
    one, two = (new_model(config_of(padding=kind, projection=0)).visual for kind in ("same", "dynamic"))
    random_statistics(one)
    two.set_state_dict(one.state_dict())
    odd, even = paddle.rand([1, 3, 33, 33]), paddle.rand([1, 3, 64, 64])  # 33 stays odd: 17, 9, 5, 3, 2
    for tower in (one, two):
        tower.eval()
    np.testing.assert_allclose(one(odd).numpy(), two(odd).numpy(), atol=1e-5)
    assert np.abs(one(even).numpy() - two(even).numpy()).max() > 1e-3


def test_frozen_statistics_make_rows_independent_and_never_move(model):
    pixels = paddle.rand([3, 3, 32, 32])
    before = {name: value.numpy().copy() for name, value in model.named_parameters() if is_statistic(name)}
    model.eval()
    wanted = model.encode_image(pixels).numpy()
    model.train()
    found = np.concatenate([model.encode_image(pixels[row : row + 1]).numpy() for row in range(3)])
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert all(np.array_equal(value, dict(model.named_parameters())[name].numpy()) for name, value in before.items())


def test_learning_statistics_follow_the_batch_and_evaluation_uses_them():
    model = random_statistics(new_model(config_of(batch_norm="train")))
    norm, pixels = model.visual.stem_norm, paddle.rand([4, 3, 32, 32])
    model.train()
    old = norm._mean.numpy().copy()
    x = model.visual.stem_conv(pixels).numpy()
    model.encode_image(pixels)
    np.testing.assert_allclose(norm._mean.numpy(), 0.99 * old + 0.01 * x.mean((0, 2, 3)), atol=1e-6)
    model.eval()
    alone = model.encode_image(pixels[:1]).numpy()
    np.testing.assert_allclose(alone, model.encode_image(pixels).numpy()[:1], atol=1e-6)


def test_the_gradient_is_finite_where_a_feature_is_far_below_zero(model):
    bias = model.visual.head_norm.bias
    held = bias.numpy().copy()
    bias.set_value(held - 200.0)
    model.encode_image(paddle.rand([2, 3, 32, 32])).sum().backward()
    assert all(np.isfinite(value.grad.numpy()).all() for value in model.parameters() if value.grad is not None)
    bias.set_value(held)
    model.clear_gradients()


@pytest.mark.parametrize("mode", ["frozen", "train"])
def test_the_gradient_of_a_batch_norm_is_that_of_its_formula(mode):
    layer = random_statistics(new_model(config_of(batch_norm=mode))).visual.stem_norm
    layer.train()
    x, weights = paddle.randn([4, 32, 3, 3]), paddle.randn([4, 32, 3, 3])
    x.stop_gradient = False
    mean, variance = (value.reshape([1, 32, 1, 1]) for value in (layer._mean, layer._variance))
    (layer(x) * weights).sum().backward()
    found = [value.grad.numpy().copy() for value in (x, layer.weight, layer.bias)]
    for value in (x, layer.weight, layer.bias):
        value.clear_gradient(False)
    if mode == "train":
        mean, variance = x.mean([0, 2, 3], keepdim=True), x.var([0, 2, 3], unbiased=False, keepdim=True)
    scaled = (x - mean) / paddle.sqrt(variance + layer._epsilon)
    wanted = scaled * layer.weight.reshape([1, 32, 1, 1]) + layer.bias.reshape([1, 32, 1, 1])
    (wanted * weights).sum().backward()
    for ours, value in zip(found, (x, layer.weight, layer.bias), strict=True):
        np.testing.assert_allclose(ours, value.grad.numpy(), atol=2e-4, rtol=1e-4)


def test_starting_values_keep_the_size_of_the_signal_and_depend_on_the_seed_alone():
    one, two, other = (new_model(config_of(), seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(np.array_equal(one[key].numpy(), two[key].numpy()) for key in one)
    assert not np.array_equal(one["visual.head_conv.weight"].numpy(), other["visual.head_conv.weight"].numpy())
    depthwise = one["visual.blocks.5.depthwise_conv.weight"].numpy()
    assert depthwise.std() == pytest.approx((2 / 9) ** 0.5, rel=0.1)
    assert {float(one[f"visual.stem_norm.{name}"].numpy().mean()) for name in ("weight", "_variance")} == {1.0}
    assert not any(one[key].numpy().any() for key in one if key.endswith(("bias", "_mean")))


def test_saved_and_loaded_it_gives_the_same_embeddings(model, tmp_path, random_image):
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    save_model(tmp_path / "model", state, model.config, None)
    loaded = ernie_vil2.load(tmp_path / "model")
    image = random_image(40, 50)
    model.eval()
    wanted = model.encode_image(paddle.to_tensor(loaded.preprocess(image)[None])).numpy()
    np.testing.assert_array_equal(loaded.encode_image([image], normalize=False), wanted)
    with pytest.raises(ConfigError, match="no text tower"):
        loaded.encode_text("a")


def test_a_second_one_in_the_process_and_recompute_give_the_same_gradient(model):
    again = DualEncoder(model.config)
    again.set_state_dict(model.state_dict())
    found = []
    for copy, recompute in ((model, False), (again, True)):
        copy.train()
        copy.recompute = recompute
        copy.encode_image(paddle.ones([2, 3, 32, 32]) * 0.3).square().sum().backward()
        found.append({name: value.grad.numpy() for name, value in copy.named_parameters() if value.grad is not None})
        copy.recompute = False
        copy.clear_gradients()
    assert set(found[0]) == set(found[1]) == {name for name, _ in model.named_parameters() if not is_statistic(name)}
    for name, value in found[0].items():
        np.testing.assert_allclose(found[1][name], value, atol=1e-5, rtol=1e-4, err_msg=name)
