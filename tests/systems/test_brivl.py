"""BriVL as a system: what it refuses, what its towers are, its loss; and its release's own figures in a small size."""

import numpy as np
import paddle
import pytest
import yaml

from ernie_vil2.cli import train
from ernie_vil2.config.load import load_run
from ernie_vil2.config.model import ModelConfig
from ernie_vil2.errors import ConfigError
from ernie_vil2.models.token_head import unit_rows
from ernie_vil2.systems.brivl import BriVL
from ernie_vil2.systems.build import build
from ernie_vil2.training.step import unnamed_parameters
from ernie_vil2.training.trainer import Trainer
from tests.gpu.steps import scene_batch
from tests.systems import brivl_golden
from tests.systems.brivl_tiny import DATA, OBJECTIVE, tiny_model
from tests.training.queue_cases import case_config

CLAS = "{kind: paddleclas, image_size: 64}"
NLP = "{kind: paddlenlp, paddlenlp: x, pretrained: false, width: 32}"


@pytest.fixture
def recipe(tmp_path):
    """Path of a run's configuration."""
    path = tmp_path / "run.yaml"
    data = {"output": str(tmp_path / "run"), "model": tiny_model(), "data": DATA, "objective": OBJECTIVE}
    path.write_text(
        yaml.safe_dump({**data, "optimizer": {"warmup": 0}, "train": {"steps": 1, "batch_size": 4}}), encoding="utf-8"
    )
    return path


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    """A small BriVL with random weights, whose `config` is that of its run."""
    objective = {"pairs": [["image", "caption"]], "positives": "one"}
    config = case_config(tmp_path_factory.mktemp("brivl"), {"image_tower": {}, "objective": objective})
    made = build(config)
    made.config = config
    return made


@pytest.mark.parametrize(
    "change, hint",
    [
        ("image_tower.projection=24", "image_tower of kind efficientnet or vit with projection: 0"),
        ("text_tower.projection=24", "text_tower of kind ernie with projection: 0"),
        (f"image_tower={CLAS}", "it is paddleclas with projection"),
        (f"text_tower={NLP}", "it is paddlenlp with projection"),
        ("fixed_length=false", "model.fixed_length is false"),
        ("settings.image_heads=3", "image_heads 3 does not divide the width 128"),
        ("settings.text_heads=5", "text_heads 5 does not divide the width 32"),
        ("settings.embed_dim=null", "settings.embed_dim"),
        ("settings.embed_dim=0", "settings.embed_dim"),
        ("settings.most_box=3", "did you mean 'model.settings.most_boxes'"),
        ("settings.regions=boxen", "model.settings.regions"),
        ("settings.most_boxes=0", "model.settings.most_boxes is 0"),
        ("settings.dropout=1", "model.settings.dropout is 1.0"),
        ("image_tower.image_size=32", "image_size 32 gives a feature map of one place"),
    ],
    ids=str,
)
def test_what_is_wrong_is_one_sentence_before_a_model_is_built(recipe, capsys, monkeypatch, change, hint):
    assert train.main(["-c", str(recipe), "--check"]) == 0
    monkeypatch.setattr(BriVL, "network", lambda *given: pytest.fail("a model was built"))
    override = ["-o", f"model.{change}"]
    if change.endswith("image_size=32"):
        override += ["-o", "model.pixels.size=32"]
    for verb in ("--check", "--doctor"):
        with pytest.raises(ConfigError) as caught:
            train.main(["-c", str(recipe), verb, *override])
        assert hint in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        Trainer(load_run(recipe, override[1::2]))
    assert hint in str(caught.value)


def test_towers_of_equal_width_do_not_stand_in_for_the_width_of_the_embeddings():
    model = tiny_model({"text_tower": {"width": 128}})
    del model["settings"]["embed_dim"]
    with pytest.raises(ConfigError, match="model.settings.embed_dim is not set; the release has 2048"):
        BriVL.settings(ModelConfig.from_dict(model))


def test_boxes_are_those_of_a_detector_or_of_a_grid():
    rows = {"text_tower": {"vocab_size": 9}}
    given, divided = (ModelConfig.from_dict(tiny_model(rows, regions=of, grid=2)) for of in ("boxes", "grid"))
    assert (BriVL.most_boxes(given), BriVL.most_boxes(divided)) == (4, 0)
    whole, grid = (BriVL.network(config).default_boxes().numpy().tolist() for config in (given, divided))
    assert whole == [[0, 0, 64, 64]]
    assert grid == [[0, 0, 32, 32], [32, 0, 64, 32], [0, 32, 32, 64], [32, 32, 64, 64], [0, 0, 64, 64]]


