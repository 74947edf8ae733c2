"""A benchmark from its name to printed tables, with all that is needed to get the figures again."""

import inspect
import os
from dataclasses import replace

from ...errors import ConfigError
from ...files.digests import sha256_of
from ..metrics.ranks import percent
from ..runs import results as runs
from .registry import benchmark

TAKEN = ("model", "name", "data", "progress")
"""arguments of every benchmark that are no options"""
PLAIN = ("pnr", "mrr", "median_rank")
DIRECTIONS = (("Text2Image", "t2i"), ("Image2Text", "i2t"), ("Both", "mean"))


def run_benchmark(name, data, model, vocab=None, options=None, command=(), progress=None):
    """The Outcome of a benchmark, with provenance in every Result.

    data: folder of its files. model: path of a model. options: {option: value} of the benchmark that were given, such
    as split and allow_counts. command: the arguments, for the provenance. The files are read before the model is
    loaded, so a fault in them is told at once. Raises ConfigError, DataError, CheckpointError.
    """
    evaluate = benchmark(name)
    options = dict(options or {})
    known = inspect.signature(evaluate).parameters
    every = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values())
    foreign = [option for option in options if option in TAKEN or not (every or option in known)]
    if "skip_broken" in foreign:
        raise ConfigError(
            f"--skip-broken does not go with the benchmark {name}, which skips no image: a broken one is "
            "named and ends the run; leave the option out"
        )
    if foreign:
        raise ConfigError(f"the benchmark {name} has no option {foreign[0]}; leave it out")
    outcome = evaluate(LateModel(model, vocab), name, data, progress=progress, **options)
    tokens = {"vocab": sha256_of(vocab)} if vocab else {}
    origin = runs.provenance(command, model, outcome.data_sha256, {"benchmark": name, **options, **tokens})
    return replace(outcome, results=[replace(result, provenance=origin) for result in outcome.results])


class LateModel:
    """A model that is loaded when it is first used; a path where nothing is is told at once."""

    def __init__(self, path, vocab=None):
        self._path, self._vocab, self._model = path, vocab, None
        if not os.path.exists(path):
            self._load()

    def _load(self):
        import ernie_vil2

        self._model = self._model or ernie_vil2.load(self._path, self._vocab)
        return self._model

    def __getattr__(self, name):
        return getattr(self._load(), name)


def tables(results):
    """Text of a table for each Result with all its notes below, so that none is read without what qualifies it."""
    return "\n\n".join("\n".join([table(result), *(f"note: {note}" for note in result.notes)]) for result in results)


def table(result):
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


def shown(name, value):
    """A metric as it is printed: shares with two decimals, ratios and reciprocal ranks with four."""
    if name.endswith(PLAIN):
        return f"{value:g}" if name.endswith("median_rank") else f"{value:.4f}"
    return percent(value)
