"""The loss on the branches of a card, emulated on a CPU, and the memory that it takes."""

from types import SimpleNamespace

import numpy as np
import paddle
import pytest

from ernie_vil2.config.run import ObjectiveConfig
from ernie_vil2.data.batches.views import Batch
from ernie_vil2.device import MIB, Device, current_device
from ernie_vil2.objectives import positives, tiles
from ernie_vil2.objectives.comparison import Comparison
from ernie_vil2.objectives.contrastive import ContrastiveObjective
from ernie_vil2.objectives.info_nce import info_nce
from ernie_vil2.objectives.sigmoid import sigmoid_loss
from ernie_vil2.studies.traffic import Traffic
from tests.objectives.problems import features, found_by, labels, leaves, shares

PAIRS = [["image", "caption"], ["image", "tags", 0.5], ["image", "image'", 2.0], ["caption", "caption'"]]
VIEWS = ("image", "image'", "caption", "caption'", "tags")
SIZE, WIDTH = 30, 16


@pytest.fixture
def card(monkeypatch):
    """A call after which the loss takes the branches of a card, with tiles of so many entries."""

    def start(entries):
        monkeypatch.setattr(tiles, "CARD_TILE", entries)
        for module in (tiles, positives):
            for name in ("current_device", "device_of"):
                monkeypatch.setattr(module, name, lambda *tensor: Device("gpu"), raising=False)
        assert tiles.wide() == paddle.float32

    return start


def batch_of(absent):
    """Samples of which some show one image, or have one text, or lack their tags."""
    rng = np.random.default_rng(5)
    return Batch(
        pixels={},
        tokens={},
        index=np.arange(SIZE),
        where=[str(row) for row in range(SIZE)],
        image_ids=rng.integers(0, 2 * SIZE, SIZE),
        text_ids={view: rng.integers(0, 2 * SIZE, SIZE) for view in VIEWS[2:]},
        present={"tags": rng.random(SIZE) >= absent},
    )


def everything(loss, batch):
    """({part or gradient: array}, Traffic of the objective's two passes over noise that is partly aligned)."""
    objective = ContrastiveObjective(ObjectiveConfig(pairs=PAIRS, loss=loss))
    first, second = features("tight", SIZE, WIDTH)
    embeds = dict(zip(VIEWS, leaves(*([first, second] * 3)[: len(VIEWS)]), strict=True))
    scales = dict(zip(("mm", "ii", "tt"), leaves([20.0], [30.0], [25.0]), strict=True))
    biases = dict(zip(scales, leaves([-9.0], [-8.0], [-7.0]), strict=True))
    model = SimpleNamespace(logit_scale=scales.get, logit_bias=biases.get)
    with Traffic() as seen:
        parts = objective.loss(embeds, batch, model)
        parts["loss"].backward()
    numbers = {**parts, **{view: value.grad for view, value in embeds.items()}}
    for name, given in (("scale", scales), ("bias", biases)):
        numbers.update({f"{name} {group}": value.grad for group, value in given.items() if value.grad is not None})
    return {name: value.numpy() for name, value in numbers.items()}, seen


@pytest.mark.parametrize("entries", [200, tiles.CARD_TILE])
@pytest.mark.parametrize("absent", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("loss", ["infonce", "sigmoid"])
def test_a_card_has_the_loss_and_gradients_of_a_cpu_and_reads_nothing(card, loss, absent, entries):
    batch = batch_of(absent)
    wanted, _ = everything(loss, batch)
    card(entries)
    found, seen = everything(loss, batch)
    assert set(found) == set(wanted) and ("bias mm" in found) == (loss == "sigmoid")
    assert np.isnan(found["image-tags"]) == (absent == 1.0)
    for name, value in wanted.items():
        error = np.linalg.norm(np.nan_to_num(found[name] - value))
        assert error <= 1e-5 * np.linalg.norm(np.nan_to_num(value)), name
    assert not seen.reads
    assert seen.copies == {"to_tensor": 1}, "one table of labels goes up"


@pytest.mark.parametrize("how", ["loose", "saturated"])
def test_ranks_of_cards_join_their_columns(card, how):
    """Labels that are tensors, over three ranks: the loss relative to itself, of which fp32 logits leave 1e-5."""
    x, y = features(how, SIZE, WIDTH)
    images = np.arange(SIZE) % 26
    arrays = labels(images, present={"caption": np.arange(SIZE) != 4})
    wanted = found_by(x, y, 20.0, arrays, [SIZE])
    card(64)
    texts, present = (
        {view: paddle.to_tensor(each[view]) for view in each} for each in (arrays.text_ids, arrays.present)
    )
    tensors = positives.Labels(paddle.to_tensor(images), texts, present, paddle.to_tensor(arrays.place))
    found = found_by(x, y, 20.0, tensors, [14, 10, 6])
    for name in ("loss", "x", "y", "scale"):
        assert np.linalg.norm(found[name] - wanted[name]) <= 1e-5 * np.linalg.norm(wanted[name]), name


def peak(loss, size, entries, monkeypatch):
    """MiB that two passes over `size` samples of width 8 take beyond what they are given."""
    monkeypatch.setattr(tiles, "CPU_TILE", entries)
    x, y = leaves(*(np.random.default_rng(side).standard_normal((size, 8)) / 3 for side in (0, 1)))
    scale, bias = leaves([10.0], [-5.0])
    whole, device = labels(np.arange(size)), current_device()
    before = device.tensors().now
    device.forget_most()
    comparison = Comparison(whole, whole, "image", "caption", "by_id")
    if loss == "sigmoid":
        value = sigmoid_loss(comparison, x, y, scale, bias)
    else:
        value = info_nce([(comparison, x, y, scale)], *shares([size]))[0]
    value.backward()
    return device.tensors().most - before


@pytest.mark.parametrize("loss", ["infonce", "sigmoid"])
def test_memory_is_that_of_a_tile_and_of_rows(monkeypatch, loss):
    """Twice the samples are four times the logits, of which nothing is kept: the peak grows by what a sample has, sums
    in float64 and gradients, and otherwise with the tile."""
    tile, larger, sample = 1 << 12, 1 << 18, 800 / MIB
    peaks = [peak(loss, size, tile, monkeypatch) for size in (512, 1024, 2048)]
    assert peaks[1] - peaks[0] < 512 * sample and peaks[2] - peaks[1] < 1024 * sample
    assert peaks[1] < peak(loss, 1024, larger, monkeypatch) < peaks[1] + 16 * 8 * larger / MIB