def test_an_image_without_boxes_is_one_with_the_default_ones(system):
    pixels = paddle.to_tensor(np.random.default_rng(1).standard_normal((2, 3, 64, 64)), "float32")
    system.model.eval()
    for grid in (0, 2):
        system.model.grid = grid
        own = system.model.default_boxes()
        boxes = paddle.concat([own, paddle.full([3, 4], 7.0)]).unsqueeze(0).expand([2, len(own) + 3, 4])
        given = system.model.encode_image(pixels, boxes, paddle.full([2], len(own), "int64"))
        np.testing.assert_allclose(system.model.encode_image(pixels).numpy(), given.numpy(), atol=1e-5)
    system.model.grid = 0


@pytest.mark.parametrize(
    "text, image, head, random",
    [(0.0, 0.0, 0.0, False), (0.1, 0.0, 0.0, True), (0.0, 0.1, 0.0, True), (0.0, 0.0, 0.1, True)],
)
def test_it_says_whether_its_passes_are_random(system, text, image, head, random):
    towers = {"text_tower": {"vocab_size": 9, "dropout": text}, "image_tower": {"drop_path": image}}
    config = ModelConfig.from_dict(tiny_model(towers, dropout=head))
    assert BriVL(BriVL.network(config), system.objective).draws_masks() is random


def test_towers_have_every_parameter_but_the_temperature(system):
    assert unnamed_parameters(system) == []
    image, text = (set(map(id, tower.parameters())) for tower in system.towers().values())
    named = dict(system.model.named_parameters())
    assert image.isdisjoint(text) and len(image) + len(text) == len(named) - 1
    for name, value in named.items():
        assert (id(value) in image) == name.startswith(("visual.", "image_head.")), name


def test_its_loss_is_the_sum_of_both_directions(system):
    batch = scene_batch(system.config)
    system.model.eval()
    with paddle.no_grad():
        embeds = system.encode(batch)
        system.objective.queue.take({view: paddle.roll(value, 1, 0) for view, value in embeds.items()})
        found, mean = (of.loss(embeds, batch, *more) for of, more in both_losses(system))
    assert set(found) == {"loss", "image-caption"} and mean["loss"] > 0.1
    for name, value in mean.items():
        assert found[name].item() == pytest.approx(2 * value.item(), rel=1e-6)


def both_losses(system):
    """What has a `loss`, and its arguments beside embeddings and batch: the system, and its objective."""
    return (system, ()), (system.objective, (system.model, None))


def test_the_pooler_reaches_nothing_and_does_not_learn(system):
    pooler = system.model.text_model.pooler
    assert all(value.stop_gradient for value in pooler.parameters())
    ids = paddle.to_tensor([[1, 5, 6, 2]])
    system.model.eval()
    before = system.model.encode_text(ids).numpy()
    kept = [value.clone() for value in pooler.parameters()]
    for value in pooler.parameters():
        value.set_value(value + 1.0)
    after = system.model.encode_text(ids).numpy()
    for value, old in zip(pooler.parameters(), kept, strict=True):
        value.set_value(old)
    assert np.array_equal(before, after)


def test_a_text_does_not_depend_on_the_padding_of_its_batch(system):
    system.model.eval()
    ids = np.zeros((2, 20), np.int64)
    ids[0, :5], ids[1] = [1, 7, 8, 9, 2], np.arange(1, 21)
    short, wide = (system.model.encode_text(paddle.to_tensor(of)).numpy() for of in (ids[:1, :5], ids))
    np.testing.assert_allclose(short[0], wide[0], atol=1e-6)
    system.model.config.max_length = 31
    other = system.model.encode_text(paddle.to_tensor(ids[:1, :5])).numpy()
    system.model.config.max_length = 32
    assert np.abs(other - short).max() > 1e-5, "and yet the fixed length is part of the model"


@pytest.fixture(scope="module")
def release():
    """(figures, network) of the public release in a small size."""
    figures = brivl_golden.golden()
    return figures, brivl_golden.network(figures)


def test_text_embeddings_are_those_of_the_release(release):
    figures, network = release
    with paddle.no_grad():
        found = unit_rows(network.encode_text(paddle.to_tensor(figures["input_ids"].astype(np.int64))))
    np.testing.assert_allclose(found.numpy(), figures["text_embed"], atol=2e-5)


def test_image_embeddings_are_those_of_the_release(release, monkeypatch):
    figures, network = release
    monkeypatch.setattr(network.visual, "features", lambda pixels: pixels)
    maps, boxes = (paddle.to_tensor(figures[name].astype(np.float32)) for name in ("feature_map", "boxes"))
    with paddle.no_grad():
        raw = network.encode_image(maps, boxes, paddle.to_tensor(figures["box_len"].astype(np.int64)))
    np.testing.assert_allclose(unit_rows(raw).numpy(), figures["image_embed"], atol=2e-5)


def test_noise_is_seen_as_when_it_agreed_with_the_release(release):
    figures, network = release
    np.testing.assert_allclose(brivl_golden.noise_embeds(network), figures["noise_embeds"], atol=2e-5)
