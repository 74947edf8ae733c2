"""The kinds of cases: what makes the example of a number, and the targets that take it."""

import random

from tests.fuzz import images, sources, weights
from tests.fuzz.example import Example
from tests.fuzz.judge import Target

KINDS = {"images": images, "sources": sources, "weights": weights}
TARGETS: dict[str, Target] = {name: target for kind in KINDS.values() for name, target in kind.TARGETS.items()}


def make(kind: str, seed: int, number: int) -> Example:
    """The example of a case, which depends on nothing else."""
    return KINDS[kind].make(random.Random(f"{kind} {seed} {number}"))
