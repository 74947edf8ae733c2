"""The kinds of cases: what makes the example of a number, and the targets that take it."""

import importlib
import random
from collections.abc import Iterable
from types import ModuleType

from ernie_vil2.runtime import import_paddle
from tests.fuzz.example import Example
from tests.fuzz.judge import Target

KINDS = ("images", "weights", "sources", "configurations", "runs", "evaluations", "commands")

WITH_PADDLE = ("runs", "evaluations", "commands")


def module(kind: str) -> ModuleType:
    """What a kind is made of; imported when it is needed, since some import Paddle."""
    if kind in WITH_PADDLE:
        import_paddle()
    return importlib.import_module(f"tests.fuzz.{kind}")


def targets(kinds: Iterable[str] = KINDS) -> dict[str, Target]:
    """{name: target} of kinds."""
    return {name: target for kind in kinds for name, target in module(kind).TARGETS.items()}


def make(kind: str, seed: int, number: int) -> Example:
    """The example of a case, which depends on nothing else."""
    return module(kind).make(random.Random(f"{kind} {seed} {number}"))


def prepare(kinds: Iterable[str]) -> None:
    """Import and make what all cases have in common, so that processes forked from this one need not."""
    for kind in kinds:
        for number in range(30):
            make(kind, -1, number)
