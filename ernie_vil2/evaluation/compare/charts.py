"""Charts of a comparison, as SVG figures for a page that has the style: recall over K, and scores of pairs."""

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

import numpy as np

from ...pages.charts import BOTTOM, COLOUR_COUNT, DASHES, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Curve, area, look, ticks
from ..metrics.thresholds import STEPS

Place = Callable[[float], float]
"""Function from a value to its place on the plot"""
K_TICKS = (1, 2, 5, 10, 20, 50, 100)
MARKS = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z",
    "M-4-4h8v8h-8Z",
    "M0-5L5 4H-5Z",
    "M0-5.5L5.5 0L0 5.5L-5.5 0Z",
    "M0 5L5-4H-5Z",
    "M-4.5 0L-6-4H6L4.5 0L6 4H-6Z",
    "M-2-5H2V-2H5V2H2V5H-2V2H-5V-2H-2Z",
)
MOST_BARS = 70
MOST_TICKS = 9
GAPS = (1, 2, 5, 10, 20, 50, 100, 200, 250)
BAR_STEPS = (1, 2, 5, 10, 20, 50, 100)


def recall_figure(
    title: str, curves: Sequence[tuple[str, Sequence[float]]], published: Sequence[tuple[str, dict[int, float]]]
) -> str:
    """Recall at K, K on a logarithmic scale.

    curves: (name, [recall at 1, 2, ...] in percent) of our runs, drawn as lines. published: (name, {K: recall}), drawn
    as marks.
    """
    last = max([len(values) for _, values in curves] + [k for _, known in published for k in known])
    last = max(last, 2)
    worst = min([min(values) for _, values in curves] + [value for _, known in published for value in known.values()])
    levels = ticks(10 * math.floor(min(worst, 90) / 10) if worst >= 20 else 0, 100, least=2)
    across, up = scale(0.0, math.log(last), math.log), scale_up(levels[0], 100.0)
    marks = frame(
        title,
        "recall, %",
        [(level, f"{level:g}") for level in levels],
        [(k, str(k)) for k in K_TICKS if k <= last],
        "K",
        across,
        up,
    )
    legend = []
    for index, (name, values) in enumerate(curves):
        style = Curve(name, [], 1 + index % (COLOUR_COUNT - 1), index // (COLOUR_COUNT - 1) % len(DASHES))
        points = "L".join(f"{across(k):.1f} {up(value):.1f}" for k, value in enumerate(values, 1))
        single = f"h.1M{points}" if len(values) == 1 else ""
        marks.append(f'<path {look(style)} d="M{points}{single}"><title>{escape(name)}</title></path>')
        legend.append(entry(f'<path {look(style)} d="M0 6H34"/>', name))
    for index, (name, known) in enumerate(published):
        # 7 shapes and 6 colours have no common factor: 42 models have marks of their own
        shape, colour = MARKS[index % len(MARKS)], 1 + index % (COLOUR_COUNT - 1)
        for k, value in known.items():
            told = escape(f"{name}, R@{k}: {value:g}")
            marks.append(
                f'<path class="dot c{colour}" transform="translate({across(k):.1f} {up(value):.1f})" '
                f'd="{shape}"><title>{told}</title></path>'
            )
        legend.append(entry(f'<path class="dot c{colour}" transform="translate(17 6)" d="{shape}"/>', name))
    return figure(title, marks, legend)


def score_figure(title: str, positives: Sequence[int], negatives: Sequence[int], threshold: float | None = None) -> str:
    """Histograms of the cosines of right and of wrong pairs, each as shares of its own number of pairs.

    positives, negatives: counts on the grid of `thresholds`. threshold: where a vertical line is drawn, or None.
    """
    groups = (("right pairs", np.asarray(positives), 4), ("wrong pairs", np.asarray(negatives), 2))
    used = np.flatnonzero(groups[0][1] + groups[1][1])
    low, high = int(used[0]), int(used[-1]) + 1
    step = next((step for step in BAR_STEPS if high - low <= MOST_BARS * step), BAR_STEPS[-1])
    first, stop = low // step * step, -(-high // step) * step
    heights = {name: shares(counts[first:stop], step) for name, counts, _ in groups}
    top = max(1.0, *(values.max() for values in heights.values()))
    levels, left, right = ticks(0, top), (first - STEPS) / STEPS, (stop - STEPS) / STEPS
    across, up = scale(left, right), scale_up(0.0, levels[-1])
    apart = next((gap for gap in GAPS if stop - first <= MOST_TICKS * gap), GAPS[-1])
    scores = [(place - STEPS) / STEPS for place in range(-(-first // apart) * apart, stop + 1, apart)]
    marks = frame(
        title,
        "share of the pairs, %",
        [(level, f"{level:g}") for level in levels],
        [(score, f"{score:g}") for score in scores],
        "cosine",
        across,
        up,
    )
    legend = []
    for name, counts, colour in groups:
        edges = [left + index * step / STEPS for index in range(len(heights[name]) + 1)]
        outline = [
            (x, float(height)) for index, height in enumerate(heights[name]) for x in (edges[index], edges[index + 1])
        ]
        style = Curve(name, [], colour, band=tuple((x, 0.0, height) for x, height in outline))
        marks.append(area(style, lambda x, y: (across(x), up(y))))
        line = "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in [(left, 0.0), *outline, (right, 0.0)])
        marks.append(f'<path {look(style)} d="M{line}"/>')
        swatch = f'<path class="band c{colour}" d="M0 1H34V11H0Z"/><path {look(style)} d="M0 1H34"/>'
        legend.append(entry(swatch, f"{name} ({int(counts.sum()):,})"))
    if threshold is not None and left <= threshold <= right:
        style = Curve("best", [], 0, 1)
        marks.append(f'<path {look(style)} d="M{across(threshold):.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        legend.append(entry(f'<path {look(style)} d="M0 6H34"/>', f"best F1 of all pairs: {threshold:.3f}"))
    return figure(title, marks, legend)


def shares(counts: np.ndarray, step: int) -> np.ndarray:
    """Percentages of all counts, `step` of them together; nothing is 0."""
    padded = np.zeros(-(-len(counts) // step) * step)
    padded[: len(counts)] = counts
    return 100 * padded.reshape(-1, step).sum(axis=1) / max(1, counts.sum())


def scale(low: float, high: float, of: Callable[[float], float] = float) -> Place:
    """Function from a value to its place across the plot."""
    return lambda value: LEFT + (WIDTH - LEFT - RIGHT) * (of(value) - low) / (high - low)


def scale_up(low: float, high: float) -> Place:
    """Function from a value to its place down the plot."""
    return lambda value: TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)


def frame(
    title: str,
    unit: str,
    levels: Iterable[tuple[float, str]],
    places: Iterable[tuple[float, str]],
    name: str,
    across: Place,
    up: Place,
) -> list[str]:
    """The opening tag and the axes: grid lines at levels, ticks at places, each a (value, text) pair."""
    marks = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f'<text x="4" y="15">{escape(unit)}</text>',
    ]
    for level, text in levels:
        marks.append(
            f'<path class="grid" d="M{LEFT} {up(level):.1f}H{WIDTH - RIGHT}"/>'
            f'<text x="{LEFT - 7}" y="{up(level) + 4:.1f}" text-anchor="end">{text}</text>'
        )
    for value, text in places:
        marks.append(
            f'<path class="grid" d="M{across(value):.1f} {HEIGHT - BOTTOM}v5"/>'
            f'<text x="{across(value):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{text}</text>'
        )
    return [*marks, f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" text-anchor="end">{escape(name)}</text>']


def entry(marks: str, text: str) -> str:
    """A line of a legend."""
    return f'<li><svg viewBox="0 0 34 12" aria-hidden="true">{marks}</svg>{escape(text)}</li>'


def figure(title: str, marks: Iterable[str], legend: Iterable[str]) -> str:
    """Caption, plot and legend."""
    body, lines = "\n".join(marks), "\n".join(legend)
    return (
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>\n{body}</svg>\n'
        f'<ul class="legend">\n{lines}\n</ul></figure>'
    )
