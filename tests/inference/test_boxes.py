"""Boxes beside images: for one or many, in pixels of the image, refused where they are none or nobody takes them."""

from dataclasses import replace

import numpy as np
import pytest

from ernie_vil2.data.sources.base import Sample
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.errors import ConfigError, DataError, ImageError
from ernie_vil2.inference.model import Model
from ernie_vil2.inference.rows import encode_rows
from ernie_vil2.models.dual_encoder import new_model
from tests.systems.boxed import MOST, Boxed

BOXES = [[4, 2, 20, 30], [0, 0, 9, 11.5]]
WHOLE = [[0, 0, 40, 30]]


@pytest.fixture
def boxed(tiny_config, tiny_vocab):
    pixels = replace(tiny_config.pixels, resize="square")
    network = new_model(replace(tiny_config, system="regional", pixels=pixels), network=Boxed.network)
    rng = np.random.default_rng(0)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            parameter.set_value(rng.normal(0, 0.5, parameter.shape).astype(np.float32))
    return Model(network, Tokenizer(tiny_vocab, 16))


@pytest.fixture
def images(random_image):
    return [random_image(30, 40, seed) for seed in range(5)]


def same(one, two):
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)


def differ(one, two):
    assert np.abs(np.subtract(one, two)).max() > 1e-2


def test_a_box_changes_its_own_image_whoever_else_is_encoded(boxed, images):
    each = [BOXES, None, np.array(BOXES)[:1], [], [list(box) for box in WHOLE] * 9]
    alone = np.concatenate([boxed.encode_image(image, boxes=of) for image, of in zip(images, each, strict=True)])
    for size in (1, 2, 5):
        same(boxed.encode_image(images, boxes=each, batch_size=size), alone)
    plain = boxed.encode_image(images)
    same(plain[1], alone[1])
    for place in (0, 2, 3, 4):
        differ(plain[place], alone[place])


def test_one_image_takes_its_boxes_with_or_without_a_list_around(boxed, images):
    wanted = boxed.encode_image(images[:1], boxes=[BOXES])
    for given in (BOXES, np.array(BOXES), [np.array(BOXES)], [BOXES], tuple(map(tuple, BOXES))):
        same(boxed.encode_image(images[0], boxes=given), wanted)
        same(boxed.encode_image(images[:1], boxes=given), wanted)
    nothing = boxed.encode_image(images[0], boxes=[])
    for given in ([[]], np.zeros((0, 4)), [np.zeros((0, 4))], WHOLE * 2):
        same(boxed.encode_image(images[0], boxes=given), nothing)
    differ(boxed.encode_image(images[0], boxes=[None]), nothing)


def test_a_batch_without_boxes_is_left_to_the_network(boxed, images):
    boxed.encode_image(images, boxes=[None] * 4 + [BOXES], batch_size=2)
    assert sorted(boxed.network.calls) == [(1, True), (2, False), (2, False)]


def test_without_boxes_beside_some_it_is_what_the_network_names(boxed, images, monkeypatch):
    plain = boxed.encode_image(images[:2])
    same(boxed.encode_image(images[:2], boxes=[BOXES, None])[1], plain[1])
    whole = boxed.encode_image(images[1], boxes=WHOLE)
    differ(whole, plain[1])
    monkeypatch.delattr(type(boxed.network), "default_boxes")
    same(boxed.encode_image(images[:2], boxes=[BOXES, None])[1], whole[0])


def test_regions_are_what_the_network_sees(boxed, images, random_image):
    boxes, count = boxed.regions(random_image(64, 64), [[2, 4, 32, 65], [1, 1, 1, 1]])
    assert count == 3 and boxes.tolist() == [[1, 2, 16, 32.5], [0.5] * 4, [0, 0, 32, 32], [0] * 4]
    boxes, count = boxed.regions(images[0], None)
    assert count == 1 and boxes.shape == (MOST + 1, 4)
    assert boxed.regions(images[0], BOXES * 9)[1] == MOST + 1


@pytest.mark.parametrize(
    "wrong, words",
    [
        ([[1, 2, 3]], "four numbers"),
        ([[1, 2, 3, np.nan]], "nan"),
        ([[0.1, 0.2, 0.5, 1.0]], "pixels"),
        ([["a", 2, 3, 4]], "str"),
        ([5, 6], "four numbers"),
        (7, "boxes is"),
    ],
)
def test_a_wrong_box_is_as_a_broken_image(boxed, images, wrong, words):
    each = [BOXES, None, wrong, BOXES, None]
    with pytest.raises(DataError, match="image 2 .counted from 0.: ") as caught:
        boxed.encode_image(images, boxes=each)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    rows, failures = boxed.encode_image(images, boxes=each, on_error="skip")
    ((position, reason),) = failures
    assert position == 2 and words in reason and reason.cause == "bad boxes"
    assert np.isnan(rows[2]).all() and np.isfinite(np.delete(rows, 2, 0)).all()


def test_another_number_of_entries_is_one_sentence(boxed, images):
    for count, given in ((4, [None] * 4), (2, BOXES), (0, [])):
        with pytest.raises(ConfigError, match=f"^boxes has {count} entries for 5 images; give a list with one"):
            boxed.encode_image(images, boxes=given)
    with pytest.raises(ConfigError, match="boxes has 3 entries for 1 images"):
        boxed.encode_image(images[0], boxes=[None, BOXES, None])


def test_boxes_for_a_model_that_takes_none_are_refused(model, images):
    assert model.most_boxes == 0
    for call in (model.encode_image, model.regions):
        with pytest.raises(ConfigError, match="^boxes are given, but this model takes none; [^\n]*$"):
            call(images[0], boxes=BOXES)


def test_a_broken_image_with_boxes_says_that_it_is_broken(boxed):
    with pytest.raises(ImageError, match="image 0 .counted from 0.: .*empty"):
        boxed.encode_image([b""], boxes=[BOXES])


def test_rows_of_a_source_are_encoded_with_their_boxes(boxed, model, images):
    """Bad boxes make a row bad as a broken image does; a model without boxes passes over them."""
    each = [tuple(map(tuple, BOXES)), None, (), ((1.0, 2.0, np.inf, 4.0),)]
    samples = {row: Sample(str(row), images[row], ("猫",), (), f"x:{row + 1}", boxes) for row, boxes in enumerate(each)}
    source = type("Rows", (), {"where": staticmethod(lambda row: f"x:{row + 1}")})()
    found = encode_rows(boxed, source, samples, {})
    wanted = boxed.encode_image(images[:3], boxes=each[:3])
    for row in range(3):
        same(found.images[row], wanted[row])
    assert list(found.bad) == [3] and "inf" in str(found.bad[3])
    assert sorted(encode_rows(model, source, samples, {}).images) == [0, 1, 2, 3]
