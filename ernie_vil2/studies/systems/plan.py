"""The runs of the table of systems: the same search for a learning rate for each, then the seeds.

For every system and batch each rate is trained to the end with the first seed. The rate with the best validation is
taken, and its run is at the same time that of the first seed in the table. All start from the same two towers.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ...config.load import load_run
from ...errors import ConfigError
from ...files.yaml_files import parse_value
from ..runs.processes import run_all
from ..runs.run import TEST_IMAGES, results
from .comparison import NAMES, Results
from .system_run import SystemRun, timetable
from .towers import TOWERS, tower_run, weights

BATCHES, SEEDS, RATES = (32, 128), (0, 1, 2), (3e-4, 1e-3, 3e-3)
PAIRS, EVALUATIONS = 10240, 4
"""That a run sees; how often it is measured on the way, whatever its batch"""
MOMENTUM, MOMENTUM_BATCH = 0.99, 32
"""Of the copy that fills a queue: the momentum of a step at that batch, which is the same for pairs at every other"""
INSTEAD = {
    "train.steps": "--pairs, from which it follows",
    "train.batch_size": "--batches",
    "train.eval_every": "--pairs, from which it follows",
    "train.log_every": "--pairs, from which it follows",
    "optimizer.lr": "--rates",
    "optimizer.warmup": "--pairs, from which it follows",
    "objective.negatives.momentum": "--batches, from which it follows",
    "seed": "--seeds",
    "output": "--output",
    "init.model": "--configs, whose folder towers/ has what all systems start from",
    "init.image": "--configs, whose folder towers/ has what all systems start from",
    "init.text": "--configs, whose folder towers/ has what all systems start from",
}
"""{key that a plan sets itself: the option to use instead of an override}"""
Rates = Mapping[tuple[str, int], float]
"""{(system, batch): learning rate}"""


def given_keys(override: str) -> Iterator[str]:
    """The dotted keys that an override gives, of a mapping all below it; what is malformed is told when it is read."""
    key, _, text = override.partition("=")
    left = [(key.strip(), parse_value(f"-o {override}", text, f": {text!r} is not a YAML value; quote it"))]
    while left:
        key, value = left.pop()
        yield key
        if isinstance(value, dict):
            left.extend((f"{key}.{name}", inner) for name, inner in value.items())


def validation(result: Mapping[str, Any]) -> float:
    """Mean recall of a run on the validation split after its last step, in percent; of one that diverged, the worst."""
    if result.get("diverged"):
        return -math.inf
    return [record["mean_recall"] for record in result["log"] if record["kind"] == "valid"][-1]


@dataclass(frozen=True)
class Plan:
    """What is asked for. folder: of the configurations; output: of the runs; pairs: that every run sees; only: systems,
    all where it is empty; overrides: for every run; images: unseen scenes of the evaluation."""

    folder: str | Path
    output: str | Path
    pairs: int = PAIRS
    batches: tuple[int, ...] = BATCHES
    seeds: tuple[int, ...] = SEEDS
    rates: tuple[float, ...] = RATES
    only: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    images: int = TEST_IMAGES

    def __post_init__(self):
        for name in ("batches", "seeds", "rates", "only"):
            object.__setattr__(self, name, tuple(dict.fromkeys(getattr(self, name))))
        for name in self.only:
            if name not in NAMES:
                raise ConfigError(f"--only {name}: the systems are {', '.join(NAMES)}; choose among them")
        for batch in self.batches:
            if self.pairs % batch:
                raise ConfigError(
                    f"--pairs {self.pairs} is no multiple of the batch {batch}, so runs would see different numbers of "
                    "pairs; choose another --pairs"
                )
        for override in self.overrides:
            for key in given_keys(override):
                if key in INSTEAD:
                    raise ConfigError(f"-o {override}: the table sets {key} for each run; use {INSTEAD[key]}")

    @property
    def names(self) -> tuple[str, ...]:
        """The systems, in the order of the table."""
        return tuple(name for name in NAMES if not self.only or name in self.only)

    @cached_property
    def queued(self) -> frozenset[str]:
        """The systems with a queue."""
        kinds = {name: load_run(self._path(name), self.overrides).objective.negatives.kind for name in self.names}
        return frozenset(name for name, kind in kinds.items() if kind == "queue")

    def _path(self, name: str) -> Path:
        return Path(self.folder) / f"{name}.yaml"

    @cached_property
    def towers(self) -> dict[str, SystemRun]:
        """The trainings of the towers that all runs start from."""
        asked = self.folder, self.output, self.pairs, self.overrides, self.images
        return {tower: tower_run(tower, *asked) for tower in TOWERS}

    def run(self, name: str, batch: int, rate: float, seed: int) -> SystemRun:
        """One run; its steps follow from the pairs, and so does the momentum of a queue's copy."""
        steps = self.pairs // batch
        place = Path(self.output) / f"{name}-batch{batch}-rate{rate:g}-seed{seed}"
        fixed = [
            *self.overrides,
            f"seed={seed}",
            f"output={json.dumps(str(place))}",
            f"optimizer.lr={rate!r}",
            f"train.batch_size={batch}",
            *timetable(steps, EVALUATIONS),
            *(f"init.{tower}={json.dumps(str(weights(run)))}" for tower, run in self.towers.items()),
        ]
        if name in self.queued:
            fixed.append(f"objective.negatives.momentum={MOMENTUM ** (batch / MOMENTUM_BATCH)!r}")
        return SystemRun(name, seed, self._path(name), place, fixed, self.images, batch=batch, rate=rate)

    def search(self) -> list[SystemRun]:
        """The runs of the search: rates from the middle outwards, every system at every batch before the next rate, so
        that a search that is stopped has something for all of them."""
        middle = sorted(self.rates)[len(self.rates) // 2]
        rates = sorted(self.rates, key=lambda rate: (rate != middle, rate))
        return [
            self.run(name, batch, rate, self.seeds[0])
            for rate in rates
            for batch in self.batches
            for name in self.names
        ]

    def chosen(self, searched: Results) -> dict[tuple[str, int], float]:
        """The rate with the best validation, of equal ones the lower, where the search of a system is done and not all
        of its rates diverged."""
        found = {}
        for batch in self.batches:
            for name in self.names:
                own = [row for row in searched if (row["name"], row["batch"]) == (name, batch)]
                if {row["rate"] for row in own} >= set(self.rates):
                    best = max(own, key=lambda row: (validation(row), -row["rate"]))
                    if not best.get("diverged"):
                        found[name, batch] = best["rate"]
        return found

    def diverged(self, searched: Results) -> list[tuple[str, int]]:
        """The systems and batches all of whose rates diverged."""
        calm = {(row["name"], row["batch"]) for row in searched if not row.get("diverged")}
        done = Counter((row["name"], row["batch"]) for row in searched)
        return [key for key, runs in done.items() if runs == len(self.rates) and key not in calm]

    def table(self, rates: Rates) -> list[SystemRun]:
        """The runs that the table compares, seed by seed."""
        return [self.run(name, batch, rate, seed) for seed in self.seeds for (name, batch), rate in rates.items()]


class Outcome(NamedTuple):
    """towers: {tower: result} of what all start from; searched, results: of the search and of the table; failed:
    {label: reason} of what has no result."""

    towers: Mapping[str, Mapping[str, Any]]
    searched: Results
    results: Results
    failed: dict[str, str]


def train(plan: Plan, jobs: int = 2, say: Callable[[str], object] = print, replace: bool = False) -> Outcome:
    """Do what is not done of a plan.

    A rate that diverged is the worst of the search; a seed of the table that diverged has failed, and so has a system
    whose rates all did. Without its towers nothing else runs. ConfigError before anything runs where a folder holds a
    run of another configuration.
    """
    for rate in plan.rates:
        for run in plan.table({(name, batch): rate for name in plan.names for batch in plan.batches}):
            run.finished(replace)
    failed = run_all(list(plan.towers.values()), jobs, say, replace)
    towers = {tower: row for tower, run in plan.towers.items() for row in results([run])}
    failed |= {plan.towers[key].label: "its training diverged" for key, row in towers.items() if row.get("diverged")}
    if failed:
        return Outcome({}, [], [], failed)
    search = plan.search()
    failed = run_all(search, jobs, say, replace)
    searched = results(search)
    table = plan.table(plan.chosen(searched))
    failed |= run_all(table, jobs, say, replace)
    failed |= {f"{NAMES[name]}, batch {batch}": "every rate diverged" for name, batch in plan.diverged(searched)}
    reached = []
    for run in table:
        for row in results([run]):
            if row.get("diverged"):
                failed[run.label] = "its training diverged"
            else:
                reached.append(row)
    return Outcome(towers, searched, reached, failed)
