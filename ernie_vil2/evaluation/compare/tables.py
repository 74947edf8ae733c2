"""Our runs beside the published figures: one dictionary of tables, which Markdown, JSON and HTML are made from.

Every figure is the text that is shown: ours rounded as the release does, a published one as it was printed.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...errors import DataError
from ..metrics import thresholds
from ..own_set import own_title
from ..runs.records import Run
from .columns import COLUMNS, DECISION_COLUMNS, HIDDEN, shown, with_means
from .own_tables import Rows, own_protocol, placed, size_told
from .published_figures import HARNESS_CAVEAT, protocol_of, published_for
from .published_row import Published

CHECKSUMS = {"data_sha256": "data", "model_sha256": "model", "config_sha256": "configuration"}
EXPLAINED = (
    'A text and an image are called "the same" when their cosine is at least the threshold. "All pairs" compares '
    "every text with every image, so that wrong pairs outnumber right ones as in this set: take it for a search over "
    'such a set, and expect less precision over a larger one. "Balanced" counts right and wrong pairs with equal '
    "weight: take it where about half of the pairs to be judged are right. Recall is the same for both. Thresholds "
    "belong to one model and one kind of data."
)
CHECKSUMS_DIFFER = "The data checksums of these runs differ: they did not read the same files."
COMPUTED = "≈ is computed here from the rounded figures of its source."


def compare_runs(runs: Sequence[Run]) -> dict[str, Any]:
    """The comparison of Runs as a JSON-able dictionary.

    title, caveat (of published figures, else empty); runs: their names; benchmarks: {benchmark, title, protocol, size,
    columns, rows, footnotes} each, a row being {name, kind (ours, published), setting, source, values, computed,
    footnotes (numbers from 1)}; own: the same of sets of one's own and of parts of benchmarks, a table for each
    data_sha256, with its size as a sentence and no published row; thresholds: per run
    that compared images with texts {run, benchmark, counts, rows, picks}; provenance: what a run's rows came from.
    Raises DataError when a run is given twice.
    """
    names = run_names([run.path for run in runs])
    named = list(zip(names, runs, strict=True))
    benchmarks, own = placed(named)
    return {
        "format": 1,
        "title": f"Comparison of {names[0]}" if len(names) == 1 else f"Comparison of {len(names)} runs",
        "runs": names,
        "caveat": HARNESS_CAVEAT if benchmarks else "",
        "benchmarks": [benchmark_table(name, name, rows, published_for(name)) for name, rows in benchmarks.items()],
        "own": [
            {**benchmark_table(rows[0][1].benchmark, title, rows), "size": size_told(rows[0][1])}
            for (title, *_), rows in own.items()
        ],
        "thresholds_explained": EXPLAINED,
        "thresholds": [threshold_tables(name, run.analysis) for name, run in named if run.analysis],
        "provenance": [entry for name, run in named for entry in origins(name, run)],
    }


def run_names(paths: Sequence[Path]) -> list[str]:
    """The last part of each path, with as many parts before it as tell the runs apart."""
    parts = [Path(os.path.realpath(path)).parts for path in paths]
    for index, own in enumerate(parts):
        if own in parts[:index]:
            raise DataError(f"the run {paths[index]} is given twice; name each run once")
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(own[-length:]) for own in parts]
        if len(set(names)) == len(names):
            break
    return names


def benchmark_table(benchmark: str, title: str, ours: Rows, published: Sequence[Published] = ()) -> dict[str, Any]:
    """The table of one benchmark and protocol: our rows in the given order, then the published ones."""
    footnotes, rows, sums = [], [], set()

    def notes(texts):
        for text in texts:
            if text not in footnotes:
                footnotes.append(text)
        return sorted(footnotes.index(text) + 1 for text in set(texts))

    for name, result in ours:
        sums.add(str(result.provenance.get("data_sha256")))
        values = {key: shown(key, value) for key, value in result.metrics.items() if key not in HIDDEN}
        if "i2t_r1" not in values and "t2i_mean" in values:  # one direction: the mean of both would repeat it
            values.pop("mean_recall", None)
        rows.append(table_row(name, "ours", "", "", values, [], notes(result.notes)))
    if len(sums) > 1:
        for row in rows:
            row["footnotes"] = sorted({*row["footnotes"], *notes([CHECKSUMS_DIFFER])})
    for one in published:
        values, computed = with_means(one.printed)
        texts = [f"Source: {one.source}.", *[one.footnote] * bool(one.footnote), *[COMPUTED] * bool(computed)]
        rows.append(table_row(one.model, "published", one.setting, one.source, values, computed, notes(texts)))
    keys = {key for row in rows for key in row["values"]}
    known = [key for key in COLUMNS if key in keys]
    others = [key for row in rows for key in row["values"] if key not in COLUMNS]
    return {
        "benchmark": benchmark,
        "title": title,
        "protocol": own_protocol(benchmark) or protocol_of(benchmark),
        "size": "",
        "columns": {key: COLUMNS.get(key, key.replace("_", " ")) for key in [*known, *dict.fromkeys(others)]},
        "rows": rows,
        "footnotes": footnotes,
    }


def table_row(
    name: str,
    kind: str,
    setting: str,
    source: str,
    values: dict[str, str | None],
    computed: list[str],
    footnotes: list[int],
) -> dict[str, Any]:
    """A row as `compare_runs` describes it."""
    return {
        "name": name,
        "kind": kind,
        "setting": setting,
        "source": source,
        "values": values,
        "computed": computed,
        "footnotes": footnotes,
    }


def threshold_tables(name: str, analysis: dict[str, Any]) -> dict[str, Any]:
    """The thresholds worth showing of one run, and the best ones by goal for both ways of counting."""
    every = thresholds.decisions(analysis["positives"], analysis["negatives"])
    return {
        "run": name,
        "benchmark": analysis["benchmark"],
        "counts": analysis["counts"],
        "rows": [decision_row(one) for one in thresholds.rows(every)],
        "picks": {
            variant: {goal: one and decision_row(one) for goal, one in found.items()}
            for variant, found in thresholds.picks(every).items()
        },
    }


def decision_row(one: thresholds.Decision) -> dict[str, str | None]:
    """{column: text} of a Decision."""
    values = asdict(one)
    return {key: shown(key, values[key]) for key in DECISION_COLUMNS}


def origins(name: str, run: Run) -> list[dict[str, Any]]:
    """{run, benchmarks, command, ...} for every distinct provenance of a run's rows."""
    found = []
    for result in run.results:
        for entry in found:
            if entry["provenance"] == result.provenance:
                entry["benchmarks"].append(result.benchmark)
                break
        else:
            found.append({"run": name, "benchmarks": [result.benchmark], "provenance": result.provenance})
    return found


