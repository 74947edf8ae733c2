"""The figures of the study as tables for a terminal and for the documents, and as a JSON-able dictionary."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ...pages.markdown import markdown
from ...runtime import cpu_count
from ...versions import versions
from .comparison import AT, SHARES, SORTS, Measured

COMMAND = "bench search"
MIB = 1 << 20


def tables(rows: int, width: int, found: Mapping[str, Mapping[str, float]], measured: Mapping[str, Measured]) -> str:
    """What the vectors are like, the kinds beside each other, what each was tuned to, and filters."""
    head = f"{rows:,} vectors of {width} values, {cpu_count()} cores; a question is one of `near` or `far`"
    parts = [head, structures(found), speeds(measured), sizes(measured), filters(measured)]
    return "\n\n".join(parts)


def structures(found: Mapping[str, Mapping[str, float]]) -> str:
    """Where the questions lie among the vectors."""
    names = list(next(iter(found.values())))
    return markdown(["questions", *names], [[sort, *(f"{found[sort][name]:.3g}" for name in names)] for sort in found])


def speeds(measured: Mapping[str, Measured]) -> str:
    """One question at a time, and recall."""
    head = ["kind"]
    for sort in SORTS:
        head += [f"{sort}: p50, ms", "p95, ms", f"recall@{AT}", "a second in a batch"]
    lines = []
    for kind, one in measured.items():
        line = [kind]
        for sort in SORTS:
            line += [f"{one.percentile(sort, share):.2f}" for share in (50, 95)]
            line += [f"{one.recall[sort]:.3f}", f"{one.batch[sort]:,.0f}"]
        lines.append(line)
    return markdown(head, lines)


def sizes(measured: Mapping[str, Measured]) -> str:
    """What a kind costs, and what it was tuned to."""
    head = ["kind", "build, s", "of processors, s", "file, MiB", "resident, MiB", "opening, s", "looks into"]
    lines = []
    for kind, one in measured.items():
        built = one.built
        figures = [f"{built.seconds:,.0f}", f"{built.processor:,.0f}", f"{one.bytes() / MIB:,.0f}"]
        figures += [f"{one.resident:,.0f}", f"{one.opening:.2f}", effort(built.record["options"])]
        lines.append([kind, *figures])
    return markdown(head, lines)


def effort(options: Mapping[str, Any]) -> str:
    """What a search looks into, in words."""
    if "probes" in options:
        words = f"{options['probes']:,} of {options['lists']:,} lists"
    else:
        words = f"{options['sight']:,} rows of the graph" if "sight" in options else "all rows"
    return words + (f", {options['candidates']} scored again" if options else "")


def filters(measured: Mapping[str, Measured]) -> str:
    """One `near` question at a time among the rows that a filter leaves, p95 in milliseconds."""
    head = ["kind; p95, ms, of", *(f"{share:.1%} of the rows" for share in SHARES)]
    return markdown(
        head,
        [
            [kind, *(f"{one.percentile(f'filter {share:g}', 95):.1f}" for share in SHARES)]
            for kind, one in measured.items()
        ],
    )


def content(
    rows: int, width: int, found: Mapping[str, Mapping[str, float]], measured: Mapping[str, Measured]
) -> dict[str, Any]:
    """All that was measured, for a JSON file: seconds, milliseconds and MiB."""
    kinds = {}
    for kind, one in measured.items():
        percentiles = {name: [one.percentile(name, share) for share in (50, 95)] for name in one.milliseconds}
        own = {key: value for key, value in asdict(one).items() if key != "milliseconds"}
        kinds[kind] = {**own, "p50 and p95, ms": percentiles}
    whole = {"rows": rows, "width": width, "cores": cpu_count(), "questions": dict(found), "kinds": kinds}
    return {"versions": versions(), **whole}
