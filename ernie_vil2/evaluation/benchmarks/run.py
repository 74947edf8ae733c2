"""A benchmark from its name to printed tables, with all that is needed to get the figures again."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...files.digests import sha256_of
from ...messages import plain
from ...runtime import import_paddle
from ..encoding import Progress
from ..metrics.ranks import percent
from ..runs.provenance import provenance
from ..runs.records import Outcome, Result
from .benchmark import read_options
from .registry import benchmark

if TYPE_CHECKING:
    from ...inference.model import Model

PLAIN = ("pnr", "mrr", "median_rank")
DIRECTIONS = (("Text2Image", "t2i"), ("Image2Text", "i2t"), ("Both", "mean"))


def run_benchmark(
    name: str,
    data: str | Path | None,
    model: str | Path,
    vocab: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    command: str | Sequence[str] = (),
    progress: Progress | None = None,
    damaged: str = "skip",
    engine: str = "auto",
    precision: str = "fp32",
    note: Callable[[str], object] = lambda line: None,
) -> Outcome:
    """The Outcome of a benchmark, with provenance in every Result.

    data: folder of its files, None for one that is drawn. model: path of a model. options: {option: value} of the
    benchmark that were given, such as split and allow_counts. command: the arguments, for the provenance. damaged: skip
    or keep; engine and precision: as in `ernie_vil2.load`; note: told what the model computes with. The files are read
    before the model is loaded, so a fault in them is told at once. Raises ConfigError, DataError, CheckpointError.
    """
    found = benchmark(name)
    options = dict(options or {})
    read_options(found.options, {key: value for key, value in options.items() if key != "split"}, name)
    late = LateModel(model, vocab, damaged, engine, precision, note)
    outcome = found.evaluate(late, name, data, progress=progress, **options)
    tokens = {"vocab": sha256_of(vocab)} if vocab else {}
    kept = {"damaged": damaged} if damaged != "skip" else {}
    kept |= {"precision": precision} if precision != "fp32" else {}
    origin = provenance(command, model, outcome.data_sha256, {"benchmark": name, **options, **tokens, **kept})
    origin |= {"engines": late.engines.record}
    results = [replace(result, provenance={**origin, **result.provenance}) for result in outcome.results]
    return replace(outcome, results=results)


class LateModel:
    """A model that is loaded when it is first used; a path where nothing is is told at once."""

    def __init__(
        self,
        path: str | Path,
        vocab: str | Path | None = None,
        damaged: str = "skip",
        engine: str = "auto",
        precision: str = "fp32",
        note: Callable[[str], object] = lambda line: None,
    ) -> None:
        self._note = note
        self._arguments, self._model = (path, vocab, damaged, engine, precision), None
        if not os.path.exists(path):
            self._load()

    def _load(self) -> "Model":
        if self._model is None:
            import_paddle()
            from ...inference.model import load

            self._model = load(*self._arguments)
            self._note(self._model.engines.told())
        return self._model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._load(), name)


def tables(results: Iterable[Result]) -> str:
    """Text of a table for each Result with all its notes below, so that none is read without what qualifies it."""
    return "\n\n".join(
        "\n".join([table(result), *(f"note: {plain(note)}" for note in result.notes)]) for result in results
    )


def table(result: Result) -> str:
    """Text of one Result: a row per direction where there are recalls, then a row per other metric."""
    counts = ", ".join(f"{number:,} {what}" for what, number in result.counts.items())
    lines, rest = [f"{result.benchmark} ({result.task}): {counts}"], dict(result.metrics)
    if "t2i_r1" in rest:
        lines += [
            "| Name       |    R@1 |    R@5 |   R@10 |   Mean |    MRR | median rank |",
            "|------------|--------|--------|--------|--------|--------|-------------|",
        ]
        for label, key in DIRECTIONS:
            mean = "mean_recall" if key == "mean" else f"{key}_mean"
            names = [f"{key}_r1", f"{key}_r5", f"{key}_r10", mean, f"{key}_mrr", f"{key}_median_rank"]
            if names[0] in rest:
                *cells, last = (shown(name, rest.pop(name)) if name in rest else "" for name in names)
                lines.append(f"| {label:10} | " + " | ".join(f"{cell:>6}" for cell in cells) + f" | {last:>11} |")
        if "i2t_r1" not in result.metrics:
            rest.pop("mean_recall", None)  # the mean of the one direction
    if rest:
        width = max(map(len, ["Metric", *rest]))
        lines += ["", f"| {'Metric':{width}} |   Value |", f"|{'-' * (width + 2)}|---------|"]
        lines += [f"| {name:{width}} | {shown(name, value):>7} |" for name, value in rest.items()]
    return "\n".join(lines)


def shown(name: str, value: float) -> str:
    """A metric as it is printed: shares with two decimals, ratios and reciprocal ranks with four."""
    if name.endswith(PLAIN):
        return f"{value:g}" if name.endswith("median_rank") else f"{value:.4f}"
    return percent(value)
