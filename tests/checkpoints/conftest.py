"""States of random bits for the checkpoint tests."""

import numpy as np
import pytest

from ernie_vil2.checkpoints import release_layout


@pytest.fixture
def random_bits():
    """Function (shape, dtype="float32", seed=0) -> array whose bits are random, so with NaN payloads and denormals."""

    def draw(shape, dtype="float32", seed=0):
        kind = np.dtype(dtype)
        raw = np.random.default_rng(seed).bytes(int(np.prod(shape)) * kind.itemsize)
        return np.frombuffer(raw, kind).reshape(shape).copy()

    return draw


@pytest.fixture
def finite_bits(random_bits):
    """As `random_bits`, of magnitude below 2: without the highest bit of the exponent; uint16 is bfloat16."""

    def draw(shape, dtype="float32", seed=0):
        bits = np.dtype(f"u{np.dtype(dtype).itemsize}")
        return (random_bits(shape, dtype, seed).view(bits) & ~bits.type(1 << 8 * bits.itemsize - 2)).view(dtype)

    return draw


@pytest.fixture
def tiny_state(tiny_config, random_bits):
    """Every tensor of `tiny_config`, of random bits."""
    shapes = release_layout.manifest(tiny_config)
    return {key: random_bits(shape, seed=index) for index, (key, shape) in enumerate(shapes.items())}


@pytest.fixture(scope="session")
def assert_same_bits():
    """Function (state, state): same keys, types, shapes and bytes."""

    def compare(found, wanted):
        assert sorted(found) == sorted(wanted)
        for key in wanted:
            left, right = found[key], wanted[key]
            assert (key, left.dtype, left.shape, left.tobytes()) == (key, right.dtype, right.shape, right.tobytes())

    return compare
