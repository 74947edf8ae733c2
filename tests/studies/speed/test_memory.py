"""A large batch through the gradient cache needs little more memory than one of its micro-batches."""

import json

import pytest

from ernie_vil2.config.load import load_run
from ernie_vil2.device import Device, Memory
from ernie_vil2.models.region_encoder import RegionEncoder
from ernie_vil2.studies.speed import memory
from ernie_vil2.studies.speed.training.steps import throughput
from tests.systems.brivl_tiny import tiny_model

OVERRIDES = ["data.train=none", "train.precision=fp32", "objective.pairs=[[image, caption]]", "model.max_length=24"]


def config(*overrides):
    return load_run("configs/ernie_vil2_base_vit_zh.yaml", [*OVERRIDES, *overrides])


@pytest.mark.slow
def test_forty_micro_batches_at_224_pixels_peak_below_one_and_a_half_of_one():
    tower = "{depth: 4, width: 384, heads: 6}"
    small = "{depth: 2, width: 384, heads: 6, vocab_size: 2000}"
    found = memory.compare(config(f"model.image_tower={tower}", f"model.text_tower={small}"), 640, 16)
    assert found["small"] > 300 and found["ratio"] < 1.5


def test_a_step_is_measured_and_a_larger_micro_batch_needs_more():
    sizes = "{depth: 1, width: 64, heads: 1, image_size: 64}", "{depth: 1, width: 64, heads: 1, vocab_size: 500}"
    small = config(f"model.image_tower={sizes[0]}", f"model.text_tower={sizes[1]}", "model.pixels={size: 64}")
    found = memory.compare(small, 512, 8)
    assert 0 < found["small"] < found["large"] and found["ratio"] == found["large"] / found["small"]


def test_a_model_with_boxes_is_measured_with_all_of_them(monkeypatch):
    """Its operations are not counted, so the speed is all that is told."""
    model, seen = tiny_model({"text_tower": {"vocab_size": 50}}), []
    encode = RegionEncoder.encode_image
    monkeypatch.setattr(RegionEncoder, "encode_image", lambda *given: (seen.append(given[2:]), encode(*given))[1])
    run = config(f"model={json.dumps(model)}", "objective.pairs=[[image, caption]]")
    assert set(throughput(run, batch=3, steps=1)) == {"pairs_per_second"}
    (boxes, counts), *_ = seen
    assert boxes.shape == [3, 5, 4] and counts.tolist() == [5, 5, 5]
    assert boxes[:, -1].tolist() == [[0, 0, 64, 64]] * 3 and (boxes[:, :, 2:] >= boxes[:, :, :2]).all()


class Card(Device):
    """Tensors of 100 MiB while loading, of 30 MiB after it, of 70 MiB in a step, which is seen by who waits for it."""

    waited, most = 0, 100.0

    def synchronise(self):
        Card.waited += 1

    def forget_most(self):
        Card.most = 0.0

    def tensors(self):
        return Memory(30.0, max(self.most, 70.0 if self.waited > 1 else 30.0))


def test_on_a_card_the_peak_is_that_of_the_step_once_it_is_done(monkeypatch):
    monkeypatch.setattr(memory, "current_device", lambda: Card("gpu"))
    sizes = "{depth: 1, width: 64, heads: 1, image_size: 64}", "{depth: 1, width: 64, heads: 1, vocab_size: 500}"
    small = config(f"model.image_tower={sizes[0]}", f"model.text_tower={sizes[1]}", "model.pixels={size: 64}")
    assert memory.step_peak(small, 8, 8) == 40.0
