"""The HTML report of a comparison: tables, recall curves, histograms, thresholds and a gallery of hardest errors.

One file that needs nothing else and runs nothing; everything that comes from a run folder is escaped.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from ...pages.html import note, section, shared_style, spoken, template
from ..metrics.ranks import KS
from ..own_set import own_title
from ..runs.records import Run
from .charts import recall_figure, score_figure
from .columns import DASH, DECISION_COLUMNS, DIRECTIONS, figure
from .error_cards import error_section
from .own_tables import OWN_EXPLAINED, OWN_TITLE
from .published_figures import FINE_TUNED, published_for
from .query_cards import query_section, same_queries
from .tables import facts, pairs_counted

Analysed = Sequence[tuple[str, dict[str, Any]]]
"""(name, analysis) of every run that compared images with texts"""


def page(comparison: dict[str, Any], runs: Sequence[Run]) -> str:
    """The report as text; comparison: of `tables.compare_runs(runs)`."""
    analysed = [(name, run.analysis) for name, run in zip(comparison["runs"], runs, strict=True) if run.analysis]
    sections = [section(one["title"], *table_parts(one, analysed)) for one in comparison["benchmarks"]]
    if comparison["own"]:
        own = [part for one in comparison["own"] for part in own_parts(one, analysed)]
        sections.append(section(OWN_TITLE, note(OWN_EXPLAINED), *own))
    sections += other_curves(comparison, analysed)
    if analysed:
        tables = zip(comparison["thresholds"], analysed, strict=True)
        sections.append(
            section(
                'Which score means "the same"',
                note(comparison["thresholds_explained"]),
                *(threshold_part(table, analysis, not place) for place, (table, (_, analysis)) in enumerate(tables)),
            )
        )
        sections += query_sections(comparison, analysed)
        sections += [error_section(name, analysis) for name, analysis in analysed]
    return template("compare.html").substitute(
        title=escape(comparison["title"]),
        style=shared_style(),
        caveat=note(comparison["caveat"]) if comparison["caveat"] else "",
        sections="\n".join(sections),
        provenance="\n".join(map(origin, comparison["provenance"])),
    )


def own_parts(one: dict[str, Any], analysed: Analysed) -> list[str]:
    """Heading, size and what `table_parts` gives of an own set or a part of a benchmark."""
    return [f"<h3>{spoken(one['title'])}</h3>", note(one["size"]), *table_parts(one, analysed)]


def table_parts(one: dict[str, Any], analysed: Analysed) -> list[str]:
    """Table and footnotes of a benchmark, and the recall curves of the runs that were measured on it."""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in ("model", *one["columns"].values()))
    groups = {}
    for row in one["rows"]:
        groups.setdefault(f"{row['kind']}, {row['setting']}" if row["setting"] else row["kind"], []).append(row)
    rows = "\n".join(
        f'<tr><th colspan="{len(one["columns"]) + 1}" scope="rowgroup">{escape(title)}</th></tr>\n'
        + "\n".join(result_row(row, one["columns"]) for row in group)
        for title, group in groups.items()
    )
    footnotes = "\n".join(f"<li>{spoken(text)}</li>" for text in one["footnotes"])
    published = any(row["kind"] == "published" for row in one["rows"])
    return [
        note(f"Protocol: {one['protocol']}.") if one["protocol"] else "",
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>',
        f'<ol class="footnotes">\n{footnotes}\n</ol>' if footnotes else "",
        curves(
            measured_runs(one, analysed),
            one["benchmark"] if published else None,
            [name for name in DIRECTIONS if f"{name}_r1" in one["columns"]],
        ),
    ]


def measured_runs(one: dict[str, Any], analysed: Analysed) -> list[tuple[str, dict[str, Any]]]:
    """Those of the analysed runs whose curves belong to a table."""
    names = {row["name"] for row in one["rows"] if row["kind"] == "ours"}
    protocol = one["benchmark"].rpartition("@")[2] if own_title(one["benchmark"]) else None
    return [
        (name, analysis)
        for name, analysis in analysed
        if name in names
        and (
            analysis["benchmark"] == one["benchmark"]
            or (protocol and own_title(analysis["benchmark"]) and analysis["benchmark"].endswith(f"@{protocol}"))
        )
    ]


def query_sections(comparison: dict[str, Any], analysed: Analysed) -> list[str]:
    """Queries with their best images: runs of the same table side by side, any other run by itself."""
    tables = [*comparison["own"], *comparison["benchmarks"]]
    groups = [measured_runs(one, analysed) for one in tables]
    told = {name for group in groups for name, _ in group}
    groups += [[(name, analysis)] for name, analysis in analysed if name not in told]
    return [query_section(part) for group in groups for part in same_queries(group)]


def result_row(row: dict[str, Any], columns: Iterable[str]) -> str:
    """A line of a benchmark's table."""
    marks = f"<sup>{', '.join(map(str, row['footnotes']))}</sup>" if row["footnotes"] else ""
    cells = "".join(f"<td>{escape(figure(row['values'].get(key), key in row['computed']))}</td>" for key in columns)
    kind = ' class="ours"' if row["kind"] == "ours" else ""
    return f'<tr{kind}><th scope="row">{spoken(row["name"])}{marks}</th>{cells}</tr>'


