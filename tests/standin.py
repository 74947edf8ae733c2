"""Stand-in weights for the released checkpoint: each tensor depends on its key, shape and a seed alone."""

import zlib

import numpy as np


def standin_tensor(key, shape, seed=0):
    """float32 array: LayerNorm-like scales near 1, temperatures 2.65926, everything else N(0, 0.04^2)."""
    if "temperature" in key:
        return np.full(shape, 2.65926, np.float32)
    noise = np.random.default_rng([seed, zlib.crc32(key.encode())]).standard_normal(tuple(shape), dtype=np.float32)
    if len(shape) == 1 and key.endswith(".weight"):
        return (1.0 + 0.1 * noise).astype(np.float32)
    return (0.04 * noise).astype(np.float32)


def load_standin(network, seed=0):
    """Put the stand-in weights into a network, in place."""
    for key, parameter in network.state_dict().items():
        parameter.set_value(standin_tensor(key, parameter.shape, seed))
    return network
