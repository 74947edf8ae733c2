"""A training of the table of systems, and what is measured of it: three tasks over scenes that it never saw."""

from dataclasses import dataclass
from typing import Any

from ..runs.run import EVALUATION, Run, Study
from .comparison import COMMAND

WARMUP, LOGGED = 10, 20
"""A run warms up for a tenth of its steps, and logs 20 lines, whatever its batch"""


@dataclass
class SystemRun(Run):
    """A system, or a tower to start from, with a batch, a learning rate and a seed."""

    batch: int = 1
    rate: float = 1e-3

    study = Study(COMMAND, "the table of systems", "systems.json", tells_divergence=True)

    @property
    def label(self) -> str:
        return f"{self.name}, batch {self.batch}, rate {self.rate:g}, seed {self.seed}"

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "batch": self.batch, "rate": self.rate}

    def evaluation(self) -> list[str]:
        asked = ["--benchmark", "scenes", "-o", f"images={self.images}"]
        return ["eval", "--model", str(self.model), *asked, "--json", str(self.folder / EVALUATION)]

    def metrics(self, report: dict[str, Any]) -> dict[str, Any]:
        """All figures of the three sets; `map` and `colours_map` are at `map_depth`, the deepest that was measured:
        `all` images, or as many."""
        by_set = {row["benchmark"].partition("@")[2]: row["metrics"] for row in report["results"]}
        deepest = [key for key in by_set["images"] if key.startswith("map@")][-1]
        own = {"map_depth": deepest.partition("@")[2], "num_images": self.images}
        precision = {"map": by_set["images"][deepest], "colours_map": by_set["images"][f"colours_{deepest}"]}
        return {**by_set["retrieval"], **by_set["texts"], **precision, **own}


def timetable(steps: int, evaluations: int) -> list[str]:
    """Overrides that follow from the number of steps."""
    return [
        f"train.steps={steps}",
        f"optimizer.warmup={steps // WARMUP}",
        f"train.eval_every={max(1, steps // evaluations)}",
        f"train.log_every={max(1, steps // LOGGED)}",
    ]
