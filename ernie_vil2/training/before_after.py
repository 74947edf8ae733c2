"""What a model could do before training, and what it can after: recalls on validation and on data of other kinds."""

from ..data.sources.open import open_source
from ..errors import ConfigError
from .validation import validate

SHOWN = ("t2i_r1", "t2i_r5", "t2i_r10", "i2t_r1", "i2t_r5", "i2t_r10", "mean_recall")
VALID = "valid"


class BeforeAfter:
    """Measures sources before the first step and after the last one: `valid` and those of data.zero_shot.

    before, after: {name of a source: {metric: percent}}; `valid` is data.valid. before: as it was remembered in a
    checkpoint. A run from random weights has none: it could do nothing.
    """

    def __init__(self, config, valid, before=None):
        self.sources = {VALID: valid} if valid is not None else {}
        for key, spec in config.zero_shot.items():
            name = str(key)  # YAML reads 2017 as a number
            if name == VALID:
                raise ConfigError("data.zero_shot names a source valid, which is the name of data.valid; rename it")
            self.sources[name] = open_source(spec)
        self.before, self.after = dict(before or {}), {}

    def start(self, encoder, ranks, log):
        """Measure everything with the weights to start from, and log it as step 0."""
        self.before.update(self._measure(self.sources, 0, encoder, ranks, log))

    def end(self, step, encoder, ranks, log, valid):
        """Measure the other sources again; `valid` has been measured at this step: its metrics. Prints the table."""
        self.after.update({VALID: valid} if valid else {})
        others = {name: source for name, source in self.sources.items() if name != VALID}
        self.after.update(self._measure(others, step, encoder, ranks, log))
        for line in self.table():
            log.say(line)

    def _measure(self, sources, step, encoder, ranks, log):
        found = {}
        for name, source in sources.items():
            metrics, embeddings = validate(encoder, source, ranks)
            ranks.wait()
            for note in embeddings.notes:
                log.say(f"{name}: {note}")
            if ranks.main:
                found[name] = {key: metrics[key] for key in SHOWN}
                kind = "valid" if name == VALID else "zero_shot"
                log.record(kind, step, {**found[name], "source": source.name if name == VALID else name})
        return found

    def table(self):
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
