"""Boxes of a batch: they lie where the pixels went, and travel with them through workers, joins and slices."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ernie_vil2.config.augmentation import AugmentationConfig
from ernie_vil2.config.model import PIXEL_PROFILES
from ernie_vil2.data.batches.loader import Loader
from ernie_vil2.data.batches.order import Order
from ernie_vil2.data.batches.views import ViewMaker, join
from ernie_vil2.data.images.limits import DEFAULT_LIMITS
from ernie_vil2.data.sources.base import Sample, Source
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.inference.image_batches import ImageReader

GREY, RED = (90, 120, 120), (250, 20, 20)
STILL = {"jitter": 0, "grey": 0, "blur": 0}
RECIPES = {
    "evaluation": None,
    "crop": AugmentationConfig(flip=0, **STILL),
    "small crop, mirrored": AugmentationConfig(crop_scale=0.4, flip=1, **STILL),
    "as it comes": AugmentationConfig(crop_scale=0.6, flip=0.5, **STILL),
}


def drawn(height, width, box):
    picture = np.full((height, width, 3), GREY, np.uint8)
    left, top, right, bottom = box
    picture[top:bottom, left:right] = RED
    return picture


def jpeg(picture, orientation=1):
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture).save(stream, "JPEG", quality=95, subsampling=0, exif=exif)
    return stream.getvalue()


def seen(pixels):
    """(x1, y1, x2, y2) of what is red, or None."""
    shades = pixels.astype(np.float64) * (255 if pixels.dtype == np.float32 else 1)
    rows, columns = np.nonzero(shades[:, :, 0] > shades[:, :, 1] + 100)
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if len(rows) else None


@pytest.mark.parametrize("encode", [np.asarray, jpeg], ids=["array", "jpeg"])
@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("name", list(PIXEL_PROFILES))
def test_a_rectangle_lies_where_its_box_says(name, recipe, encode):
    profile, rng, inside = PIXEL_PROFILES[name], np.random.default_rng(0), 0
    maker = ViewMaker(["image"], None, profile, RECIPES[recipe], boxes=2)
    for epoch, (height, width) in enumerate([(600, 1100), (1000, 560), (160, 210)]):
        left, top = rng.integers(0, (width // 2, height // 2))
        box = (left, top, left + width // 3, top + height // 4)
        sample = Sample("a", encode(drawn(height, width, box)), ("x",), (), "here", (box,))
        views = maker.make(sample, epoch, 0)
        (boxes, count), found = views.boxes["image"], seen(views.pixels["image"])
        assert count == 2 and boxes[1].tolist() == [0, 0, profile.size, profile.size]
        wanted = np.clip(boxes[0], 0, profile.size)
        if min(wanted[2:] - wanted[:2]) > 3:
            inside += 1
            np.testing.assert_allclose(found, wanted, rtol=0, atol=2, err_msg=f"{height} x {width}")
        elif max(0, *(wanted[2:] - wanted[:2])) == 0:
            assert found is None
    assert inside, "the rectangle was never in sight"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["official", "brivl"])
def test_boxes_of_a_file_are_those_of_its_stored_pixels(name, orientation, tmp_path):
    """Whether its decoder turns it, as OpenCV does by EXIF, or not; with the size it had before."""
    profile, box = replace(PIXEL_PROFILES[name], resize="square"), (40, 30, 160, 90)
    data, maker = jpeg(drawn(300, 400, box), orientation), ViewMaker(["image"], None, profile, boxes=1)
    (tmp_path / "a.jpg").write_bytes(data)
    for image in (data, tmp_path / "a.jpg"):
        views = maker.make(Sample("a", image, ("x",), (), "here", (box,)), 0, 0)
        np.testing.assert_allclose(seen(views.pixels["image"]), views.boxes["image"][0][0], rtol=0, atol=2)
    reader = ImageReader(profile, DEFAULT_LIMITS, 1)
    for image in (data, Image.open(io.BytesIO(data))):
        pixels, (boxes, _) = reader.read(image, [box])
        np.testing.assert_allclose(seen(pixels), boxes[0], rtol=0, atol=2)


def test_each_view_of_an_image_has_boxes_of_its_own(random_image):
    maker = ViewMaker(["image", "image'"], None, PIXEL_PROFILES["official"], AugmentationConfig(), boxes=2)
    sample = Sample("a", random_image(300, 700), ("x",), (), "here", ((100, 50, 300, 200),))
    boxes = maker.make(sample, 0, 0).boxes
    assert not np.array_equal(boxes["image"][0], boxes["image'"][0])


class Boxes(Source):
    """Noise with as many boxes as its number says; of every third nobody looked for any."""

    def __len__(self):
        return 40

    def load(self, index):
        image = np.random.default_rng(index).integers(0, 256, (40 + index, 60, 3), dtype=np.uint8)
        boxes = None if index % 3 == 0 else tuple((x, 1.0, x + 9.5, 20.0) for x in range(index % 5))
        return Sample(str(index), image, ("猫",), (), f"boxes:{index + 1}", boxes)


def maker_of(vocab, recipe=None, boxes=3):
    profile = PIXEL_PROFILES["brivl"]
    return ViewMaker(("image", "caption"), Tokenizer(vocab, 16), profile, recipe, boxes=boxes)


def test_a_model_without_boxes_gets_none(tiny_vocab):
    maker = maker_of(tiny_vocab, AugmentationConfig(), boxes=0)
    batch = maker.collate([maker.make(Boxes()[index], 0, index) for index in (1, 2)])
    assert batch.boxes == batch.box_counts == batch.rows(slice(0, 1)).boxes == {} == join([batch, batch]).box_counts


def test_slices_and_joins_carry_boxes(tiny_vocab):
    maker = maker_of(tiny_vocab)
    batch = maker.collate([maker.make(Boxes()[index], 0, index) for index in range(6)])
    assert batch.boxes["image"].shape == (6, 4, 4) and batch.boxes["image"].dtype == np.float32
    assert batch.box_counts["image"].tolist() == [1, 2, 3, 1, 4, 1] and batch.box_counts["image"].dtype == np.int64
    back = join([batch.rows(slice(0, 2)), batch.rows(slice(2, 6))])
    np.testing.assert_array_equal(back.boxes["image"], batch.boxes["image"])
    np.testing.assert_array_equal(back.box_counts["image"], batch.box_counts["image"])


@pytest.mark.parametrize("recipe", [None, AugmentationConfig()], ids=["evaluation", "training"])
@pytest.mark.parametrize("workers, shared_bytes", [(2, None), (1, 0)])
def test_workers_give_the_same_pixels_and_boxes(tiny_vocab, recipe, workers, shared_bytes):
    """Through shared memory and through pipes, floats and bytes."""
    maker = maker_of(tiny_vocab, recipe)
    plain, made = (
        Loader(Boxes(), maker, Order(40, 6, 0), 4, workers=count, shared_bytes=shared_bytes) for count in (0, workers)
    )
    for (one, _), (two, _) in zip(plain, made, strict=True):
        assert two.pixels["image"].dtype == (np.float32 if recipe is None else np.uint8)
        for field in ("pixels", "boxes", "box_counts"):
            np.testing.assert_array_equal(getattr(one, field)["image"], getattr(two, field)["image"], field)
    assert ("pipes" in made.note) == (shared_bytes == 0)
