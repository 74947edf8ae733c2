"""Fifty steps against a queue, beside a plain reference that keeps its own copy of the weights and its own queue."""

import copy

import numpy as np
import paddle
import pytest

from ernie_vil2.config.run import QueueNegatives
from ernie_vil2.errors import ConfigError
from ernie_vil2.keys import random_key
from ernie_vil2.objectives.views import encode, group_of
from ernie_vil2.systems.ernie_vil2 import ErnieVil2
from ernie_vil2.training.rig import build
from tests.gpu.steps import run_config, scene_batch

MOMENTUM, SIZE, BATCH, STEPS = 0.9, 19, 8, 50
TOWER = {"width": 32, "depth": 1}
PAIRS = [["image", "caption"], ["image", "tags", 0.5], ["caption", "caption'", 2.0]]


class Reference:
    """MoCo in plain loops: weights of the copy in fp64 by name, a queue as a list of samples."""

    def __init__(self, model, config):
        self.config, self.rule = config, config.objective.positives
        self.copy = copy.deepcopy(model)
        self.weights = {name: value.numpy().astype(np.float64) for name, value in model.named_parameters()}
        self.queue = []

    def follow(self, model):
        named = dict(self.copy.named_parameters())
        for name, value in model.named_parameters():
            self.weights[name] = MOMENTUM * self.weights[name] + (1 - MOMENTUM) * value.numpy().astype(np.float64)
            named[name].set_value(self.weights[name].astype(np.float32))

    def step(self, model, batch, number, start):
        """The loss with its graph; keys join the queue. start: {view: columns [SIZE, D]} that no key has replaced."""
        seed = self.config.seed
        queries = encode(model, batch, seed, number)
        self.follow(model)
        with paddle.no_grad():
            encoded = encode(self.copy, batch, random_key(seed, "keys"), number)
            keys = {view: value.numpy() for view, value in encoded.items()}
        total = sum(pair[2] for pair in self.config.objective.weighted_pairs())
        loss = 0.0
        for first, second, weight in self.config.objective.weighted_pairs():
            rows = [i for i in range(len(batch)) if all(batch.present.get(v, [True] * 99)[i] for v in (first, second))]
            ways = [
                self.one_way(queries[a], keys[b], model.logit_scale(group_of(a, b)), batch, (a, b), rows, start)
                for a, b in ((first, second), (second, first))
            ]
            loss = loss + weight / total * (ways[0] + ways[1]) / 2
        ids = {"image": batch.image_ids, **batch.text_ids}
        for i in range(len(batch)):
            sample = {"ids": {view: values[i] for view, values in ids.items()}, "there": dict.fromkeys(keys, True)}
            sample["there"].update({view: bool(flags[i]) for view, flags in batch.present.items()})
            self.queue.append({**sample, "keys": {view: values[i] for view, values in keys.items()}})
        return loss

    def one_way(self, queries, keys, scale, batch, views, rows, start):
        losses = []
        held = self.queue[-SIZE:]
        free = [slot for slot in range(SIZE) if slot >= len(self.queue)]
        for i in rows:
            columns = [keys[i]]
            for sample in held:
                if sample["there"][views[1]] and not self.same(batch, i, sample, views):
                    columns.append(sample["keys"][views[1]])
            columns += [start[views[1]][slot] for slot in free]
            logits = paddle.matmul(paddle.to_tensor(np.stack(columns)), queries[i]) * scale
            losses.append(paddle.logsumexp(logits) - logits[0])
        return sum(losses) / len(losses)

    def same(self, batch, i, sample, views):
        if self.rule == "one":
            return False
        texts = [view for view in views if view in batch.text_ids]
        own = {view: batch.text_ids[view][i] for view in texts}
        crossed = len(texts) == 2 and own[views[0]] == sample["ids"][views[1]]
        equal = any(own[view] == sample["ids"][view] for view in texts)
        return batch.image_ids[i] == sample["ids"]["image"] or equal or crossed


def rig_of(folder, rule, **objective):
    config = run_config(folder, TOWER, 0.1, 2e-3, batch_size=BATCH)
    config.objective.pairs, config.objective.positives = PAIRS, rule
    config.objective.negatives = QueueNegatives(size=SIZE, momentum=MOMENTUM)
    for name, value in objective.items():
        setattr(config.objective, name, value)
    return build(config)


