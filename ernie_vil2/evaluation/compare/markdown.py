"""A comparison of runs as a Markdown page."""

from collections.abc import Iterator
from typing import Any

from ...pages.markdown import markdown
from .columns import DASH, DECISION_COLUMNS, figure
from .own_tables import OWN_EXPLAINED, OWN_TITLE
from .tables import facts, pairs_counted


def to_markdown(comparison: dict[str, Any]) -> str:
    """The comparison as a Markdown page."""
    parts = [f"# {plain(comparison['title'])}", *filter(None, [plain(comparison["caveat"])])]
    parts += [part for one in comparison["benchmarks"] for part in benchmark_parts(one)]
    if comparison["own"]:
        parts += [f"## {OWN_TITLE}", OWN_EXPLAINED]
        parts += [part for one in comparison["own"] for part in benchmark_parts(one, "###")]
    if comparison["thresholds"]:
        parts += ['## Which score means "the same"', plain(comparison["thresholds_explained"])]
        parts += [part for one in comparison["thresholds"] for part in threshold_parts(one)]
    parts += ["## Where the rows come from", *map(origin, comparison["provenance"])]
    return "\n\n".join(parts) + "\n"


def benchmark_parts(one: dict[str, Any], level: str = "##") -> Iterator[str]:
    """Heading, protocol, size, table and footnotes of a benchmark or an own set."""
    yield f"{level} {plain(one['title'])}"
    if one["protocol"]:
        yield f"Protocol: {plain(one['protocol'])}."
    if one["size"]:
        yield plain(one["size"])
    rows = []
    for row in one["rows"]:
        marks = f" [{', '.join(map(str, row['footnotes']))}]" if row["footnotes"] else ""
        name = f"**{plain(row['name'])}**" if row["kind"] == "ours" else plain(row["name"])
        figures = [figure(row["values"].get(key), key in row["computed"]) for key in one["columns"]]
        rows.append([name + marks, plain(row["setting"]) or "ours", *figures])
    yield markdown(["model", "setting", *map(plain, one["columns"].values())], rows)
    if one["footnotes"]:
        yield "\n".join(f"{number}. {plain(text)}" for number, text in enumerate(one["footnotes"], 1))


def threshold_parts(one: dict[str, Any]) -> Iterator[str]:
    """Tables of a run's thresholds: by goal, and over the range of scores."""
    yield f"### {plain(one['run'])}"
    yield plain(pairs_counted(one))
    titles = list(DECISION_COLUMNS.values())
    rows = [
        [f"{goal}, {variant}", *(figure(row and row[key]) for key in DECISION_COLUMNS)]
        for variant, found in one["picks"].items()
        for goal, row in found.items()
    ]
    yield markdown(["goal", *titles], rows)
    yield markdown(titles, [[figure(row[key]) for key in DECISION_COLUMNS] for row in one["rows"]])


def origin(entry: dict[str, Any]) -> str:
    """A list of what one run's rows were made with."""
    lines = [f"- {name}: {code(value)}" for name, value in facts(entry)]
    return "\n".join([f"**{plain(entry['run'])}**: {plain(', '.join(entry['benchmarks']))}", "", *lines])


def plain(text: object) -> str:
    """Text of a file as Markdown that shows it as it is: one line, nothing that makes a table, a link or HTML."""
    line = " ".join("".join(char if char.isprintable() else " " for char in str(text)).split())
    for char in "\\`*_[]|":
        line = line.replace(char, f"\\{char}")
    return line.replace("&", "&amp;").replace("<", "&lt;")


def code(text: str | None) -> str:
    """Text between as many backticks as it needs, or a dash."""
    if not text:
        return DASH
    line = "".join(char if char.isprintable() else " " for char in str(text))
    fence = "`"
    while fence in line:
        fence += "`"
    return f"{fence} {line} {fence}" if "`" in line else f"`{line}`"
