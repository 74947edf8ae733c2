"""Boxes as a network takes them: scaled with the image, the whole of it last, zeros after that."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ernie_vil2.config.model import PIXEL_PROFILES, PixelProfile
from ernie_vil2.data.boxes import LARGEST, network_boxes
from ernie_vil2.data.check.boxes import count_boxes
from ernie_vil2.data.images.limits import Limits
from ernie_vil2.data.images.placement import Cut, Placement
from ernie_vil2.data.images.resize import centre
from ernie_vil2.data.sources.base import Sample
from ernie_vil2.inference.image_batches import ImageReader

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


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("decoder", ["opencv", "pil"])
def test_boxes_of_a_tiff_are_those_of_the_upright_picture(decoder, orientation):
    """Pillow and OpenCV both turn a TIFF by its tag, so no detector saw it as it is stored, nor did the release."""
    from PIL import Image

    stored, tag = np.zeros((30, 60, 3), np.uint8), Image.Exif()
    stored[4:12, 6:32] = 255
    tag[0x0112], file = orientation, io.BytesIO()
    Image.fromarray(stored).save(file, "TIFF", exif=tag)
    content, profile = file.getvalue(), replace(SQUARE, decoder=decoder, size=60)
    upright = np.argwhere(np.asarray(Image.open(file))[:, :, 0])
    box = [*upright.min(0)[::-1], *upright.max(0)[::-1] + 1]
    pixels, (boxes, _) = ImageReader(profile, Limits(), 1).read(content, [list(map(float, box))])
    left, top, right, bottom = np.round(boxes[0]).astype(int)
    inside = pixels[top + 1 : bottom - 1, left + 1 : right - 1]
    assert (
        inside.size
        and inside.min() > 250
        and pixels.astype(float).sum() < 1.2 * 255 * 3 * (right - left) * (bottom - top)
    )
    sides = (60, 30) if orientation > 4 else (30, 60)
    corner = (0.0, 0.0, *map(float, sides[::-1]))
    sample = Sample("a", content, ("x",), (), "a:1", (tuple(map(float, box)), corner))
    assert count_boxes(sample, content, sides).outside == 0


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
    assume(max(height, width) < 1000 * min(height, width))  # beyond, a resized image is over the limit of pixels
    placed = centre((height, width), PIXEL_PROFILES[name])
    placed = placed._replace(cut=placed.cut._replace(mirrored=mirrored))
    boxes, count = network_boxes(given_boxes, 36, placed)
    assert np.isfinite(boxes).all() and count == min(len(given_boxes), 36) + 1
