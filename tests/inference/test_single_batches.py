"""Single batches are what a Model gives: texts of other lengths beside a text, and pictures, change nothing in it."""

from dataclasses import replace

import numpy as np
import pytest

from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.inference.model import Model
from ernie_vil2.inference.single_batches import MOST_OVERHEAD, SingleBatches, padded
from ernie_vil2.models.dual_encoder import new_model
from tests.systems.boxed import Boxed

TEXTS = ["一只猫", "a big red dog on the left of a cat", "x", "一个红色的圆形"]


def grown(network):
    """The network with weights that tell items apart."""
    rng = np.random.default_rng(0)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            parameter.set_value(rng.normal(0, 0.5, parameter.shape).astype(np.float32))
    return network


@pytest.fixture
def boxed(tiny_config, tiny_vocab):
    pixels = replace(tiny_config.pixels, resize="square")
    config = replace(tiny_config, system="regional", pixels=pixels)
    return Model(grown(new_model(config, network=Boxed.network)), Tokenizer(tiny_vocab, 16))


@pytest.fixture
def fixed(tiny_config, tiny_vocab):
    return Model(grown(new_model(tiny_config)), Tokenizer(tiny_vocab, 16, fixed_length=True))


@pytest.fixture
def images(random_image):
    return [random_image(30 + 5 * seed, 40, seed) for seed in range(5)]


@pytest.mark.parametrize("name", ["model", "boxed", "fixed"])
def test_one_item_is_the_models_own_bit_for_bit(name, images, request):
    model = request.getfixturevalue(name)
    batches = SingleBatches(model)
    for text in TEXTS:
        assert np.array_equal(batches.texts([batches.tokens(text)]), model.encode_text(text))
    for image in images:
        assert np.array_equal(batches.images([batches.pixels(image)]), model.encode_image(image))


@pytest.mark.parametrize("name", ["model", "boxed", "fixed"])
def test_a_batch_is_what_each_is_alone(name, images, request):
    model = request.getfixturevalue(name)
    batches = SingleBatches(model)
    found = batches.texts([batches.tokens(text) for text in TEXTS])
    np.testing.assert_allclose(found, np.concatenate([model.encode_text(text) for text in TEXTS]), atol=1e-5)
    found = batches.images([batches.pixels(image) for image in images])
    np.testing.assert_allclose(found, np.concatenate([model.encode_image(image) for image in images]), atol=1e-5)
    assert found.flags.writeable and found.dtype == np.float32


def test_batches_have_few_shapes_and_one_text_its_own(model, monkeypatch):
    batches, widths = SingleBatches(model), []
    monkeypatch.setattr(batches, "_run", lambda kind, ids: widths.append(ids.shape[1]))
    own = batches.tokens(" ".join(["cat"] * 30))
    for length in range(3, len(own) + 1):
        batches.texts([own[:length]])
        batches.texts([own[:length], own[:3]])
    assert widths[::2] == list(range(3, model.config.max_length + 1))
    assert set(widths[1::2]) == {4, 8, 12, 16}


@pytest.mark.parametrize(("longest", "most"), [(48, 12), (64, 16), (512, 40), (8192, 72)])
def test_the_memory_of_an_engine_is_bounded_by_the_lengths_of_batches(longest, most):
    widths = {length: padded(length) for length in range(1, longest + 1)}
    assert len(set(widths.values())) == most
    assert all(length <= width < length + max(4, length / 8 + 1) for length, width in widths.items())


def test_a_model_in_training_computes_as_in_evaluation(model, images):
    wanted = model.encode_image(images[:1])
    model.network.train()
    batches = SingleBatches(model)
    assert np.array_equal(batches.images([batches.pixels(images[0])]), wanted)
    assert not any(layer.training for layer in model.network.sublayers(include_self=True))


def test_what_a_batch_costs_is_measured(model):
    batches = SingleBatches(model)
    batches.warm()
    assert 0 <= batches.overhead <= MOST_OVERHEAD
    assert batches.logit_scale == model.logit_scale
