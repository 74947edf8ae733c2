"""What a run writes to disk: model directories under checkpoints/, and which one is the latest and the best."""

import json
import os
import shutil
from pathlib import Path

import numpy as np

from ..checkpoints.store import save_model
from ..config import as_dict


def model_state(model):
    """{key: float32 array} of the model's parameters, in the release's layout."""
    return {key: np.asarray(value.numpy()) for key, value in model.state_dict().items()}


class Checkpoints:
    """`folder`/step-0000400 ... are whole model directories; `folder`/checkpoints.json names the latest and the best.

    The last `keep` of them and the best one are kept. Each is written under another name first and renamed when whole.
    """

    def __init__(self, folder, vocab, config, keep=2):
        self.folder, self.vocab, self.config, self.keep = Path(folder), vocab, config, keep
        self.steps, self.best, self.best_score = [], None, -np.inf

    def path(self, step):
        """The model directory of a step."""
        return self.folder / f"step-{step:07d}"

    def save(self, model, step, score=None, metrics=None):
        """Write the checkpoint of `step`; `score` decides the best. Returns its path."""
        path = self.path(step)
        extra = {"step": step, "metrics": metrics or {}, "run": as_dict(self.config)}
        save_model(path, model_state(model), model.config, self.vocab, extra=extra)
        self.steps.append(step)
        if score is not None and score > self.best_score:
            self.best, self.best_score = step, score
        self._write_pointer()
        for old in self.steps[: -self.keep]:
            if old != self.best:
                shutil.rmtree(self.path(old), ignore_errors=True)
        self.steps = [old for old in self.steps if self.path(old).is_dir()]
        return path

    def _write_pointer(self):
        content = {
            "latest": self.path(self.steps[-1]).name,
            "best": self.path(self.best).name if self.best is not None else None,
        }
        temporary = self.folder / "checkpoints.json.tmp"
        with open(temporary, "w", encoding="utf-8") as handle:
            json.dump(content, handle, indent=1)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, self.folder / "checkpoints.json")