def curves(analysed: Analysed, benchmark: str | None = None, directions: Iterable[str] = tuple(DIRECTIONS)) -> str:
    """A chart for each direction: a line a run, with the published figures of the same benchmark as marks."""
    if not analysed:
        return ""
    charts = []
    for direction in directions:
        known = [
            (row.model + f" ({FINE_TUNED})" * (row.setting == FINE_TUNED), recall_points(row.printed, direction))
            for row in published_for(benchmark)
        ]
        lines = [(name, analysis["recall"][direction]) for name, analysis in analysed]
        title = f"{DIRECTIONS[direction]}: recall among the first K"
        charts.append(recall_figure(title, lines, [one for one in known if one[1]]))
    return '<div class="charts">\n' + "\n".join(charts) + "\n</div>"


def recall_points(printed: dict[str, str], direction: str) -> dict[int, float]:
    """{K: recall} of a published row."""
    return {k: float(printed[f"{direction}_r{k}"]) for k in KS if f"{direction}_r{k}" in printed}


def other_curves(comparison: dict[str, Any], analysed: Analysed) -> list[str]:
    """A section for every run whose curves belong to no row of a table."""
    tables = [*comparison["benchmarks"], *comparison["own"]]
    told = {name for one in tables for name, _ in measured_runs(one, analysed)}
    return [
        section(f"Recall curves of {name}", curves([(name, analysis)]))
        for name, analysis in analysed
        if name not in told
    ]


def threshold_part(one: dict[str, Any], analysis: dict[str, Any], shown: bool) -> str:
    """Histogram, best thresholds and threshold table of a run; the table is folded unless it is to be shown."""
    best = one["picks"]["all pairs"]["best F1"]
    every = decisions(
        list(DECISION_COLUMNS.values()), [[figure(row[key]) for key in DECISION_COLUMNS] for row in one["rows"]]
    )
    return "\n".join(
        [
            f"<h3>{spoken(one['run'])}</h3>",
            note(pairs_counted(one)),
            '<div class="charts">',
            score_figure(
                f"Scores of {one['run']}",
                analysis["positives"],
                analysis["negatives"],
                best and float(best["threshold"]),
            ),
            picks_table(one["picks"]),
            "</div>",
            f"<details{' open' * shown}><summary>Precision and recall at each score</summary>\n{every}\n</details>",
        ]
    )


def picks_table(picks: dict[str, Any]) -> str:
    """The best thresholds by goal, with the precision and F1 that the goal is about."""
    rows = []
    for (variant, found), names in zip(
        picks.items(), (("precision", "f1"), ("balanced_precision", "balanced_f1")), strict=True
    ):
        rows += [
            [f"{goal}, {variant}", *(figure(row and row[key]) for key in ("threshold", "recall", *names))]
            for goal, row in found.items()
        ]
    return decisions(["goal", "threshold", "recall", "precision", "F1"], rows)


def decisions(titles: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts; the first cell of a row names it."""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    lines = "\n".join(
        f'<tr><th scope="row">{escape(first)}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in rest) + "</tr>"
        for first, *rest in rows
    )
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody></table></div>'


def origin(entry: dict[str, Any]) -> str:
    """What one run's rows were made with."""
    lines = "\n".join(f"<dt>{name}</dt><dd>{code(value)}</dd>" for name, value in facts(entry))
    return (
        f"<h3>{spoken(entry['run'])}: {spoken(', '.join(entry['benchmarks']))}</h3>\n"
        f'<dl class="origin">\n{lines}\n</dl>'
    )


def code(value: str | None) -> str:
    """Text in a fixed width, or a dash."""
    return f"<code>{spoken(value)}</code>" if value else DASH
