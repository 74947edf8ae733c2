"""The figures of a comparison as tables for a terminal, and as a JSON-able dictionary."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from ....versions import versions
from ..turns.tables import aligned, figure, scaled
from .measurements import Comparison
from .sides import DYNAMIC
from .work import KINDS

COMMAND = "bench encode"
SINGLES = {"short": "a caption, ms", "images": "an image, ms"}
"""{kind of single items: what stands above their column}"""


def tables(found: Comparison) -> str:
    """Two tables, what could not be measured, and what the columns say."""
    rows, reasons = [], []
    for name, measured in found.sides.items():
        if measured.refused:
            reasons.append(f"{name}: not measured: {measured.refused}")
            continue
        if measured.how:
            reasons.append(f"{name}: {measured.how}")
        rows.append(name)
    parts = [aligned(*speeds(found, rows)), aligned(*costs(found, rows)), "\n".join(reasons), legend(found)]
    return "\n\n".join(filter(None, parts))


def titles(found: Comparison) -> dict[str, str]:
    """{kind: what stands above its columns}"""
    return {"images": "images"} | {kind: f"{tokens} tokens" for kind, tokens in found.tokens.items()}


def speeds(found: Comparison, names: Iterable[str]) -> tuple[list[str], list[list[str]]]:
    """Items a second, times as fast as dynamic mode and as torch, and how the embeddings differ."""
    head = ["a second"]
    for kind in KINDS:
        head += [titles(found)[kind], "x dyn", "x torch"]
    rows = []
    for name in names:
        row, measured = [name], found.sides[name]
        for kind in KINDS:
            ratios = (found.ratio(name, kind), found.ratio(name, kind, measured.side.rival))
            row += [figure(found.rate(name, kind)), *map(figure, ratios)]
        rows.append([*row, figure(measured.largest, "{:.1e}"), figure(measured.cosine, "{:.6f}")])
    return [*head, "max abs", "min cosine"], rows


def costs(found: Comparison, names: Iterable[str]) -> tuple[list[str], list[list[str]]]:
    """Operations a second with their share of the peak, and single items in milliseconds."""
    head = ["GFLOP/s"]
    for kind in KINDS:
        head += [titles(found)[kind], "of peak"]
    for title in SINGLES.values():
        head += [title, "x dyn"]
    rows = []
    for name in names:
        row = [name]
        for kind in KINDS:
            row += [figure(scaled(found.speed(name, kind), 1e-9), "{:,.0f}"), figure(found.share(name, kind), "{:.0%}")]
        for kind in SINGLES:
            mine, base = found.query(name, kind), found.query(DYNAMIC, kind)
            row += [figure(scaled(mine, 1e3), "{:.1f}"), figure(mine and base and mine / base)]
        rows.append(row)
    return head, rows


def legend(found: Comparison) -> str:
    """What the columns say."""
    peaks = [f"{precision} {scaled(found.peak(precision), 1e-9):,.0f}" for precision in found.peaks]
    peaks += [f"{precision} not measured ({reason})" for precision, reason in found.without_peak.items()]
    lines = [
        f"{found.images} images and {found.texts} captions of each length a turn, files and strings in, .npy out, "
        f"{found.cores} cores; tokens with [CLS] and [SEP]; single captions have {found.tokens['short']}.",
        "x dyn: times as fast as dynamic mode, of single items parts of its time. x torch: times as fast as torch at "
        "the same precision, int8 as its bf16.",
        "max abs, min cosine: of normalised embeddings, against those of dynamic mode.",
        f"Matrix peak here, in the same run, GFLOP/s: {', '.join(peaks)}.",
    ]
    return "\n".join(lines)


def content(found: Comparison) -> dict[str, Any]:
    """All that was measured and what follows from it, for a JSON file. Seconds and operations."""
    sides = {}
    for name, measured in found.sides.items():
        own = asdict(measured)
        own |= own.pop("side")
        for kind in measured.seconds:
            rival = measured.side.rival
            own.setdefault("items_per_second", {})[kind] = found.rate(name, kind)
            own.setdefault("times_dynamic", {})[kind] = found.ratio(name, kind)
            own.setdefault("times_torch", {})[kind] = found.ratio(name, kind, rival)
            own.setdefault("share_of_peak", {})[kind] = found.share(name, kind)
        own["query_p50"] = {kind: found.query(name, kind) for kind in measured.queries}
        sides[name] = own
    whole = asdict(found) | {"sides": sides, "peak": {name: found.peak(name) for name in found.peaks}}
    return {"versions": versions(), **whole}
