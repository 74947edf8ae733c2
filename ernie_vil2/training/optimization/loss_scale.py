"""The factor that keeps small fp16 gradients above zero, found by trial; exact in fp32, being a power of two.

Paddle's GradScaler looks at the gradients of one process; here the decision follows the norm over all ranks, so that
every rank takes or skips the same step. Reference: mixed precision training (arXiv 1710.03740).
"""

import math
from collections.abc import Mapping

GROWTH_STEPS = 2000
LARGEST = 2.0**24


class LossScale:
    """`value` multiplies the loss; `update(norm)` tells whether the step may be taken and adapts the value."""

    def __init__(self, value: float = 2.0**15) -> None:
        self.value, self.good = value, 0

    def update(self, norm: float) -> bool:
        """Whether the unscaled gradient of this norm is finite; halves the value when not, doubles it after long."""
        if not math.isfinite(norm):
            self.value, self.good = max(self.value / 2, 1.0), 0
            return False
        self.good += 1
        if self.good >= GROWTH_STEPS:
            self.value, self.good = min(self.value * 2, LARGEST), 0
        return True

    def state(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        return {"value": self.value, "good": self.good}

    def load(self, state: Mapping[str, float]) -> None:
        """Go on from a checkpoint's state."""
        self.value, self.good = float(state["value"]), int(state["good"])