def facts(entry: dict[str, Any]) -> list[tuple[str, str | None]]:
    """(name, text or None) of everything that a provenance tells."""
    told = entry["provenance"]
    versions = told.get("versions")
    versions = versions if isinstance(versions, dict) else {}
    return [
        ("command", written(told.get("command"))),
        *((name, written(told.get(key))) for key, name in CHECKSUMS.items()),
        ("versions", ", ".join(f"{name} {value}" for name, value in versions.items() if value)),
    ]


def written(value: Any) -> str | None:
    """What a run's file tells as text: it may hold anything."""
    return value if value is None else str(value)


def pairs_counted(one: dict[str, Any]) -> str:
    """A sentence on the pairs behind a threshold table."""
    counts = one["counts"]
    where = f" of {own_title(one['benchmark']) or one['benchmark']}" if one["benchmark"] else ""
    return (
        f"{counts['images']:,} images and {counts['texts']:,} texts{where}: {counts['positives']:,} right and "
        f"{counts['negatives']:,} wrong pairs. Shares in percent."
    )


def as_json(comparison: dict[str, Any]) -> dict[str, Any]:
    """The comparison with numbers in place of the texts of figures."""

    def numbers(values):
        return {key: None if text is None else float(text) for key, text in values.items()}

    return {
        **comparison,
        **{
            key: [
                {**table, "rows": [{**row, "values": numbers(row["values"])} for row in table["rows"]]}
                for table in comparison[key]
            ]
            for key in ("benchmarks", "own")
        },
        "thresholds": [
            {
                **one,
                "rows": [numbers(row) for row in one["rows"]],
                "picks": {
                    variant: {goal: row and numbers(row) for goal, row in found.items()}
                    for variant, found in one["picks"].items()
                },
            }
            for one in comparison["thresholds"]
        ],
    }
