"""Boxes as a network takes them: scaled with the image, the whole of it last, zeros after that."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.config.model import PIXEL_PROFILES, PixelProfile
from ernie_vil2.data.boxes import LARGEST, network_boxes
from ernie_vil2.data.images.placement import Cut, Placement
from ernie_vil2.data.images.resize import centre

SQUARE = PixelProfile(decoder="pil", resize="square", size=100)
NUMBER = st.floats(-LARGEST, LARGEST, width=32)


@pytest.mark.parametrize("size", ["tiny", "full"])
def test_boxes_of_the_release(shared_parity, size):
    from PIL import Image

    folder = shared_parity.parent / "brivl" / size
    expected, side = np.load(folder / "expected.npz"), {"tiny": 100, "full": 380}[size]
    profile = PixelProfile(decoder="pil", resize="square", interpolation="tensor", size=side)
    rows = [json.loads(line) for line in (folder / "input.jsonl").read_text(encoding="utf-8").splitlines()]
    for number, row in enumerate(rows):
        width, height = Image.open(folder / row["image_id"]).size
        boxes, count = network_boxes(row["bbox"], 36, centre((height, width), profile))
        assert count == expected["box_len"][number]
        np.testing.assert_allclose(boxes, expected["boxes"][number], rtol=0, atol=1e-4)


def test_the_first_boxes_then_the_whole_then_zeros():
    given_boxes = [[index, 0, index + 5, 400] for index in range(60)]
    placed = centre((400, 200), SQUARE)
    boxes, count = network_boxes(given_boxes, 36, placed)
    assert boxes.shape == (37, 4) and boxes.dtype == np.float32 and count == 37
    np.testing.assert_allclose(boxes[:36], [[x / 2, 0, (x + 5) / 2, 100] for x in range(36)], rtol=1e-6)
    assert boxes[36].tolist() == [0, 0, 100, 100]
    boxes, count = network_boxes(given_boxes[:2], 36, placed)
    assert count == 3 and boxes[2].tolist() == [0, 0, 100, 100] and not boxes[3:].any()
    for nothing in (None, (), []):
        boxes, count = network_boxes(nothing, 36, placed)
        assert count == 1 and boxes[0].tolist() == [0, 0, 100, 100] and not boxes[1:].any()


def test_nothing_is_clipped():
    boxes, _ = network_boxes([[-20, 40, 30, 900], [5, 5, 5, 5]], 4, centre((400, 200), SQUARE))
    assert boxes[:2].tolist() == [[-10, 10, 15, 225], [2.5, 1.25, 2.5, 1.25]]


def test_a_mirrored_box_keeps_its_left_side_at_the_left():
    placed = Placement((50, 100), (100, 200), 80, Cut(10, 30, mirrored=True))
    boxes, _ = network_boxes([[20, 10, 45, 30]], 1, placed)
    assert boxes.tolist() == [[80 - 60, 10, 80 - 10, 50], [0, 0, 80, 80]]


@given(
    st.lists(st.tuples(NUMBER, NUMBER, NUMBER, NUMBER), max_size=60),
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.sampled_from(list(PIXEL_PROFILES)),
    st.booleans(),
)
def test_whatever_the_boxes_there_is_no_nan(given_boxes, height, width, name, mirrored):
    placed = centre((height, width), PIXEL_PROFILES[name])
    placed = placed._replace(cut=placed.cut._replace(mirrored=mirrored))
    boxes, count = network_boxes(given_boxes, 36, placed)
    assert np.isfinite(boxes).all() and count == min(len(given_boxes), 36) + 1
