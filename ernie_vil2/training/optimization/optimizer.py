"""AdamW in groups over flat weights, warm-up and schedule, clipping by a norm of all ranks, state by parameter name.

The arithmetic is the kernel of Paddle's own AdamW, called once for neighbours that share rate, decay and number of
updates instead of once a parameter, always on fp32 values.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import paddle
from paddle import nn

from ...config.optimizer import OptimizerConfig
from ...config.towers import KINDS
from ...device import host_tensor
from ...errors import CheckpointError
from .gradients import Gradients
from .parameter_groups import decayed, parameter_options
from .weights import Span, Weights

SLOTS = ("moment1", "moment2", "beta1_pow", "beta2_pow")
IDLE, MASTER = "idle", "master"


def learning_rate(step: int, config: OptimizerConfig, steps: int) -> float:
    """The rate of 0-based `step`: linear from lr/warmup to lr, then as `config.schedule` says, with final_lr at the
    last step."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    if config.schedule == "constant":
        return config.lr
    progress = min((step - config.warmup) / max(steps - 1 - config.warmup, 1), 1.0)
    share = 0.5 * (1 + math.cos(math.pi * progress)) if config.schedule == "cosine" else 1 - progress
    return config.final_lr + (config.lr - config.final_lr) * share


def weight_keys(
    model: nn.Layer,
    config: OptimizerConfig,
    owner: Mapping[str, int] | None = None,
    learning: Iterable[str] | None = None,
) -> dict[str, tuple[Any, ...]]:
    """{name: (owner, side, factor of the rate, decay)} of what may learn, for `Weights`: what is equal lies together.

    learning: names of what may, by default all that has no stop_gradient now. Raises ConfigError when an entry of
    `config.groups` fits no parameter of the whole model.
    """
    named, owner = dict(model.named_parameters()), owner or {}
    kinds = [KINDS[tower.kind] for tower in model.config.towers().values()]
    options = parameter_options(list(named), config, kinds)
    if learning is None:
        learning = (name for name, value in named.items() if not value.stop_gradient)
    keys = {}
    for name in learning:
        factor, decay = options[name]
        rest = (name.partition(".")[0], factor, decay if decayed(name, named[name]) else 0.0)
        keys[name] = (owner.get(name, 0), *rest)
    return keys


