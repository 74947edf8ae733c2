"""The figures of a comparison as tables for a terminal."""

import math
import statistics

from ....runtime import cpu_count
from ..turns.tables import NONE, aligned, figure, scaled
from .measurements import PROJECT, TORCH, Comparison, Spread

MILLI = 1e3


def tables(found: Comparison) -> str:
    """Speeds, the parts of a step, and what could not be measured."""
    names = [name for name, side in found.sides.items() if side.turns]
    rest = [f"{name}: {side.how}" for name, side in found.sides.items() if side.how]
    rest += [f"{name}: not measured: {side.refused}" for name, side in found.sides.items() if side.refused]
    blocks = [head(found), speeds(found, names), parts(found, names), "\n".join(rest + peak(found))]
    return "\n\n".join(filter(None, blocks))


def head(found: Comparison) -> str:
    """What a step is."""
    work, turns = found.work, found.sides[PROJECT].turns
    return (
        f"{work.batch} pairs a step in {work.config.train.precision} on {cpu_count()} cores, noise as "
        f"{', '.join(work.views)}; texts of {work.length} tokens; turns: {len(turns)}, steps of each: {len(turns[0])}"
    )


def speeds(found: Comparison, names: list[str]) -> str:
    """Pairs a second, times as fast as torch, with the least and the most of the turns, and operations."""
    rows = []
    for name in names:
        operations = figure(scaled(found.speed(name), 1e3), "{:,.0f}"), figure(found.share(name), "{:.1%}")
        rates, ratios = found.rate(name), found.ratio(name, TORCH)
        rows.append([name, *spread_figures(rates), *spread_figures(ratios), *operations])
    return aligned(["a second", "pairs", "least", "most", "x torch", "least", "most", "GFLOP/s", "of peak"], rows)


def spread_figures(found: Spread | None) -> list[str]:
    """Median, least and most."""
    return [NONE] * 3 if found is None else list(map(three_digits, (found.median, found.least, found.most)))


def three_digits(value: float) -> str:
    """A number above 0 with three digits that count, or all those before the point."""
    return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}"


def parts(found: Comparison, names: list[str]) -> str:
    """Milliseconds of a step by part, medians of the turns."""
    kinds = list(dict.fromkeys(part for name in names for part in found.parts(name)))
    rows = []
    for part in (*kinds, "step"):
        row = [part]
        for name in names:
            there = part == "step" or part in found.parts(name)
            value = statistics.median(found.seconds(name, part)) if there else None
            row.append(figure(scaled(value, MILLI), "{:,.1f}"))
        rows.append(row)
    return aligned(["ms of a step", *names], rows)


def peak(found: Comparison) -> list[str]:
    """What the peak was, or why it was not measured."""
    if found.operations is None:
        return ["Operations are counted for the system ernie_vil2 with towers of kind vit and ernie alone."]
    if found.without_peak:
        return [f"The matrix peak was not measured: {found.without_peak}"]
    return [f"Matrix peak, GFLOP/s: {statistics.median(found.peaks) / 1e9:,.0f}."] if found.peaks else []
