"""Which results stand beside published figures, and which among themselves: own sets, and parts of benchmarks."""

from collections import Counter
from collections.abc import Sequence

from ..benchmarks.counts import is_part
from ..own_set import own_title
from ..runs.records import Result, Run

Rows = list[tuple[str, Result]]
"""(name of the run, one of its results)"""
SHOWN = 8
"""Characters of a checksum that tell two sets of one name apart"""
OWN_TITLE = "Your own pictures, and parts of benchmarks"
OWN_EXPLAINED = (
    "No published figure stands here: nobody else measured these pictures. A table compares models on the same data "
    "alone; figures of two sets say nothing of each other, and a smaller set is an easier one."
)
PROTOCOLS = {
    "standard": "every text of a picture is right, and an equal score counts against the model",
    "official": "as the release's script does: text i belongs to picture i alone, and equal scores count for the model",
}


def placed(named: Sequence[tuple[str, Run]]) -> tuple[dict[str, Rows], dict[tuple[str, str, str], Rows]]:
    """({benchmark: rows}, {(title, benchmark, data_sha256): rows} of own sets and of parts of benchmarks), in order.

    Rows of own data stand together where they were measured under the same protocol on the same data, whatever the file
    was called then; the first run's name is the title, with the beginning of the checksum where other data have it too.
    """
    public: dict[str, Rows] = {}
    own: dict[tuple[str, str], Rows] = {}
    for name, run in named:
        for result in run.results:
            if not is_own(result):
                public.setdefault(result.benchmark, []).append((name, result))
                continue
            protocol = result.benchmark.rpartition("@")[2] if own_title(result.benchmark) else result.benchmark
            own.setdefault((protocol, str(result.provenance.get("data_sha256"))), []).append((name, result))
    names = {key: title_of(rows[0][1]) for key, rows in own.items()}
    shared = {name for name, count in Counter(names.values()).items() if count > 1}
    titles = {key: name + f" (data {key[1][:SHOWN]})" * (name in shared) for key, name in names.items()}
    return public, {(titles[key], *key): rows for key, rows in own.items()}


def is_own(result: Result) -> bool:
    """Whether a result has no published figures to stand beside: of an own set, or of a part of a benchmark."""
    return own_title(result.benchmark) is not None or is_part(result.notes)


def title_of(result: Result) -> str:
    """The heading of the table that begins with this result."""
    own = own_title(result.benchmark)
    if own is None:
        return f"A part of {result.benchmark}"
    return f"{own}, {result.benchmark.rpartition('@')[2]} protocol"


def own_protocol(benchmark: str) -> str | None:
    """One line on what is measured on an own set; None for a public benchmark."""
    return None if own_title(benchmark) is None else PROTOCOLS.get(benchmark.rpartition("@")[2], "")


def size_told(result: Result) -> str:
    """How many items a result was measured on, and what one more right answer is worth there."""
    told = " and ".join(f"{number:,} {what}" for what, number in list(result.counts.items())[:2])
    asked = result.counts.get("text queries", result.counts.get("texts"))
    worth = f" One text more or less is {100 / asked:.3g} points of text-to-image R@1." if asked else ""
    return f"Measured on {told}.{worth}" if told else ""
