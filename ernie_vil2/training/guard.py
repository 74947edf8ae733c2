"""Stops a run whose loss or gradient is not finite or leaps, and leaves behind what is needed to find out why."""

import json
import math
import os
from collections import deque
from pathlib import Path
from statistics import median

from ..data.batches.views import Batch
from ..errors import UserError
from ..files.atomic import atomic_file, reported

REMEMBERED = 100
FEWEST = 10
"""Losses that must be known before one can be called a leap."""
MOST_SKIPPED = 50


class Guard:
    """Looks at every step of a run.

    folder: where the file about a stopped step goes; factor: a loss over `factor` times the median of the last 100
    stops the run, 0: only what is not finite does; rank: of this process, for a file of its own. Several ranks should
    be given the same loss and norm, so that they stop together; each then writes about its own share of the batch.
    """

    def __init__(self, folder: str | os.PathLike, factor: float = 0.0, rank: int = 0) -> None:
        self.folder, self.factor, self.rank = Path(folder), factor, rank
        self.losses = deque(maxlen=REMEMBERED)
        self.skipped = 0

    def check(self, step: int, loss: float, norm: float, batch: Batch, skippable: bool = False) -> None:
        """Raise UserError that names the file when `step` (from 0), with this loss and gradient norm, must be the last.

        Call it before the optimizer's step. skippable: an fp16 loss scaler skips a step whose norm is not finite by
        itself and lowers its scale; only 50 of those in a row stop the run.
        """
        reason, hint = self._judge(loss, norm, skippable)
        if reason is None:
            self.losses.append(loss)
            return
        path = self._write(step, loss, norm, batch, reason)
        raise UserError(
            f"step {step + 1}: {reason}; {path} names the rows of the batch and the last losses: look at those rows, "
            f"{hint}, and go on from the last checkpoint with --resume auto"
        )

    def _judge(self, loss, norm, skippable):
        """(what is wrong or None, what helps)."""
        lower = "lower optimizer.lr or lengthen optimizer.warmup"
        if not math.isfinite(loss):
            return f"the loss is {loss}", lower
        if math.isfinite(norm):
            self.skipped = 0
        elif not skippable:
            return f"the norm of the gradient is {norm}", lower
        else:
            self.skipped += 1
            if self.skipped >= MOST_SKIPPED:
                return f"{self.skipped} steps in a row had a gradient that is not finite", f"{lower}, or train in bf16"
        if self.factor and len(self.losses) >= FEWEST:
            usual = median(self.losses)
            if loss > usual + (self.factor - 1) * abs(usual):  # a loss of a user's own may be below 0
                text = f"the loss leapt to {loss:.4g} from a median of {usual:.4g} (train.spike is {self.factor:g})"
                return text, f"{lower}, or raise train.spike"
        return None, None

    def _write(self, step, loss, norm, batch, reason):
        suffix = f"-rank{self.rank}" if self.rank else ""
        path = self.folder / f"stopped-step-{step + 1:07d}{suffix}.json"
        content = {
            "step": step + 1,
            "reason": reason,
            "loss": plain(loss),
            "grad_norm": plain(norm),
            "last_losses": list(self.losses),
            "samples": [
                {"where": where, "index": int(index), "image_id": int(image_id)}
                for where, index, image_id in zip(batch.where, batch.index, batch.image_ids, strict=True)
            ],
        }
        with reported(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as handle:
                handle.write(
                    (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "backslashreplace")
                )
        return path


def plain(value: float) -> float | str:
    """A number that JSON knows, or its name."""
    return value if math.isfinite(value) else str(value)
