"""Randomness by key: it depends on (seed, epoch, sample or step, purpose), never on a global generator's state."""

import hashlib

import numpy as np


def stable_hash(*parts: object) -> int:
    """64 bits of a hash of the parts' text, the same on every machine, as a signed integer."""
    data = "\x1f".join(str(part) for part in parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little", signed=True)


def random_key(*parts: object) -> int:
    """A seed in [0, 2^31) for a generator that takes one integer."""
    return stable_hash(*parts) & 0x7FFFFFFF


def generator(*parts: object) -> np.random.Generator:
    """A NumPy generator of its own for the key."""
    return np.random.default_rng(stable_hash(*parts) & 0xFFFFFFFFFFFFFFFF)
