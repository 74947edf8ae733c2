"""The cost of two streams and of one: what is added up, and that the scorer which is timed scores single pairs."""

import numpy as np
import paddle
import pytest

from ernie_vil2.config.model import ModelConfig
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.studies.speed import streams
from ernie_vil2.studies.speed.one_stream import OneStreamScorer

MODEL = {
    "system": "cookie",
    "settings": {"layers": 1, "heads": 2, "feed_forward": 32},
    "max_length": 16,
    "pixels": {"size": 32},
    "image_tower": {"image_size": 32, "patch_size": 16, "width": 32, "depth": 1, "heads": 2},
    "text_tower": {"vocab_size": 50, "positions": 16, "width": 32, "depth": 2, "heads": 2},
}
CNN = {"kind": "efficientnet", "width_factor": 0.1, "depth_factor": 0.1, "image_size": 32, "projection": 0}
CONFIG = ModelConfig.from_dict(MODEL)
FOUND = {
    "plain image": 2.0,
    "plain text": 0.5,
    "cookie image": 3.0,
    "cookie text": 1.0,
    "one image": 2.0,
    "one pair": 4.0,
    "product": 0.25,
}


@pytest.fixture(scope="module")
def scorer():
    model = new_model(CONFIG, network=lambda *_: OneStreamScorer(CONFIG))
    model.eval()
    return model


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    pixels = paddle.to_tensor(rng.standard_normal((2, 3, 32, 32), dtype=np.float32))
    return pixels, paddle.to_tensor(rng.integers(1, 50, (3, 7)))


@paddle.no_grad()
def test_every_pair_is_scored_by_itself(scorer, inputs):
    pixels, ids = inputs
    kept = scorer.image_tokens(pixels)
    found = np.stack([row.numpy() for row in streams.every_pair(scorer, kept, ids)])
    for image in range(2):
        for text in range(3):
            alone = scorer(scorer.image_tokens(pixels[image : image + 1]), ids[text : text + 1])
            np.testing.assert_allclose(found[image, text], alone.numpy()[0], rtol=0, atol=1e-5)
    assert len(np.unique(found.round(6))) == 6, "a score depends on image and text"


@paddle.no_grad()
def test_padding_of_a_text_changes_no_score(scorer, inputs):
    pixels, ids = inputs
    kept = scorer.image_tokens(pixels[:1]).expand([3, -1, -1])
    padded = paddle.concat([ids, paddle.zeros([3, 4], ids.dtype)], axis=1)
    np.testing.assert_allclose(scorer(kept, padded).numpy(), scorer(kept, ids).numpy(), rtol=0, atol=1e-5)


def test_what_is_kept_is_not_counted_and_all_else_is():
    assert streams.set_seconds(FOUND, 10, 3, "plain") == 10 * 2 + 3 * 0.5 + 30 * 0.25
    assert streams.set_seconds(FOUND, 10, 3, "cookie", kept=True) == 3 * 1.0 + 30 * 0.25
    assert streams.set_seconds(FOUND, 10, 3, "one") == 10 * 2 + 30 * 4.0
    assert streams.set_seconds(FOUND, 10, 3, "one", kept=True) == 30 * 4.0


def test_all_sides_are_timed_and_the_table_has_them():
    found = streams.compare(CONFIG, images=2, texts=2, turns=1)
    assert set(FOUND) < set(found) and min(found.values()) > 0
    assert found["image bytes"] == 4 * 5 * 32 and found["embedding bytes"] == 4 * 32
    text = streams.table({**found, **FOUND})
    assert "| COOKIE / dual encoder | 1.50 | 2.00 | – |" in text and "1,000 x 5,000" in text


def test_towers_of_other_widths_are_timed_too():
    settings = {**MODEL["settings"], "embed_dim": 32}
    config = ModelConfig.from_dict({**MODEL, "image_tower": CNN, "settings": settings})
    plain = streams.plain_side(config)
    assert plain.embed_dims() == (32, 32) and plain.image_tower.projection == 32 and not plain.text_tower.projection
    assert min(streams.compare(config, images=1, texts=2, turns=1).values()) > 0
