"""What a model could do before training, and what it can after: recalls on validation and on data of other kinds."""

from collections.abc import Callable

from ..config.run import DataConfig
from ..data.sources.base import Source
from ..data.sources.open import open_pairs
from ..errors import ConfigError
from ..evaluation.embeddings import Embeddings
from .log.run_log import RunLog, SilentLog

SHOWN = ("t2i_r1", "t2i_r5", "t2i_r10", "i2t_r1", "i2t_r5", "i2t_r10", "mean_recall")
VALID = "valid"
Measured = tuple[dict[str, float], Embeddings]
Measure = Callable[[str, Source, int, RunLog | SilentLog], Measured | None]
"""(name, source, step, log) -> metrics, on rank 0, and Embeddings of a source, or None; it tells the log."""


class BeforeAfter:
    """Measures sources before the first step and after the last one: `valid` and those of data.zero_shot.

    before, after: {name of a source: {metric: percent}}; `valid` is data.valid. before: as it was remembered in a
    checkpoint. A run from random weights has none: it could do nothing.
    """

    def __init__(self, config: DataConfig, valid: Source | None, before: dict | None = None) -> None:
        self.sources = {VALID: valid} if valid is not None else {}
        for key, spec in config.zero_shot.items():
            name = str(key)  # YAML reads 2017 as a number
            if name == VALID:
                raise ConfigError("data.zero_shot names a source valid, which is the name of data.valid; rename it")
            self.sources[name] = open_pairs(spec)
        self.before, self.after = dict(before or {}), {}

    def start(self, measure: Measure, log: RunLog | SilentLog) -> None:
        """Measure everything with the weights to start from, and log it as step 0."""
        self.before.update(self._found(self.sources, 0, measure, log))

    def end(self, step: int, measure: Measure, log: RunLog | SilentLog, valid: dict[str, float]) -> None:
        """Measure the other sources again; `valid` has been measured at this step: its metrics. Prints the table."""
        self.after.update({VALID: valid} if valid else {})
        others = {name: source for name, source in self.sources.items() if name != VALID}
        self.after.update(self._found(others, step, measure, log))
        for line in self.table():
            log.say(line)

    def _found(self, sources: dict[str, Source], step: int, measure: Measure, log: RunLog | SilentLog) -> dict:
        found = {name: measure(name, source, step, log) for name, source in sources.items()}
        return {name: {key: one[0][key] for key in SHOWN} for name, one in found.items() if one and one[0]}

    def table(self) -> list[str]:
        """Lines of a table for people; none without a measurement before."""
        rows = [(name, self.before[name], self.after[name]) for name in self.before if name in self.after]
        if not rows:
            return []
        width = max(len(name) for name, *_ in rows)
        lines = [f"{'before -> after':{width}}   T2I R@1          I2T R@1          mean recall"]
        for name, before, after in rows:
            cells = (f"{before[key]:5.1f} -> {after[key]:5.1f}" for key in ("t2i_r1", "i2t_r1", "mean_recall"))
            lines.append(f"{name:{width}}   " + "   ".join(cells))
        return lines
