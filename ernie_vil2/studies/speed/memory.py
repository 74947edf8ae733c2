"""Memory of a step: a large batch through the gradient cache against one micro-batch, each in a process of its own."""

import json
import subprocess
import sys

import numpy as np

from ...config.run import RunConfig, as_dict
from ...device import current_device
from ...errors import UserError
from ...schema import build

START = "from ernie_vil2.studies.speed import memory; memory.serve()"
TEXT_LENGTH = 24
VOCABULARY = 40000


def compare(config, batch, micro):
    """{"small": MiB, "large": MiB, "ratio": ...}: peak above what is in use after loading, of a training step with
    `micro` pairs and with `batch` pairs in micro-batches of `micro`. config: a RunConfig; its data are not read."""
    peaks = {}
    for name, size in (("small", micro), ("large", batch)):
        job = json.dumps({"run": as_dict(config), "batch": size, "micro": micro})
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", START], input=job, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip() or "it gave no reason").split("\n")[-1]
            raise UserError(f"a step of {size} pairs could not be measured: {reason}")
        peaks[name] = float(done.stdout.split()[-1])
    return {**peaks, "ratio": peaks["large"] / peaks["small"]}


def serve():
    """One side of the comparison: the job as JSON on standard input, the answer in MiB."""
    from ...runtime import import_paddle

    import_paddle()
    job = json.loads(sys.stdin.read())
    print(step_peak(build(RunConfig, job["run"], "the job"), job["batch"], job["micro"]))


def step_peak(config, size, micro):
    """MiB that one step of `size` pairs in micro-batches of `micro` needs above what is in use after loading:
    of the process on a CPU, of the tensors on a card."""
    from ...objectives.contrastive import ContrastiveObjective
    from ...objectives.gather import divide
    from ...training.optimization.optimizer import build_optimizer
    from ...training.setup.initial_weights import start_model
    from ...training.step import GradientStep

    config.model.text_tower.vocab_size = config.model.text_tower.vocab_size or VOCABULARY
    objective = ContrastiveObjective(config.objective)
    model = start_model(config, objective)
    model.train()
    model.recompute = config.train.recompute
    optimizer, _ = build_optimizer(model, config.optimizer, config.train.steps)
    step = GradientStep(model, objective, share=divide(size, micro))
    device = current_device()
    device.synchronise()
    device.forget_most()
    loaded = device.memory().now
    step(random_batch(config.model, objective.views, size), 0)
    optimizer.step()
    device.synchronise()
    return device.memory().most - loaded


def random_batch(config, views, size):
    """A Batch of noise: uint8 crops and captions of TEXT_LENGTH tokens."""
    from ...data.batches.views import Batch
    from ...objectives.views import IMAGE_VIEWS

    rng = np.random.default_rng(0)
    side = config.pixels.size
    texts = [view for view in views if view not in IMAGE_VIEWS]
    length = min(TEXT_LENGTH, config.max_length)
    return Batch(
        pixels={
            view: rng.integers(0, 256, (size, side, side, 3), dtype=np.uint8) for view in views if view in IMAGE_VIEWS
        },
        tokens={view: rng.integers(1, config.text_tower.vocab_size, (size, length)) for view in texts},
        image_ids=np.arange(size),
        text_ids={view: np.arange(size) for view in texts},
        present={view: np.ones(size, bool) for view in texts},
        index=np.arange(size),
        where=[f"noise:{row}" for row in range(size)],
    )
