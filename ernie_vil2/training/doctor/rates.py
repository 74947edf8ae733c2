"""Other learning rates on the batch that the run's own did not learn, from the same starting weights."""

import copy
from pathlib import Path

from ...config.run import RunConfig
from ..distributed import Ranks
from ..trainer import Trainer
from .trial import Learning, trial

HIGHER, LOWER = (3.0, 30.0), (0.3, 0.03)
"""Factors that are tried, of a rate that learns slowly and of one that leaps over the loss"""


def try_rates(
    config: RunConfig, learning: Learning, folder: Path, factors: tuple[float, ...], seconds: float
) -> list[tuple[float, int | None]]:
    """[(rate, steps until the batch was learnt, or None)], up to the first that learns; each may take `seconds`."""
    found = []
    own = config.optimizer.lr
    rates = dict.fromkeys(float(f"{min(factor * own, 1.0):.2g}") for factor in factors)
    for rate in (rate for rate in rates if rate != own):
        changed = copy.deepcopy(config)
        changed.optimizer.lr = rate
        trainer = Trainer(trial(changed, folder / f"rate-{rate:g}"), ranks=Ranks())
        try:
            other = Learning(trainer, learning.batch)
            other.run(seconds)
        finally:
            trainer.close()
        found.append((rate, None if other.error or other.leapt() else other.learnt()))
        if found[-1][1] is not None:
            break
    return found
