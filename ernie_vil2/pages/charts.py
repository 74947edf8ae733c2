"""Line charts in SVG: as figures of a page that has the style, or as a file of its own."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from ..files.atomic import atomic_file, reported

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 480, 310, 46, 20, 28, 44
Place = Callable[[float, float], tuple[float, float]]
"""Function (x, y) -> its place on the plot"""
COLOUR_COUNT = 7
DASHES = ("", "7 4", "2 4", "9 3 2 3")
TITLE_HEIGHT, LEGEND_HEIGHT, MARGIN = 30, 20, 14
STYLE = """
text { font: 13px system-ui, "Segoe UI", Roboto, Arial, sans-serif; fill: #5a636d; }
.title { font-size: 15px; font-weight: 600; fill: #1d2126; }
.page { fill: #fbfaf7; }
.grid { stroke: #dcdad3; stroke-width: 1; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.band { stroke: none; opacity: .18; }
.dot { fill: #ffffff; stroke-width: 2; }
""" + "".join(
    f".c{index} {{ stroke: {colour}; }} .band.c{index} {{ fill: {colour}; }}\n"
    for index, colour in enumerate(("#1d2126", "#1f6fb5", "#c2520a", "#7a3fa8", "#0b7a4b", "#a8326d", "#7d6608"))
)


@dataclass
class Curve:
    """A line of a chart: points (x, y) in order, where a y that is not finite is a gap; colour and dash are numbers.

    band: (x, low, high) in order, drawn as an area behind the lines; only a chart in a file of its own shows it.
    """

    label: str
    points: list[tuple[float, float]]
    colour: int
    dash: int = 0
    marked: bool = False
    band: tuple[tuple[float, float, float], ...] = ()


@dataclass
class Chart:
    """A chart over training steps; `highest` is the value at the top of its scale, by default the largest one."""

    title: str
    unit: str
    curves: list[Curve]
    highest: float | None = None


def points(log: Iterable[Mapping[str, Any]], key: str) -> list[tuple[int, float]]:
    """(step, value) of every record; NaN where it has none."""
    return [(record["step"], float(record.get(key, math.nan))) for record in log]


def ticks(low: float, high: float, least: float = 0.0) -> list[float]:
    """Four to eight round values, no closer than `least`; the first is at most `low`, the last at least `high`."""
    magnitude = 10.0 ** math.floor(math.log10((high - low) / 6))
    step = max(least, next(magnitude * factor for factor in (1, 2, 5, 10) if high - low <= 6 * magnitude * factor))
    return [index * step for index in range(math.floor(low / step), math.ceil(high / step) + 1)]


def drawn_curves(chart: Chart) -> list[Curve]:
    """The curves that have at least one finite value."""
    return [curve for curve in chart.curves if any(math.isfinite(y) for _, y in curve.points)]


def plot(chart: Chart) -> list[str]:
    """SVG lines of the axes, ticks and curves of a chart that has something to draw; WIDTH x HEIGHT."""
    drawn = drawn_curves(chart)
    known = [point for curve in drawn for point in curve.points if math.isfinite(point[1])]
    known += [(x, y) for curve in drawn for x, *edges in curve.band for y in edges]
    last, low = max(1, *(x for x, _ in known)), min(0.0, *(y for _, y in known))
    high = chart.highest or max(y for _, y in known)
    levels = ticks(low, high if high > low else low + 1)

    def place(x, y):
        right = LEFT + (WIDTH - LEFT - RIGHT) * x / last
        return right, TOP + (HEIGHT - TOP - BOTTOM) * (levels[-1] - y) / (levels[-1] - levels[0])

    marks = [f'<text x="4" y="15">{escape(chart.unit)}</text>']
    for level in levels:
        height = place(0, level)[1]
        marks.append(
            f'<path class="grid" d="M{LEFT} {height:.1f}H{WIDTH - RIGHT}"/>'
            f'<text x="{LEFT - 7}" y="{height + 4:.1f}" text-anchor="end">{level:,.5g}</text>'
        )
    for step in ticks(0, last, least=1.0):
        if step <= last:
            right = place(step, 0)[0]
            marks.append(
                f'<path class="grid" d="M{right:.1f} {HEIGHT - BOTTOM}v5"/>'
                f'<text x="{right:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{step:,.10g}</text>'
            )
    marks.extend(area(curve, place) for curve in drawn if curve.band)
    for curve in drawn:
        marks.extend(strokes(curve, place))
    return [*marks, f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" text-anchor="end">step</text>']


def figure(chart: Chart) -> str:
    """The chart as a figure of a page: the plot, and a legend with each curve's last value."""
    caption = f"<figcaption>{escape(chart.title)}</figcaption>"
    drawn = drawn_curves(chart)
    if not drawn:
        return f'<figure class="chart">{caption}<p class="note">Nothing was recorded.</p></figure>'
    head = f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}">'
    marks = "\n".join([head, *plot(chart)]) + "</svg>"
    legend = "\n".join(map(legend_entry, drawn))
    return f'<figure class="chart">{caption}\n{marks}\n<ul class="legend">\n{legend}\n</ul></figure>'


def legend_entry(curve: Curve) -> str:
    """Line style, name and last known value of a curve."""
    line = f'<path {look(curve)} d="M0 6H34"/>'
    return (
        f'<li><svg viewBox="0 0 34 12" aria-hidden="true">{line}</svg>{escape(curve.label)} '
        f"<b>{last_value(curve):.2f}</b></li>"
    )


def last_value(curve: Curve) -> float:
    """The last finite value."""
    return [y for _, y in curve.points if math.isfinite(y)][-1]


def look(curve: Curve) -> str:
    """SVG attributes of a curve's line."""
    return f'class="curve c{curve.colour}"' + (f' stroke-dasharray="{DASHES[curve.dash]}"' if curve.dash else "")


def area(curve: Curve, place: Place) -> str:
    """SVG of a curve's band."""
    lower = [place(x, low) for x, low, _ in curve.band]
    upper = [place(x, high) for x, _, high in reversed(curve.band)]
    outline = "L".join(f"{x:.1f} {y:.1f}" for x, y in lower + upper)
    return f'<path class="band c{curve.colour}" d="M{outline}Z"/>'


def strokes(curve: Curve, place: Place) -> Iterator[str]:
    """SVG of a curve: a line that breaks at gaps, and dots where they are asked for or a line would have no length."""
    runs = [[]]
    for x, y in curve.points:
        if math.isfinite(y):
            runs[-1].append((x, y))
        elif runs[-1]:
            runs.append([])
    lines = ("L".join("{:.1f} {:.1f}".format(*place(x, y)) for x, y in run) for run in runs if run)
    yield f'<path {look(curve)} d="M{"M".join(lines)}"/>'
    for x, y in (point for run in runs if curve.marked or len(run) == 1 for point in run):
        centre = 'cx="{:.1f}" cy="{:.1f}"'.format(*place(x, y))
        label = f"{escape(curve.label)}, step {x:,}: {y:.2f}"
        yield f'<circle class="dot c{curve.colour}" {centre} r="3.5"><title>{label}</title></circle>'


def write_svg(path: str | Path, charts: Iterable[Chart], mark: str = "") -> None:
    """Write charts side by side as one SVG file that needs nothing else; no half file is ever seen.

    mark: a last line that says what wrote it. Raises CheckpointError when it cannot be written, ValueError for a chart
    without a finite value.
    """
    blocks, tallest = [], 0
    for number, chart in enumerate(charts):
        drawn = drawn_curves(chart)
        if not drawn:
            raise ValueError(f"the chart {chart.title!r} has nothing to draw")
        top = TITLE_HEIGHT + HEIGHT
        legend = [
            f'<path {look(curve)} d="M{LEFT} {top + (place + 0.5) * LEGEND_HEIGHT:g}h34"/>'
            f'<text x="{LEFT + 44}" y="{top + (place + 0.5) * LEGEND_HEIGHT + 4:g}">{escape(curve.label)}: '
            f"{last_value(curve):.2f}</text>"
            for place, curve in enumerate(drawn)
        ]
        tallest = max(tallest, top + LEGEND_HEIGHT * len(drawn) + MARGIN)
        title = f'<text class="title" x="4" y="20">{escape(chart.title)}</text>'
        inner = "\n".join([title, f'<g transform="translate(0 {TITLE_HEIGHT})">', *plot(chart), "</g>", *legend])
        blocks.append(f'<g transform="translate({MARGIN + number * (WIDTH + MARGIN)} {MARGIN / 2:g})">\n{inner}\n</g>')
    width = MARGIN + len(charts) * (WIDTH + MARGIN)
    page = "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {tallest}" width="{width}" '
            f'height="{tallest}">',
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{width}" height="{tallest}"/>',
            *blocks,
            f"</svg>\n{mark}",
        ]
    )
    with reported(path), atomic_file(path) as handle:
        handle.write(page.encode("utf-8", "replace"))
