"""Views of samples: which, by which key, and what a batch of them holds."""

import cv2
import numpy as np
import pytest

from ernie_vil2.config.augmentation import AugmentationConfig
from ernie_vil2.config.model import PixelProfile
from ernie_vil2.data.batches.views import ViewMaker
from ernie_vil2.data.images.resize import crop
from ernie_vil2.data.sources.base import RowError, Sample
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.errors import ConfigError

ALL = ("image", "image'", "caption", "caption'", "tags", "tags'")


@pytest.fixture
def make(tiny_vocab):
    tokenizer = Tokenizer(tiny_vocab, 16)

    def maker(views=ALL, augmentation=None, seed=0, **options):
        return ViewMaker(views, tokenizer, PixelProfile(size=32), augmentation, "zh", seed, **options)

    return maker


@pytest.fixture
def sample(random_image):
    return Sample("cat", random_image(48, 40), ("一只猫", "红猫", "a cat"), ("猫", "大的猫"), "x.jsonl:1")


def test_views_depend_on_seed_epoch_index_and_view(make, sample):
    maker, augmentation = make(augmentation=AugmentationConfig()), AugmentationConfig()
    one, again = maker.make(sample, 0, 5), maker.make(sample, 0, 5)
    assert one.texts == again.texts and all(np.array_equal(one.pixels[view], again.pixels[view]) for view in one.pixels)
    assert not np.array_equal(one.pixels["image"], one.pixels["image'"])
    for other in (
        maker.make(sample, 1, 5),
        maker.make(sample, 0, 6),
        make(augmentation=augmentation, seed=1).make(sample, 0, 5),
    ):
        assert not np.array_equal(one.pixels["image"], other.pixels["image"])


def test_the_two_captions_differ_and_all_are_used(make, sample):
    pairs = {
        (views.texts["caption"], views.texts["caption'"])
        for views in (make(ALL[2:]).make(sample, epoch, 0) for epoch in range(60))
    }
    assert len(pairs) == 6 and all(first != second for first, second in pairs)


def test_the_second_caption_may_be_the_same_one(make, sample):
    another, same = make(ALL[2:]), make(ALL[2:], second_caption="same")
    pairs = [same.make(sample, epoch, 0).texts for epoch in range(60)]
    assert all(texts["caption"] == texts["caption'"] for texts in pairs)
    first = [another.make(sample, epoch, 0).texts["caption"] for epoch in range(60)]
    assert [texts["caption"] for texts in pairs] == first and len(set(first)) == 3


def test_one_caption_stands_for_both_and_no_tags_is_an_absent_view(make, sample):
    single = Sample("dog", sample.image, ("一只狗",), (), "x.jsonl:2")
    maker = make(ALL[2:])
    batch = maker.collate([maker.make(item, 0, index) for index, item in enumerate((sample, single))])
    assert batch.present["tags"].tolist() == [True, False] and batch.present["caption"].all()
    assert batch.text_ids["caption"][1] == batch.text_ids["caption'"][1]
    assert batch.text_ids["caption"][0] != batch.text_ids["caption'"][0]
    assert batch.tokens["tags"].dtype == np.int64 and batch.tokens["tags"].shape[0] == 2
    assert batch.where == ["x.jsonl:1", "x.jsonl:2"] and batch.index.tolist() == [0, 1]


def test_without_augmentation_training_sees_the_evaluation_pixels(make, sample):
    views = make(("image", "caption")).make(sample, 0, 0)
    np.testing.assert_array_equal(views.pixels["image"], crop(sample.image, PixelProfile(size=32)))
    with pytest.raises(ConfigError, match="augmentation"):
        make(("image", "image'"))


def test_the_same_image_id_gives_the_same_hash(make, sample):
    maker = make(("image", "caption"))
    batch = maker.collate([maker.make(sample, 0, 0), maker.make(sample, 0, 9)])
    assert batch.image_ids[0] == batch.image_ids[1] and len(batch) == 2


def test_two_pictures_under_an_id_are_no_positives_of_each_other_in_a_batch(make, random_image, image_bytes, tmp_path):
    """Whether they lie in files or not; a copy of a file is the same picture."""
    maker, data = make(("image", "caption")), [image_bytes(random_image(40, 40, seed)) for seed in (0, 1)]
    for name, content in zip("abc", (data[0], data[0], data[1]), strict=True):
        (tmp_path / name).write_bytes(content)
    images = [*data, *(tmp_path / name for name in "abc"), random_image(40, 40, 0), random_image(40, 40, 1)]
    made = [maker.make(Sample("cat", image, ("t",), (), f"x:{row}"), 0, row) for row, image in enumerate(images)]
    ids = maker.collate(made).image_ids.tolist()
    assert ids[0] == ids[2] == ids[3] and ids[1] == ids[4] and len({ids[0], ids[1], ids[5], ids[6]}) == 4


def jpeg(pixels):
    return cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


@pytest.mark.parametrize("shape", [(480, 640), (1300, 1001), (700, 500), (260, 300)])
def test_evaluation_pixels_are_never_reduced(tiny_vocab, random_image, shape):
    data, tokenizer = jpeg(random_image(*shape)), Tokenizer(tiny_vocab, 16)
    sample = Sample("a", data, ("猫",), (), "x:1")
    wanted = crop(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1])
    for reduced in (True, False):
        maker = ViewMaker(("image",), tokenizer, PixelProfile(), None, reduced=reduced)
        np.testing.assert_array_equal(maker.make(sample, 0, 0).pixels["image"], wanted)


@pytest.mark.parametrize("scale", [1.0, 0.6])
@pytest.mark.parametrize("shape", [(480, 640), (1300, 1001), (1001, 1300), (700, 500), (260, 300)])
def test_training_pixels_are_close_with_and_without_reduction(tiny_vocab, random_image, shape, scale):
    """The same draws on nearly the same picture: the crop box, flip and colours do not depend on the decode."""
    data, tokenizer = jpeg(cv2.resize(random_image(120, 160), shape[::-1])), Tokenizer(tiny_vocab, 16)
    sample = Sample("a", data, ("猫",), (), "x:1")
    recipe = AugmentationConfig(crop_scale=scale, hue=0.0)
    makers = [
        ViewMaker(("image", "image'"), tokenizer, PixelProfile(), recipe, reduced=reduced) for reduced in (True, False)
    ]
    for epoch in range(4):
        small, full = (maker.make(sample, epoch, 0).pixels for maker in makers)
        for view in small:
            difference = small[view].astype(float) - full[view]
            assert np.abs(difference).mean() < 2.5, (view, epoch)
            assert (difference**2).mean() < 255**2 / 10**3.4, "under 34 dB"


def test_a_broken_image_names_its_place_and_cause(make):
    with pytest.raises(RowError, match="x.jsonl:9: .*is empty") as caught:
        make(("image",)).make(Sample("a", b"", ("猫",), (), "x.jsonl:9"), 0, 0)
    assert caught.value.cause == "empty image"
