"""The host's part of a step of the sizes that are projected to many cards, for a few numbers of micro-batches."""

import copy
import platform
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...config.run import DataConfig, ObjectiveConfig, RunConfig
from ...runtime import cpu_count
from ..scaling.rank_traffic import PAIRS
from ..scaling.view_costs import SIZES
from .host import measure, narrow

MICRO_BATCHES = (1, 2, 4)
"""One is a step without the gradient cache; a line through the others tells what one more costs"""
PAIRS_AT_ONCE, STEPS = 4, 5


def measure_hosts(say: Callable[[str], object] = lambda line: None, steps: int = STEPS) -> dict[str, Any]:
    """JSON-able, for each of SIZES: `milliseconds` of a step for each of MICRO_BATCHES, with the branches of a card,
    and counts of the first; and on what it was measured, `call`: microseconds of a small call there."""
    found = {"machine": f"{platform.machine()}, {cpu_count()} cores"}
    calls = []
    for size in SIZES:
        times, first = {}, None
        for count in MICRO_BATCHES:
            say(f"measuring the host of {size}, {count} micro-batches ...")
            each = measure(narrow(run_of(size), PAIRS_AT_ONCE, count), steps, card=True)
            times[str(count)], first = each["milliseconds"]["step"], first or each
            calls.append(each["call"])
        kept = ("reads", "copies", "copied", "numbers", "parameters")
        found[size] = {"milliseconds": times, **{name: first[name] for name in kept}}
    return {**found, "call": min(calls)}


def run_of(size: str) -> RunConfig:
    """A run of the projected step: all its pairs of views, with the dropout and stochastic depth of the recipes."""
    model = copy.deepcopy(SIZES[size])
    model.image_tower = replace(model.image_tower, drop_path=0.1)
    objective = ObjectiveConfig(pairs=[[*pair, 1.0] for pair in PAIRS])
    return RunConfig(model=model, objective=objective, data=DataConfig(train="noise"))
