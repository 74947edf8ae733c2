"""What a run tells: one line a record on the terminal, JSON lines in a file, VisualDL scalars, a progress bar."""

import json
import math
import sys
import time
from pathlib import Path


def duration(seconds):
    """Seconds as h:mm:ss."""
    seconds = int(round(seconds))
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"


def formatted(value):
    """A value for the line on the terminal."""
    if isinstance(value, float):
        return f"{value:.3e}" if value and abs(value) < 1e-3 else f"{value:.4f}"
    return str(value)


class RunLog:
    """Writes `log.jsonl` and VisualDL scalars into `folder` and one line per record to the terminal.

    total: steps of the run, for the progress bar, which is drawn on a terminal only.
    """

    def __init__(self, folder, total):
        from tqdm import tqdm
        from visualdl import LogWriter

        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = open(self.folder / "log.jsonl", "a", encoding="utf-8")
        self.visual = LogWriter(logdir=str(self.folder / "visualdl"))
        self.bar = tqdm(total=total, unit="step", disable=not sys.stderr.isatty(), dynamic_ncols=True)
        self.started = time.time()

    def say(self, text):
        """A line for people only."""
        if self.bar.disable:
            print(text, flush=True)
        else:
            self.bar.write(text)

    def record(self, kind, step, values):
        """One record, kind train or valid: a line, a JSON line and a scalar for every number in `values`."""
        entry = {"kind": kind, "step": step, "time": round(time.time() - self.started, 3)}
        for key, value in values.items():
            entry[key] = None if isinstance(value, float) and not math.isfinite(value) else value
        self.file.write(json.dumps(entry) + "\n")
        self.file.flush()
        for key, value in values.items():
            if isinstance(value, (int, float)):
                self.visual.add_scalar(tag=f"{kind}/{key}", step=step, value=value)
        self.say(f"{kind} step {step}: " + ", ".join(f"{key} {formatted(value)}" for key, value in values.items()))

    def close(self):
        """Flush and close everything."""
        self.bar.close()
        self.visual.close()
        self.file.close()
