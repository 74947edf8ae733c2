"""Gradients and optimizer steps of a bare model, as the rig takes them."""

import math

from ernie_vil2.training.distributed import GradientSync
from ernie_vil2.training.optimization.gradients import Gradients
from ernie_vil2.training.optimization.optimizer import AdamW, clip_factor, learning_rate, weight_keys
from ernie_vil2.training.optimization.weights import Weights


def summed_gradients(model, ranks):
    """{name: array} of what the parameters hold, summed over ranks."""
    gradients = Gradients(Weights(model))
    gradients.collect()
    GradientSync(gradients, ranks).reduce()
    return {name: value.numpy().copy() for name, value in gradients.named().items()}


class Updates:
    """`step()` takes the gradients that the parameters hold; owner: {name: rank}, of which `rank` is this one."""

    def __init__(self, model, config, steps, learning=None, owner=None, rank=0):
        self.config, self.steps, self.done = config, steps, 0
        self.weights = Weights(model, weight_keys(model, config, owner, learning))
        self.gradients = Gradients(self.weights, owner)
        self.optimizer = AdamW(self.weights, config, rank)

    def step(self, clip=0.0):
        """One step; returns the norm of the gradient."""
        self.gradients.collect()
        norm = math.sqrt(self.gradients.squared_norm().item())
        self.gradients.scale(clip_factor(norm, clip))
        self.optimizer.step(self.gradients, learning_rate(self.done, self.config, self.steps))
        self.gradients.clear()
        self.done += 1
        return norm
