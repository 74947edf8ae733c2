"""Activations with their slopes, for pieces of float32 values: an object has the space that a piece needs beside it."""

import math

import numpy as np
import paddle

from .arrays import array_of


class QuickGelu:
    """x sigmoid(1.702 x), and its slope."""

    def __init__(self) -> None:
        self.space = np.empty(0, np.float32)

    def __call__(self, x: np.ndarray, slope: np.ndarray) -> None:
        if self.space.size < x.size:
            self.space = np.empty(x.size, np.float32)
        gate = self.space[: x.size].reshape(x.shape)
        np.multiply(x, 0.851, out=gate)
        np.tanh(gate, out=gate)  # sigmoid(z) = (1 + tanh(z / 2)) / 2: without a division
        np.multiply(gate, 0.5, out=gate)
        np.add(gate, 0.5, out=gate)
        np.subtract(1.0, gate, out=slope)
        np.multiply(slope, x, out=slope)
        np.multiply(slope, 1.702, out=slope)
        np.add(slope, 1.0, out=slope)
        np.multiply(slope, gate, out=slope)
        np.multiply(x, gate, out=x)


class Gelu:
    """x times the normal distribution's share below x (the exact GELU), and its slope; NumPy has no error function."""

    def __init__(self) -> None:
        self.tensor = paddle.zeros([0], "float32")

    def __call__(self, x: np.ndarray, slope: np.ndarray) -> None:
        if self.tensor.shape[0] != x.size:
            self.tensor = paddle.empty([x.size], "float32")
        share = array_of(self.tensor).reshape(x.shape)
        np.multiply(x, math.sqrt(0.5), out=share)
        paddle.erf_(self.tensor)
        np.multiply(share, 0.5, out=share)
        np.add(share, 0.5, out=share)
        np.multiply(x, x, out=slope)
        np.multiply(slope, -0.5, out=slope)
        np.exp(slope, out=slope)
        np.multiply(slope, 1.0 / math.sqrt(2.0 * math.pi), out=slope)
        np.multiply(slope, x, out=slope)
        np.add(slope, share, out=slope)
        np.multiply(x, share, out=x)


ACTIVATED = {"quick_gelu": QuickGelu, "gelu": Gelu}
"""{activation: what makes it}; others are cheap by themselves"""