def recorded(rig):
    """{name: gradient} that the optimizer was given in the last step."""
    found, step = {}, rig.optimizer.step

    def recording(gradients, rate):
        found.clear()
        found.update({name: value.numpy().copy() for name, value in gradients.named().items()})
        step(gradients, rate)

    rig.optimizer.step = recording
    return found


@pytest.mark.parametrize("rule, temperature", [("by_id", None), ("one", 0.07)])
def test_fifty_steps_are_those_of_a_plain_reference(tmp_path, rule, temperature):
    rig = rig_of(tmp_path, rule, temperature=temperature)
    reference, queue = Reference(rig.model, rig.config), rig.system.objective.queue
    config = copy.deepcopy(rig.config)
    config.train.batch_size = 3 * BATCH
    every = scene_batch(config)  # batches overlap, so that images and texts come again
    start, rng, met, found = None, np.random.default_rng(0), 0, recorded(rig)
    for number in range(STEPS):
        first = int(rng.integers(0, 2 * BATCH))
        batch = every.rows(slice(first, first + BATCH))
        batch.present["tags"] = batch.present["tags"] & (np.arange(BATCH) != number % 3)
        if start is None:
            probe = copy.deepcopy(queue)
            probe.take({view: paddle.zeros([1, 32]) for view in rig.system.views})
            start = {view: value.numpy() for view, value in probe.embeds.items()}
        wanted = reference.step(rig.model, batch, number, start)
        if number in (0, 20):
            wanted.backward()
            named = dict(rig.model.named_parameters())
            plain = {name: value.grad.numpy().copy() for name, value in named.items() if value.grad is not None}
            rig.model.clear_gradients()
        values = rig.step(batch, number)
        assert values["loss"] == pytest.approx(wanted.item(), rel=2e-5)
        if number in (0, 20):
            largest = max(np.linalg.norm(value) for value in plain.values())
            assert len(plain) > 20 and ("contrastive_loss_mm.temperature_b" in plain) == (temperature is None)
            for name, value in plain.items():
                assert np.linalg.norm(found[name] - value) <= 1e-4 * np.linalg.norm(value) + 1e-6 * largest, name
        copied = dict(rig.momentum.system.model.named_parameters())
        wrong = {
            name: np.abs(copied[name].numpy() - value).max()
            for name, value in reference.weights.items()
            if not np.allclose(copied[name].numpy(), value, rtol=1e-5, atol=1e-6)
        }
        assert not wrong
        for age, sample in enumerate(reference.queue[::-1][:SIZE]):
            slot = (queue.place - 1 - age) % SIZE
            assert queue.labels.image_ids[slot] == sample["ids"]["image"]
            for view, key in sample["keys"].items():
                np.testing.assert_allclose(queue.embeds[view].numpy()[slot], key, atol=2e-5)
        earlier = {sample["ids"]["image"] for sample in reference.queue[:-BATCH][-SIZE:]}
        met += len(earlier & set(batch.image_ids.tolist()))
    rig.close()
    assert met > 50 and len(reference.queue) == STEPS * BATCH
    if temperature is not None:
        assert rig.model.logit_scale("mm").item() == pytest.approx(1 / temperature, rel=1e-6)


def test_without_momentum_the_copy_is_the_model(tmp_path):
    rig = rig_of(tmp_path, "by_id", negatives=QueueNegatives(size=SIZE, momentum=0.0))
    batch = scene_batch(rig.config)
    for number in range(3):
        before = rig.weights.values.numpy().copy()
        rig.step(batch, number)
        assert np.array_equal(rig.momentum.weights.values.numpy(), before)
    assert not np.array_equal(rig.weights.values.numpy(), before)
    rig.close()


def test_a_loss_that_gathers_no_keys_is_told(tmp_path):
    rig = rig_of(tmp_path, "by_id")
    rig.system.objective.queue.gather = lambda samples, share: None
    with pytest.raises(ConfigError, match="gathers no keys"):
        rig.step(scene_batch(rig.config), 0)
    rig.close()


def test_a_system_whose_objective_has_no_queue_is_refused(tmp_path, monkeypatch):
    original = ErnieVil2.objective_of.__func__

    def without(cls, config):
        objective = original(cls, config)
        objective.queue = None
        return objective

    monkeypatch.setattr(ErnieVil2, "objective_of", classmethod(without))
    with pytest.raises(ConfigError, match="the objective of the system ernie_vil2 has none"):
        rig_of(tmp_path, "by_id")
