"""The HTML report of a comparison: tables, recall curves, histograms, thresholds and a gallery of hardest errors.

One file that needs nothing else and runs nothing; everything that comes from a run folder is escaped.
"""

from html import escape
from string import Template

from ...pages.html import TEMPLATES, spoken
from .charts import recall_figure, score_figure
from .published_figures import FINE_TUNED, published_for
from .tables import DASH, DECISION_COLUMNS, facts, figure, pairs_counted

FOLDER = TEMPLATES
DIRECTIONS = {"t2i": "Text to image", "i2t": "Image to text"}
KS = (1, 5, 10)
LONGEST = 300


def page(comparison, runs):
    """The report as text; comparison: of `comparison.compare_runs(runs)`."""
    analysed = [(name, run.analysis) for name, run in zip(comparison["runs"], runs, strict=True) if run.analysis]
    sections = [benchmark_section(one, analysed) for one in comparison["benchmarks"]]
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
        sections += [error_section(name, analysis) for name, analysis in analysed]
    return Template((FOLDER / "compare.html").read_text(encoding="utf-8")).substitute(
        title=escape(comparison["title"]),
        style=shared_style(),
        caveat=escape(comparison["caveat"]),
        sections="\n".join(sections),
        provenance="\n".join(map(origin, comparison["provenance"])),
    )


def shared_style():
    """The style sheet of the demo's page, so that all pages of the project look alike."""
    text = (FOLDER / "demo.html").read_text(encoding="utf-8")
    return text.partition("<style>")[2].partition("</style>")[0].strip()


def section(title, *parts):
    return "\n".join(["<section>", f"<h2>{spoken(title)}</h2>", *filter(None, parts), "</section>"])


def note(text):
    return f'<p class="note">{escape(text)}</p>'


def benchmark_section(one, analysed):
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
    return section(
        one["benchmark"],
        note(f"Protocol: {one['protocol']}.") if one["protocol"] else "",
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>',
        f'<ol class="footnotes">\n{footnotes}\n</ol>' if footnotes else "",
        curves(
            [(name, analysis) for name, analysis in analysed if analysis["benchmark"] == one["benchmark"]],
            one["benchmark"],
            [name for name in DIRECTIONS if f"{name}_r1" in one["columns"]],
        ),
    )


def result_row(row, columns):
    """A line of a benchmark's table."""
    marks = f"<sup>{', '.join(map(str, row['footnotes']))}</sup>" if row["footnotes"] else ""
    cells = "".join(f"<td>{escape(figure(row['values'].get(key), key in row['computed']))}</td>" for key in columns)
    kind = ' class="ours"' if row["kind"] == "ours" else ""
    return f'<tr{kind}><th scope="row">{spoken(row["name"])}{marks}</th>{cells}</tr>'


def curves(analysed, benchmark=None, directions=tuple(DIRECTIONS)):
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


def recall_points(printed, direction):
    """{K: recall} of a published row."""
    return {k: float(printed[f"{direction}_r{k}"]) for k in KS if f"{direction}_r{k}" in printed}


def other_curves(comparison, analysed):
    """A section for every run whose curves belong to no row of a table."""
    benchmarks = {one["benchmark"] for one in comparison["benchmarks"]}
    return [
        section(f"Recall curves of {name}", curves([(name, analysis)]))
        for name, analysis in analysed
        if analysis["benchmark"] not in benchmarks
    ]


def threshold_part(one, analysis, shown):
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


def picks_table(picks):
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


def decisions(titles, rows):
    """A table of texts; the first cell of a row names it."""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    lines = "\n".join(
        f'<tr><th scope="row">{escape(first)}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in rest) + "</tr>"
        for first, *rest in rows
    )
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody></table></div>'


def error_section(name, analysis):
    """The queries of a run that a wrong answer wins by most, as cards with pictures."""
    parts = []
    for direction, card in (("t2i", text_card), ("i2t", image_card)):
        found = analysis["errors"][direction]
        wrong, asked = analysis["wrong"][direction], analysis["queries"][direction]
        parts += [
            f"<h3>{DIRECTIONS[direction]}</h3>",
            note(
                f"The first answer is wrong for {wrong:,} of {asked:,} queries."
                + (
                    f" These {len(found)} have the largest lead of a wrong answer over the best right one."
                    if found
                    else ""
                )
            ),
        ]
        if found:
            cards = "\n".join(card(error, analysis) for error in found)
            parts.append(f'<div class="queries">\n{cards}\n</div>')
    return section(f"Hardest errors of {name}", *parts)


def text_card(error, analysis):
    """A text, the wrong image that comes first and its right one, each with its score and a caption of its own."""
    sides = []
    for kind, title in (("wrong", "✗ found"), ("right", "✓ right")):
        row = error[kind]
        caption = analysis["captions"].get(str(row))
        words = spoken(cut(analysis["texts"].get(str(caption), ""))) if caption is not None else ""
        sides.append(
            f'<li class="{kind}">{picture(row, analysis, title)}<b>{title} {error[f"{kind}_score"]:.3f}</b>{words}</li>'
        )
    return (
        f'<article class="query"><p class="asked">{spoken(text_of(error["query"], analysis))}</p>'
        f'<p class="note">{standing("image", error)}</p>\n<ul class="two">\n' + "\n".join(sides) + "\n</ul></article>"
    )


def image_card(error, analysis):
    """An image, the wrong text that comes first and its right one, each with its score."""
    items = "\n".join(
        f'<li class="{kind}"><span class="score">{mark} {error[f"{kind}_score"]:.3f}</span>'
        f"<span>{spoken(text_of(error[kind], analysis))}</span></li>"
        for kind, mark in (("wrong", "✗"), ("right", "✓"))
    )
    return (
        f'<article class="shown">{picture(error["query"], analysis, "query")}<div>'
        f'<p class="note">{standing("text", error)}</p>\n<ul class="texts">\n{items}\n</ul></div></article>'
    )


def standing(what, error):
    """Where the right answer came, and by how much it was beaten."""
    lead = error["wrong_score"] - error["right_score"]
    return f"The right {what} is at rank {error['rank']:,}; the wrong one leads by {lead:.3f}."


def text_of(row, analysis):
    """The text of a row, or its number where the texts were not known."""
    return cut(analysis["texts"].get(str(row), f"text {row}"))


def cut(text):
    """At most LONGEST characters of a text."""
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"


def picture(row, analysis, alt):
    """The thumbnail of an image, or a frame with its number where there is none."""
    data = analysis["thumbnails"].get(str(row))
    if data is None:
        return f'<div class="none">image {row}</div>'
    return f'<img src="data:image/jpeg;base64,{escape(data)}" alt="{escape(alt)}">'


def origin(entry):
    """What one run's rows were made with."""
    lines = "\n".join(f"<dt>{name}</dt><dd>{code(value)}</dd>" for name, value in facts(entry))
    return (
        f"<h3>{spoken(entry['run'])}: {spoken(', '.join(entry['benchmarks']))}</h3>\n"
        f'<dl class="origin">\n{lines}\n</dl>'
    )


def code(value):
    return f"<code>{spoken(value)}</code>" if value else DASH