class AdamW:
    """AdamW (arXiv 1711.05101) on the weights of one owner, with a state in fp32.

    The keys of the weights are those of `weight_keys`. A parameter without a gradient in a step, frozen or unused, is
    left alone: it is neither moved nor decayed, and holds no state before its first update.
    """

    def __init__(self, weights: Weights, config: OptimizerConfig, owner: int = 0) -> None:
        self.weights, self.config = weights, config
        spans = enumerate(weights.spans[: weights.learners])
        self.spans: dict[int, Span] = {number: span for number, span in spans if weights.keys[span.name][0] == owner}
        """{number: span} of what this optimizer updates; they are neighbours"""
        held = list(self.spans.values())
        self.start, end = (held[0].start, held[-1].end) if held else (0, 0)
        self.first, self.second = (paddle.zeros([end - self.start], "float32") for _ in range(2))
        self.powers = np.tile(np.float32([config.beta1, config.beta2]), (weights.learners, 1))
        """float32 [learners, 2]: beta1 and beta2 to the power of the updates, one ahead, as Paddle keeps them"""
        self.updated = np.zeros(weights.learners, bool)
        self.present: list[bool] = []
        self.runs: list[tuple[int, list[int]]] = []

    def step(self, gradients: Gradients, rate: float) -> None:
        """Update what has a gradient, at this learning rate, and the copies of the low precision."""
        if gradients.present != self.present:
            self.present = list(gradients.present)
            self.runs = self._divide(gradients)
        config, weights, values = self.config, self.weights, self.weights.values
        with paddle.no_grad():
            for place, run in self.runs:
                bucket = gradients.buckets[place]
                first, last = weights.spans[run[0]], weights.spans[run[-1]]
                _, _, factor, decay = weights.keys[first.name]
                own = first.start - self.start, last.end - self.start
                powers = [host_tensor(power) for power in self.powers[run[0]][:, None]]
                paddle._C_ops.adamw_(
                    values._slice(first.start, last.end),
                    bucket.part._slice(first.start - bucket.start, last.end - bucket.start),
                    paddle.full([1], float(np.float32(rate) * np.float32(factor)), "float32"),
                    self.first._slice(*own),
                    self.second._slice(*own),
                    None,
                    *powers,
                    None,
                    None,
                    config.beta1,
                    config.beta2,
                    config.epsilon,
                    1.0,
                    decay,
                    bool(decay),
                    False,
                    1000,
                    False,
                    True,
                    False,
                )
                self.powers[run] *= np.float32([config.beta1, config.beta2])
                self.updated[run] = True
        weights.round(weights.learning)

    def _divide(self, gradients: Gradients) -> list[tuple[int, list[int]]]:
        """[(place of a bucket, numbers of neighbouring spans in it)] with a gradient that share rate, decay, powers."""
        runs: list[tuple[int, list[int]]] = []
        for place, bucket in enumerate(gradients.buckets):
            before = None
            for number, span in zip(bucket.numbers, bucket.spans, strict=True):
                kind = None
                if number in self.spans and self.present[number]:
                    kind = (self.weights.keys[span.name], *self.powers[number].tolist())
                    if kind != before:
                        runs.append((place, []))
                    runs[-1][1].append(number)
                before = kind
        return runs

    def state(self) -> dict[str, np.ndarray]:
        """{"parameter name.slot": float32 array} of what this optimizer holds, for `load`.

        Slots are moment1, moment2, beta1_pow, beta2_pow. A parameter that was never updated has `idle` instead. Names
        are those of `model.named_parameters()`, so the state fits a model built anew, or another division over ranks
        (merge the dictionaries of all ranks).
        """
        state = {}
        first, second = self.first.numpy(), self.second.numpy()
        for number, span in self.spans.items():
            if not self.updated[number]:
                state[f"{span.name}.{IDLE}"] = np.ones(1, np.float32)
                continue
            place, shape = slice(span.start - self.start, span.stop - self.start), span.parameter.shape
            slots = first[place].reshape(shape).copy(), second[place].reshape(shape).copy()
            for slot, value in zip(SLOTS, (*slots, *self.powers[number].copy()[:, None]), strict=True):
                state[f"{span.name}.{slot}"] = value
        return state

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Put the arrays of `state` back, bit for bit; what this optimizer does not own is left where it is.

        A state of release 0.1 has a slot `master` for weights of low precision: they become the weights, whoever owns
        them. Raises CheckpointError when something is missing or has another shape.
        """
        mine = {number: span for number, span in self.spans.items() if f"{span.name}.{IDLE}" not in arrays}
        missing = [slot for span in mine.values() if (slot := missing_slot(span.name, arrays))]
        if missing:
            raise CheckpointError(
                f"the optimizer's state lacks {missing[0]} and that of {len(missing)} parameters of {len(self.spans)} "
                "in all; it is of another model or incomplete: go on from another checkpoint"
            )
        for number, span in mine.items():
            targets = [span.view(self.first, self.start), span.view(self.second, self.start)]
            for slot, target in zip(SLOTS[:2], targets, strict=True):
                target.set_value(fitting(arrays, f"{span.name}.{slot}", span.parameter.shape))
            self.powers[number] = [fitting(arrays, f"{span.name}.{slot}", [1])[0] for slot in SLOTS[2:]]
            self.updated[number] = True
        for span, view in zip(self.weights.spans, self.weights.views, strict=True):
            if f"{span.name}.{MASTER}" in arrays:
                view.set_value(fitting(arrays, f"{span.name}.{MASTER}", span.parameter.shape))
        self.present = []
        self.weights.round()


def missing_slot(name: str, arrays: Mapping[str, np.ndarray]) -> str | None:
    """The first slot of a parameter that is not among the arrays, or None."""
    return next((f"{name}.{slot}" for slot in SLOTS if f"{name}.{slot}" not in arrays), None)


def fitting(arrays: Mapping[str, np.ndarray], key: str, shape: list[int]) -> np.ndarray:
    """The array of a key in fp32; CheckpointError where it has another shape."""
    array = np.asarray(arrays[key], np.float32)
    if list(array.shape) != list(shape):
        raise CheckpointError(
            f"the optimizer's state {key} is {list(array.shape)} but this model needs {list(shape)}; "
            "go on with the configuration that it was written with"
        )
    return array


def clip_factor(norm: float, limit: float) -> float:
    """What a gradient of this global norm is multiplied with, so that its norm is at most `limit` (0: no limit).

    A norm that is not finite scales nothing.
    """
    return limit / (norm + 1e-6) if limit and limit < norm < math.inf else 1.0
