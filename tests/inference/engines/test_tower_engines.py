"""Engines behind a Model: the same embeddings whatever runs the towers, and dynamic mode where an engine cannot."""

import logging
import threading

import numpy as np
import paddle
import pytest

from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.errors import DataError
from ernie_vil2.inference.engines import openvino_graph
from ernie_vil2.inference.engines.cache import EngineCache
from ernie_vil2.inference.engines.choice import Choice
from ernie_vil2.inference.engines.dynamic import DynamicEngine
from ernie_vil2.inference.engines.tower_engines import Plan, TowerEngines
from ernie_vil2.inference.model import Model
from ernie_vil2.systems.registry import system_class
from tests.inference.engines.towers import BRIVL, PLAIN, network, settings

TEXTS = ["红色的圆", "a", "的" * 40, "一只大猫 在左", "dog", "二 三", "a red cat on left of the small dog"]
ENGINES = ("openvino", "paddle_inference")


@pytest.fixture
def images(random_image):
    return [random_image(20 + 9 * seed, 70 - 6 * seed, seed) for seed in range(5)]


@pytest.fixture
def model_of(tiny_vocab):
    """Function (network, engine="paddle", cache=None) -> Model on that engine."""

    def make(found, engine="paddle", cache=None):
        config = found.config
        choices = {kind: Choice(engine, "fp32", "as asked for", None) for kind in config.towers()}
        most_boxes = system_class(config.system).most_boxes(config)
        plan = Plan(choices, cache or EngineCache(None), most_boxes=most_boxes)
        tokenizer = Tokenizer(tiny_vocab, config.max_length, config.lower_case, fixed_length=config.fixed_length)
        return Model(found, tokenizer, engines=TowerEngines(found, plan))

    return make


def same(one, two):
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_encodes_as_in_dynamic_mode(model_of, images, engine, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    found = network(PLAIN)
    plain, fast = model_of(found), model_of(found, engine)
    for encode, wanted, items in (
        (fast.encode_text, plain.encode_text(TEXTS), TEXTS),
        (fast.encode_image, plain.encode_image(images), images),
    ):
        assert np.abs(wanted[:-1] - wanted[1:]).max(1).min() > 1e-2
        for batch_size in (None, 1, 2):
            same(encode(items, batch_size=batch_size), wanted)
        same(encode(items[0]), wanted[:1])
        assert encode([]).shape == (0, fast.embed_dim)
        broken = [items[0], "" if items is TEXTS else b"none", *items[1:]]
        rows, ((position, _),) = encode(broken, on_error="skip")
        assert position == 1 and np.isnan(rows[1]).all()
        same(np.delete(rows, 1, 0), wanted)
    with pytest.raises(DataError, match="text 1 "):
        fast.encode_text(["a", ""])
    assert set(fast.engines.record.values()) == {f"{engine} fp32"}


@pytest.mark.parametrize("engine", ENGINES)
def test_boxes_of_some_images_reach_the_graph(model_of, images, engine):
    found = network(settings(BRIVL, most_boxes=3))
    plain, fast = model_of(found), model_of(found, engine)
    each = [[[2, 2, 15, 18]], None, [], [[0, 0, 9, 9], [4, 5, 30, 20], [1, 1, 8, 8], [3, 3, 9, 9]], None]
    wanted = plain.encode_image(images, boxes=each)
    assert np.abs(wanted - plain.encode_image(images)).max() > 1e-2
    same(fast.encode_image(images, boxes=each), wanted)
    same(fast.encode_image(images, boxes=each, batch_size=1), wanted)
    same(fast.encode_image(images), plain.encode_image(images))
    same(fast.encode_text(TEXTS), plain.encode_text(TEXTS))


@pytest.mark.parametrize("engine", ENGINES)
def test_several_threads_encode_at_once_from_the_first_call_on(model_of, images, engine):
    found = network(settings(BRIVL, most_boxes=3))
    plain, fast = model_of(found), model_of(found, engine)
    wanted = [plain.encode_text(TEXTS), plain.encode_image(images)]
    made, barrier = {}, threading.Barrier(4)

    def work(number):
        barrier.wait()
        for _ in range(3):
            encode, items = ((fast.encode_text, TEXTS), (fast.encode_image, images))[number % 2]
            made.setdefault(number, []).append(encode(items))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4 and all(len(rows) == 3 for rows in made.values())
    for number, several in made.items():
        for rows in several:
            same(rows, wanted[number % 2])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_network_that_trains_is_left_as_it_was(model_of, engine):
    found = network(PLAIN)
    found.train()
    found.visual.norm_post.eval()
    before = [layer.training for layer in found.sublayers(include_self=True)]
    model_of(found, engine).encode_text(TEXTS)
    assert [layer.training for layer in found.sublayers(include_self=True)] == before
    loss = found.encode_text(paddle.to_tensor([[1, 2, 3]])).sum()
    loss.backward()
    assert np.abs(found.text_model.pooler.weight.grad.numpy()).max() > 0


def test_without_a_plan_the_network_itself_computes(tiny_vocab, monkeypatch):
    monkeypatch.delenv("ERNIE_VIL2_ENGINE", raising=False)
    found = network(PLAIN)
    model = Model(found, Tokenizer(tiny_vocab, PLAIN.max_length))
    before = model.encode_text(TEXTS)
    assert isinstance(model.engines.of("text"), DynamicEngine)
    weight = found.text_model.pooler.weight
    weight.set_value(weight * 0.5)
    assert np.abs(model.encode_text(TEXTS) - before).max() > 1e-3, "a step of training is seen at once"


def warned(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_tower_that_cannot_be_traced_says_why_and_runs_in_dynamic_mode(model_of, engine, caplog, monkeypatch):
    found = network(PLAIN)
    own = found.encode_text

    def undecided(ids):
        return own(ids) * (2.0 if float(ids.sum()) > 0 else 1.0)  # a number that a graph does not know

    monkeypatch.setattr(found, "encode_text", undecided)
    plain, fast = model_of(found), model_of(found, engine)
    same(fast.encode_text(TEXTS), plain.encode_text(TEXTS))
    same(fast.encode_text(TEXTS), plain.encode_text(TEXTS))
    (line,) = warned(caplog)
    assert line.startswith("the text tower runs on paddle, for its graph cannot be built: ") and "\n" not in line
    assert fast.engines.record == {"image": f"{engine} fp32", "text": "paddle fp32"}


def test_a_graph_that_computes_something_else_is_refused(model_of, caplog, monkeypatch, images):
    real = openvino_graph.TRANSLATIONS["softmax"]
    monkeypatch.setitem(openvino_graph.TRANSLATIONS, "softmax", lambda call: openvino_graph.ops.sqrt(real(call)))
    found = network(PLAIN)
    plain, fast = model_of(found), model_of(found, "openvino")
    same(fast.encode_text(TEXTS), plain.encode_text(TEXTS))
    same(fast.encode_image(images), plain.encode_image(images))
    assert len(warned(caplog)) == 2
    assert all("its embeddings differ from those of the network by 0." in line for line in warned(caplog))
    assert set(fast.precision.values()) == {"fp32"} and "paddle fp32" in fast.engines.record["image"]


def test_an_operation_that_is_not_known_is_named(model_of, caplog, monkeypatch):
    monkeypatch.delitem(openvino_graph.TRANSLATIONS, "tanh")
    model_of(network(PLAIN), "openvino").encode_text("a")
    (line,) = warned(caplog)
    assert line.endswith("its graph cannot be built: the operation pd_op.tanh")
