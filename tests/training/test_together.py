"""Groups, stages, low-rank updates, the average, dropout and patch dropout in one run: stopped and continued, it is the
same run, bit for bit."""

import numpy as np
import paddle
import pytest

from ernie_vil2.config.optimizer import OptimizerConfig
from ernie_vil2.config.run import LoraConfig
from ernie_vil2.keys import random_key
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.models.lora import add_lora, merged_state
from ernie_vil2.training.optimization.ema import Ema
from ernie_vil2.training.optimization.freeze import Freezer
from tests.training.updates import Updates

STEPS, STOP = 8, 3
RULES = {
    "groups": [{"match": r"text_model\..*", "lr": 0.5, "weight_decay": 0.1}],
    "freeze": [{"match": r"visual\..*", "until": 5}, {"match": r"text_model\.pooler\..*"}],
}


class Run:
    """A run on made-up batches."""

    def __init__(self, config, lora):
        self.model = new_model(config, seed=1)
        add_lora(self.model, LoraConfig(rank=2, towers=("text",)) if lora else LoraConfig())
        settings = OptimizerConfig(lr=1e-2, warmup=2, layer_decay=0.8, clip=0.5, **RULES)
        self.freezer = Freezer(self.model, settings.freeze)
        self.updates = Updates(self.model, settings, STEPS, self.freezer.learning_ever())
        self.ema = Ema(self.updates.weights, 0.9)
        self.model.train()

    def steps(self, numbers):
        for step in numbers:
            self.freezer.apply(step)
            rng = np.random.default_rng(step)
            paddle.seed(random_key(0, step, "dropout"))
            pixels = paddle.to_tensor(rng.normal(size=(4, 3, 32, 32)).astype(np.float32))
            image, text = self.model(pixels, paddle.to_tensor(rng.integers(1, 60, (4, 8))))
            logits = paddle.matmul(image, text, transpose_y=True) * self.model.logit_scale() * 0.01
            paddle.nn.functional.cross_entropy(logits, paddle.arange(4)).backward()
            assert np.isfinite(self.updates.step(clip=0.5))
            self.model.clamp_temperatures()
            self.ema.update()

    def state(self):
        with self.ema.applied():
            averaged = merged_state(self.model)
        return {name: value.numpy().copy() for name, value in self.model.named_parameters()}, averaged


@pytest.mark.parametrize("lora", [False, True])
def test_a_stopped_run_continues_exactly(tiny_config, lora):
    tiny_config.image_tower.patch_dropout, tiny_config.text_tower.dropout = 0.5, 0.1
    straight, stopped = Run(tiny_config, lora), Run(tiny_config, lora)
    start, _ = straight.state()
    straight.steps(range(STEPS))
    stopped.steps(range(STOP))
    weights, state, average = stopped.state()[0], stopped.updates.optimizer.state(), stopped.ema.state()
    resumed = Run(tiny_config, lora)
    resumed.model.set_state_dict(weights)
    resumed.updates.optimizer.load(state)
    resumed.updates.done = STOP
    resumed.ema.load(average)
    resumed.steps(range(STOP, STEPS))
    (one, one_average), (two, two_average) = straight.state(), resumed.state()
    assert not [name for name in one if not np.array_equal(one[name], two[name])]
    assert not [name for name in one_average if not np.array_equal(one_average[name], two_average[name])]
    still = {name for name in one if np.array_equal(one[name], start[name])}
    assert {name for name in one if name.startswith("text_model.pooler")} <= still
    assert "visual.blocks.0.attn.qkv.weight" not in still
    assert ("text_model.encoder_stack.block.0.attn.q.weight" in still) == lora
