"""What the figures of the systems allow to say, in sentences for somebody who has to choose one."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ...pages.markdown import filled
from ..runs.spread import side, span, spread
from .comparison import (
    BASE,
    CONTROL,
    METRICS,
    NAMES,
    QUEUE,
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
from .tables import Towers, baselines, starts


def verdict(towers: Towers, results: Results, costs: Mapping[str, Any]) -> str:
    """The choice, a paragraph a task, what the extra time buys, and BriVL's queue."""
    lines = [
        choice(results, costs),
        *(of_task(towers, results, costs, key) for key in TASKS),
        *(price(results, costs, name) for name in NAMES if name != BASE),
        queue(results),
    ]
    return "\n".join(filled(line, "- ", "  ") for line in lines)


def several_seeds(results: Results) -> bool:
    """Whether there is a spread at all."""
    return len({row["seed"] for row in results}) > 1


def called(name: str) -> str:
    """A system in a sentence, quoted where its name has a comma."""
    return f'"{NAMES[name]}"' if "," in NAMES[name] else NAMES[name]


def listed(names: Sequence[str]) -> str:
    """Names for a sentence."""
    shown = [called(name) for name in names]
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
        if len(good) == 1:
            told.append(f"at batch {batch} {listed(good)} is beaten by none beyond the spread in any task")
            continue
        cheapest = min(good, key=lambda name: costs["times"][name][str(batch)]["ratio"])
        told.append(
            f"at batch {batch} {listed(good)} are beaten by none beyond the spread in any task: the seeds cannot tell "
            f"them apart, which does not make them equal; {called(cheapest)} takes the least time of them"
        )
    return f"**To choose one**: {'; '.join(told)}."


def of_task(towers: Towers, results: Results, costs: Mapping[str, Any], key: str) -> str:
    """The best system of a task at each batch, its lead over the next, what is reached without a model, and what by
    the tower that all start from, where a task needs no other."""
    told, (baseline, floor) = [], baselines(results, costs)[key]
    for batch in batches_of(results):
        found = lead(results, batch, key)
        best, following = found.order[0], found.order[1]
        reach = "beyond the spread" if found.beyond else "which is not beyond the spread"
        if len(found.values) < 2:
            reach = "of one seed, which has no spread to compare it with"
        reached = spread(figures(results, best, batch, key).values())
        told.append(
            f"at batch {batch} {called(best)} is best with {reached}, {statistics.mean(found.values):+.2f} over "
            f"{called(following)} (95 % {span(found.values)}), {reach}; {baseline} give "
            f"{floor:.2f}{apart(results, found.order, batch, key, floor)}"
        )
        if key in starts(towers):
            tower, value = starts(towers)[key]
            told[-1] += f"; the {tower} tower at the start gives {value:.2f}"
            told[-1] += apart(results, found.order, batch, key, value)
    return f"**{TASKS[key].capitalize()}** ({METRICS[key]}): {'. '.join(part[0].upper() + part[1:] for part in told)}."


def apart(results: Results, names: Sequence[str], batch: int, key: str, floor: float) -> str:
    """The end of a sentence: which systems are above a baseline and which below it; nothing of one seed."""
    if not several_seeds(results):
        return ""
    sides = {name: side([value - floor for value in figures(results, name, batch, key).values()]) for name in names}
    found = {word: [name for name in names if sides[name] == sign] for word, sign in (("above", 1), ("below", -1))}
    told = [
        f"{listed(held)} {'is' if len(held) == 1 else 'are'} {word} it beyond the spread"
        for word, held in found.items()
        if held
    ]
    return ", " + (" and ".join(told) if told else "none is apart from it beyond the spread")


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
    """Whether BriVL's queue is worth anything beside the batch as negatives, and whether more so at the small batch."""
    told, own = [], called(QUEUE)
    for batch in batches_of(results):
        gains = differences(results, QUEUE, CONTROL, batch, "mean_recall")
        reach = {
            1: "better with the queue beyond the spread",
            -1: "worse with the queue beyond the spread",
            0: "within the spread, so neither is shown to be better",
        }[side(gains)]
        reach = reach if len(gains) > 1 else "of one seed, which cannot say which is better"
        told.append(f"{spread(gains, '+')} points at batch {batch} (95 % {span(gains)}), {reach}")
    small, large = batches_of(results)[0], batches_of(results)[-1]
    if small != large:
        found = change(results, QUEUE, CONTROL, "mean_recall", small, large)
        meaning = {
            1: f"the queue is worth more at {small} than at {large}, as a queue should be",
            -1: f"the queue is worth less at {small} than at {large}, the contrary of what a queue is for",
            0: f"it is not shown that the queue is worth more at {small} than at {large}",
        }[side(found)]
        told.append(f"from {small} to {large} that is {statistics.mean(found):+.2f} (95 % {span(found)}): {meaning}")
    return (
        f"**Does the queue matter?** Mean recall of {own} minus that of {called(CONTROL)}, seed by seed: "
        f"{'; '.join(told)}. Heads, the fixed temperature, `positives: one` and the loss of two summed directions are "
        "the same in both; the queue, with the momentum copy that fills it, is all that differs but for the rate, "
        "which each had from a search of its own."
    )
