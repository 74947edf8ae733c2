"""Views of samples: which, by which key, and what a batch of them holds."""

import numpy as np
import pytest

from ernie_vil2.config import AugmentationConfig, PixelProfile
from ernie_vil2.data.samples import Sample
from ernie_vil2.data.text import Tokenizer
from ernie_vil2.data.views import ViewMaker
from ernie_vil2.errors import ConfigError

ALL = ("image", "image'", "caption", "caption'", "tags", "tags'")


@pytest.fixture
def make(tiny_vocab):
    tokenizer = Tokenizer(tiny_vocab, 16)

    def maker(views=ALL, augmentation=None, seed=0):
        return ViewMaker(views, tokenizer, PixelProfile(size=32), augmentation, "zh", seed)

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
    from ernie_vil2.data.image import crop

    views = make(("image", "caption")).make(sample, 0, 0)
    np.testing.assert_array_equal(views.pixels["image"], crop(sample.image, PixelProfile(size=32)))
    with pytest.raises(ConfigError, match="augmentation"):
        make(("image", "image'"))


def test_the_same_image_id_gives_the_same_hash(make, sample):
    maker = make(("image", "caption"))
    batch = maker.collate([maker.make(sample, 0, 0), maker.make(sample, 0, 9)])
    assert batch.image_ids[0] == batch.image_ids[1] and len(batch) == 2
