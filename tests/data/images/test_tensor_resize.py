"""BriVL's pixels: a resize between floats without antialias, in float32 as torch computes it."""

import dataclasses
import io
import json
import tracemalloc
from fractions import Fraction

import cv2
import numpy as np
import pytest
from PIL import Image

from ernie_vil2.config.augmentation import AugmentationConfig
from ernie_vil2.config.model import PIXEL_PROFILES
from ernie_vil2.data.batches.views import ViewMaker
from ernie_vil2.data.images.decode import decode
from ernie_vil2.data.images.limits import limits_of
from ernie_vil2.data.images.pixels import normalise, preprocess
from ernie_vil2.data.images.resize import crop, resize_short
from ernie_vil2.data.images.tensor_resize import taps, tensor_resize
from ernie_vil2.data.sources.base import Sample
from ernie_vil2.errors import ImageError

BRIVL = PIXEL_PROFILES["brivl"]


def slow_resize(rgb, side):
    """The rule in float64, pixel by pixel."""
    found, (height, width) = np.zeros((side, side, 3)), rgb.shape[:2]
    for row in range(side):
        for column in range(side):
            y, x = (max(0, (place + 0.5) * size / side - 0.5) for place, size in ((row, height), (column, width)))
            top, left = int(y), int(x)
            for line, down in ((top, 1 - y + top), (min(top + 1, height - 1), y - top)):
                for place, across in ((left, 1 - x + left), (min(left + 1, width - 1), x - left)):
                    found[row, column] += down * across * rgb[line, place] / 255
    return found


@pytest.mark.parametrize("shape", [(50, 70), (90, 41), (20, 20), (7, 13), (1, 1), (1, 60), (200, 3)])
@pytest.mark.parametrize("side", [20, 33])
def test_it_is_bilinear_without_antialias(shape, side):
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = tensor_resize(rgb, side)
    assert found.dtype == np.float32 and found.shape == (side, side, 3) and 0 <= found.min() <= found.max() <= 1
    np.testing.assert_allclose(found, slow_resize(rgb, side), rtol=0, atol=1e-5)


def test_a_square_of_that_side_is_divided_and_nothing_else(random_image):
    rgb = random_image(64, 64)
    np.testing.assert_array_equal(tensor_resize(rgb, 64), rgb / np.float32(255))


@pytest.mark.parametrize("size, side", [(450, 380), (4000, 380), (61, 380), (1333, 100)])
def test_places_are_those_of_a_float32_scale_rounded_once(size, side):
    """As the fused instruction of torch's kernel gives them; in a wide image every other rounding can be seen."""
    scale = Fraction(float(np.float32(size) / np.float32(side)))
    exact = [max(Fraction(0), scale * Fraction(2 * i + 1, 2) - Fraction(1, 2)) for i in range(side)]
    first, second, weight = taps(size, side)
    places = np.array([float(place) for place in exact], np.float32)
    np.testing.assert_array_equal(first + weight.astype(np.float64), places)
    assert (second == np.minimum(first + 1, size - 1)).all() and first.max() < size and weight.dtype == np.float32


def test_of_a_photograph_only_what_is_needed_becomes_floats():
    rgb = np.zeros((3000, 4000, 3), np.uint8)
    crop(rgb, BRIVL)
    tracemalloc.start()
    crop(rgb, BRIVL)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rgb.nbytes, f"{peak:,} bytes beside an image of {rgb.nbytes:,}; as floats it has four times that"


@pytest.mark.parametrize("size", ["tiny", "full"])
def test_pixels_of_the_release(shared_parity, size):
    folder = shared_parity.parent / "brivl" / size
    expected, (side, step) = np.load(folder / "expected.npz"), {"tiny": (100, 4), "full": (380, 10)}[size]
    profile = dataclasses.replace(BRIVL, size=side)
    rows = [json.loads(line) for line in (folder / "input.jsonl").read_text(encoding="utf-8").splitlines()]
    for number, row in enumerate(rows):
        pixels = preprocess(folder / row["image_id"], profile)
        np.testing.assert_allclose(pixels[:, ::step, ::step], expected["pixels"][number], rtol=0, atol=2e-6)
        wide = pixels.astype(np.float64)
        np.testing.assert_allclose(wide.mean((1, 2)), expected["pixels_mean"][number], rtol=0, atol=2e-5)
        np.testing.assert_allclose(wide.std((1, 2)), expected["pixels_std"][number], rtol=0, atol=2e-5)


def test_crops_are_floats_that_are_normalised_by_mean_and_deviation(random_image):
    crops = np.stack([crop(random_image(400, 300, seed), BRIVL) for seed in (0, 1)])
    assert crops.dtype == np.float32 and crops.shape == (2, 380, 380, 3) and 0 <= crops.min() < crops.max() <= 1
    found = normalise(crops, BRIVL)
    wanted = ((crops.astype(np.float64) - BRIVL.mean) / BRIVL.std).transpose(0, 3, 1, 2)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_a_margin_is_cut_off_around_the_centre(random_image):
    rgb, wider = random_image(300, 400), dataclasses.replace(BRIVL, size=32, resize_to=40)
    np.testing.assert_array_equal(crop(rgb, wider), tensor_resize(rgb, 40)[4:36, 4:36])


def test_files_are_read_as_pillow_converts_them(random_image):
    """EXIF turns nothing, alpha is dropped, 16-bit grey is clipped."""
    rgb, exif = random_image(40, 60), Image.Exif()
    exif[0x0112] = 6
    grey = Image.fromarray(np.linspace(0, 600, 2400).astype(np.uint16).reshape(40, 60))
    clear = Image.fromarray(np.dstack([rgb, rgb[:, :, :1]]))
    for image, form in ((Image.fromarray(rgb), "JPEG"), (clear, "PNG"), (grey, "PNG")):
        stream = io.BytesIO()
        image.save(stream, form, exif=exif)
        wanted = np.asarray(Image.open(io.BytesIO(stream.getvalue())).convert("RGB"))
        np.testing.assert_array_equal(decode(stream.getvalue(), BRIVL), wanted, form)


@pytest.mark.parametrize("damaged", ["skip", "keep"])
def test_a_file_that_ends_early_is_refused(random_image, image_bytes, damaged):
    for form in ("JPEG", "PNG"):
        data = image_bytes(random_image(40, 60), form)
        with pytest.raises(ImageError, match="truncated"):
            preprocess(data[: len(data) // 2], BRIVL, limits_of(damaged))


def test_training_varies_bytes_of_the_whole_image(random_image):
    """BriVL's recipe cuts and flips nothing; without its colours it is the evaluation's image, but for rounding."""
    sample = Sample("a", random_image(500, 450), ("x",), (), "here")
    recipe = AugmentationConfig(flip=0, blur=0, jitter=0, grey=0)
    views = [ViewMaker(["image"], None, BRIVL, one).make(sample, 0, 0).pixels["image"] for one in (recipe, None)]
    assert [view.dtype for view in views] == [np.uint8, np.float32]
    np.testing.assert_allclose(views[0] / 255, views[1], rtol=0, atol=1.01 / 255)
    np.testing.assert_array_equal(views[0], cv2.resize(sample.image, (380, 380), interpolation=cv2.INTER_LINEAR))
    np.testing.assert_array_equal(views[0], resize_short(sample.image, 380, BRIVL))
    coloured = AugmentationConfig(flip=0, blur=0)
    made = ViewMaker(["image"], None, BRIVL, coloured)
    assert any(not np.array_equal(made.make(sample, epoch, 0).pixels["image"], views[0]) for epoch in range(4))
