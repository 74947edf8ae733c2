"""Order and loader: complete epochs, the same batches whatever the workers, broken samples counted and replaced."""

import numpy as np
import pytest

from ernie_vil2.config import PixelProfile
from ernie_vil2.data.loader import Loader, Order
from ernie_vil2.data.samples import Sample, Source
from ernie_vil2.data.text import Tokenizer
from ernie_vil2.data.views import ViewMaker
from ernie_vil2.errors import DataError


class Noise(Source):
    """Rows of noise, some of them broken."""

    name = "noise"

    def __init__(self, size, broken=()):
        self.size, self.broken = size, set(broken)

    def __len__(self):
        return self.size

    def load(self, index):
        if index in self.broken:
            raise DataError(f"noise:{index + 1}: broken; mend it")
        image = np.random.default_rng(index).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        return Sample(str(index), image, ("一只猫",), (), f"noise:{index + 1}")


@pytest.fixture
def maker(tiny_vocab):
    return ViewMaker(("image", "caption"), Tokenizer(tiny_vocab, 16), PixelProfile(size=32))


def load(source, maker, batch_size=4, steps=5, **options):
    return list(Loader(source, maker, Order(len(source), batch_size, 7), steps, **options))


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_workers_and_start_change_nothing(maker, workers):
    straight = load(Noise(11), maker, workers=0)
    other = load(Noise(11), maker, workers=workers, start=2)
    for (one, _), (two, _) in zip(straight[2:], other, strict=True):
        np.testing.assert_array_equal(one.index, two.index)
        np.testing.assert_array_equal(one.pixels["image"], two.pixels["image"])


def test_a_broken_sample_is_reported_and_replaced_by_the_next_good_row(maker):
    batches = load(Noise(8, broken=(2, 3)), maker, batch_size=8, steps=1)
    batch, bad = batches[0]
    assert len(batch) == 8 and sorted(batch.index.tolist()) == [0, 1, 4, 4, 4, 5, 6, 7]
    assert {str(error).split(":")[1] for error in bad} == {"3", "4"}


def test_too_many_broken_samples_stop_the_run(maker):
    with pytest.raises(DataError, match=r"more than data.max_bad 0.01.*mend it.*data.py check"):
        load(Noise(40, broken=range(0, 40, 2)), maker, batch_size=20, steps=4)
    with pytest.raises(DataError, match="not one of its 5 samples"):
        load(Noise(5, broken=range(5)), maker, batch_size=5, steps=1)
