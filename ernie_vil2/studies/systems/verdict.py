"""What the figures of the systems allow to say, in sentences for somebody who has to choose one."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ...pages.markdown import filled
from ..runs.spread import side, span, spread
from .comparison import (
    BASE,
    METRICS,
    NAMES,
    TASKS,
    Results,
    batches_of,
    change,
    differences,
    figures,
    lead,
    systems_of,
    worse,
)
from .tables import baselines

QUEUE = "brivl"


def verdict(results: Results, costs: Mapping[str, Any]) -> str:
    """The choice, a paragraph a task, what the extra time buys, and BriVL's queue."""
    lines = [
        choice(results, costs),
        *(of_task(results, costs, key) for key in TASKS),
        *(price(results, costs, name) for name in NAMES if name != BASE),
        *([queue(results)] if len(batches_of(results)) > 1 else []),
    ]
    return "\n".join(filled(line, "- ", "  ") for line in lines)


def several_seeds(results: Results) -> bool:
    """Whether there is a spread at all."""
    return len({row["seed"] for row in results}) > 1


def listed(names: Sequence[str]) -> str:
    """Names for a sentence."""
    shown = [NAMES[name] for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def choice(results: Results, costs: Mapping[str, Any]) -> str:
    """Which system loses nothing, and which of them takes the least time."""
    if not several_seeds(results):
        return "**To choose one**: one seed cannot say which system is better."
    told = []
    for batch in batches_of(results):
        good = [
            name for name in systems_of(results, batch) if not any(worse(results, name, batch, key) for key in TASKS)
        ]
        if not good:
            told.append(
                f"at batch {batch} every system is beaten beyond the spread in some task, so choose by the task"
            )
            continue
        cheapest = min(good, key=lambda name: costs["times"][name][str(batch)]["ratio"])
        told.append(
            f"at batch {batch} {listed(good)} {'is' if len(good) == 1 else 'are'} beaten by none beyond the spread in "
            "any of the three tasks"
            + (f", and {NAMES[cheapest]} takes the least time of them" if len(good) > 1 else "")
        )
    return f"**To choose one**: {'; '.join(told)}."


def of_task(results: Results, costs: Mapping[str, Any], key: str) -> str:
    """The best system of a task at each batch, its lead over the next, and what is reached without a model."""
    told, (baseline, floor) = [], baselines(results, costs)[key]
    for batch in batches_of(results):
        found = lead(results, batch, key)
        best, following = found.order[0], found.order[1]
        reach = "beyond the spread" if found.beyond else "which is not beyond the spread"
        if len(found.values) < 2:
            reach = "of one seed, which has no spread to compare it with"
        reached = spread(figures(results, best, batch, key).values())
        above = [
            name
            for name in found.order
            if side([value - floor for value in figures(results, name, batch, key).values()]) > 0
        ]
        over = "none is above it beyond the spread" if not above else f"{listed(above)} above it"
        told.append(
            f"at batch {batch} {NAMES[best]} is best with {reached}, {statistics.mean(found.values):+.2f} over "
            f"{NAMES[following]} (95 % {span(found.values)}), {reach}; {baseline} give "
            f"{floor:.2f}, {over}"
        )
    return f"**{TASKS[key].capitalize()}** ({METRICS[key]}): {'. '.join(part[0].upper() + part[1:] for part in told)}."


def price(results: Results, costs: Mapping[str, Any], name: str) -> str:
    """What a system takes over CLIP in time, and what it gives for it."""
    told = []
    for batch in batches_of(results):
        gains = []
        for key, task in TASKS.items():
            changes = differences(results, name, BASE, batch, key)
            reach = {1: "better", -1: "worse", 0: "within the spread"}[side(changes)]
            reach = reach if len(changes) > 1 else "one seed"
            gains.append(f"{task} {statistics.mean(changes):+.2f} ({reach})")
        ratio = costs["times"][name][str(batch)]["ratio"]
        told.append(f"at batch {batch} {ratio:.2f} times the time of a step, for {', '.join(gains)}")
    return f"**{NAMES[name]} against CLIP**: {'; '.join(told)}."


def queue(results: Results) -> str:
    """Whether BriVL stands better against CLIP where the batch is small, as its queue should make it."""
    small, large = batches_of(results)[0], batches_of(results)[-1]
    gains = [differences(results, QUEUE, BASE, batch, "mean_recall") for batch in (small, large)]
    found = change(results, QUEUE, "mean_recall", small, large)
    meaning = {
        1: f"it stands better at {small} than at {large}, as a queue should make it",
        -1: f"it stands worse at {small} than at {large}, the contrary of what a queue is for",
        0: f"that is not beyond the spread, so it is not shown that the queue matters more at {small} than at {large}",
    }[side(found)]
    return (
        f"**Does the queue matter?** BriVL's mean recall against CLIP's is {spread(gains[0], '+')} at batch {small} "
        f"and {spread(gains[1], '+')} at {large}; the difference of the two is {statistics.mean(found):+.2f} (95 % "
        f"{span(found)}): {meaning}. BriVL differs from CLIP in its heads and its fixed temperature too; only what "
        "acts alike at both batches drops out of that difference."
    )
