"""The loss alone: its tiles at a large batch against logits in one piece at a batch that bears them.

The plain form is what CLIP codes do and this library does not: whole matrices of logits, targets and softmax, and
autograd. Every side is measured in a process of its own.
"""

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ...config.run import ObjectiveConfig
from ...data.batches.views import Batch
from ...device import MIB, current_device
from ...errors import UserError

if TYPE_CHECKING:
    import paddle

START = "from ernie_vil2.studies.speed import loss; loss.serve()"
WIDTH = 768
SCALE = 50.0
PLAIN_BATCH = 4096
WARM = 512
"""Pairs of the pass before, in which libraries allocate what they keep"""
TURNS = 3


def compare(batch: int, plain_batch: int = PLAIN_BATCH, width: int = WIDTH, turns: int = TURNS) -> dict[str, Any]:
    """{"tiled", "small", "plain": each as `measured`; "needed": MiB of tensors of the plain form at `batch`, from its
    bytes a logit; "elapsed", "processor": time a logit of "tiled" over that of "plain"}.

    "tiled" is the loss at `batch`, measured once, between the turns of the others; "small" is the loss at
    `plain_batch`, and "plain" the plain form there, in alternating turns. The best turn counts, for other work on the
    machine only takes away.
    """
    found = {"tiled": [], "small": [], "plain": []}
    sides = [("small", "tiled", plain_batch), ("plain", "plain", plain_batch)] * turns
    middle = len(sides) // 2
    for name, form, size in [*sides[:middle], ("tiled", "tiled", batch), *sides[middle:]]:
        found[name].append(ask({"form": form, "batch": size, "width": width}))
    found = {name: {key: min(turn[key] for turn in turns) for key in turns[0]} for name, turns in found.items()}
    tiled, plain = found["tiled"], found["plain"]
    ratios = {name: tiled[name] / plain[name] for name in ("elapsed", "processor")}
    return {**found, "needed": plain["tensors"] * (batch / plain_batch) ** 2, **ratios}


def lines(found: dict[str, Any]) -> str:
    """Four lines for a terminal."""
    told = [
        f"{found[key]['batch']:,} pairs, {name}: {found[key]['tensors']:,.0f} MiB of tensors and "
        f"{found[key]['resident']:,.0f} MiB of the process above inputs and gradients, "
        f"{found[key]['elapsed']:.0f} ns a logit, {found[key]['processor']:.0f} ns of processors"
        for name, key in (("in tiles", "tiled"), ("in tiles", "small"), ("in one piece", "plain"))
    ]
    told.append(
        f"{found['tiled']['batch']:,} pairs in tiles take {found['elapsed']:.2f} x the time a logit of "
        f"{found['plain']['batch']:,} in one piece, {found['processor']:.2f} x that of processors; in one piece they "
        f"would need {found['needed'] / 1024:,.1f} GiB"
    )
    return "\n".join(told)


def ask(job: dict[str, Any]) -> dict[str, float]:
    """The answer of a process to a job; UserError with its last line when it fails."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", START], input=json.dumps(job), capture_output=True, text=True
    )
    if done.returncode:
        reason = (done.stderr.strip() or f"it ended with status {done.returncode}").split("\n")[-1]
        raise UserError(f"the {job['form']} loss of {job['batch']:,} pairs could not be measured: {reason}")
    return json.loads(done.stdout.strip().split("\n")[-1])


def serve() -> None:
    """One process of `ask`: the job as JSON on standard input, the answer as JSON on the last line."""
    from ...runtime import import_paddle

    import_paddle()
    job = json.loads(sys.stdin.read())
    print(json.dumps(measured(FORMS[job["form"]], job["batch"], job["width"])))


def measured(form: type, batch: int, width: int) -> dict[str, float]:
    """{"batch"; "tensors", "resident": MiB at the peak of both passes above what there was with the inputs, less the
    inputs' gradients, of Paddle's tensors and of the whole process; "elapsed", "processor": nanoseconds a logit of both
    passes by the clock, and of all threads' processor time}.

    On a card both figures of memory are those of the tensors.
    """
    device = current_device()
    both_passes(form(WARM), *inputs(WARM, width))
    loss, sides = form(batch), inputs(batch, width)
    device.synchronise()
    device.forget_most()
    tensors, whole = device.tensors().now, device.memory().now
    clock, work = time.perf_counter(), time.process_time()
    both_passes(loss, *sides)
    device.synchronise()
    elapsed, processor = time.perf_counter() - clock, time.process_time() - work
    gradients = 2 * batch * width * 4 / MIB
    return {
        "batch": batch,
        "tensors": device.tensors().most - tensors - gradients,
        "resident": device.memory().most - whole - gradients,
        "elapsed": elapsed / batch**2 * 1e9,
        "processor": processor / batch**2 * 1e9,
    }


def inputs(batch: int, width: int) -> "tuple[paddle.Tensor, paddle.Tensor]":
    """Normalised embeddings [B, D] of two views that agree about as much as those of a trained model."""
    import paddle
    import paddle.nn.functional as F

    paddle.seed(0)
    x = F.normalize(paddle.randn([batch, width]))
    y = F.normalize(x + 0.05 * paddle.randn([batch, width]))
    x.stop_gradient = y.stop_gradient = False
    return x, y


def both_passes(loss: Any, x: "paddle.Tensor", y: "paddle.Tensor") -> None:
    """Forward and backward, down to the gradients of the embeddings and of the scale."""
    import paddle

    scale = paddle.full([1], SCALE)
    scale.stop_gradient = False
    loss(x, y, scale).backward()


class Tiled:
    """The library's loss of one pair of views, every sample with an image and a caption of its own."""

    def __init__(self, batch: int) -> None:
        from ...objectives.contrastive import ContrastiveObjective

        place = np.arange(batch)
        self.objective = ContrastiveObjective(ObjectiveConfig(pairs=[["image", "caption", 1.0]]))
        self.batch = Batch({}, {}, place, {"caption": place}, {}, place, [""] * batch)

    def __call__(self, x: "paddle.Tensor", y: "paddle.Tensor", scale: "paddle.Tensor") -> "paddle.Tensor":
        self.logit_scale = lambda group: scale  # all that the objective asks of a model
        return self.objective.loss({"image": x, "caption": y}, self.batch, self)["loss"]


class Plain:
    """The same loss with whole matrices and autograd."""

    def __init__(self, batch: int) -> None:
        import paddle

        self.images = self.texts = paddle.arange(batch)

    def __call__(self, x: "paddle.Tensor", y: "paddle.Tensor", scale: "paddle.Tensor") -> "paddle.Tensor":
        import paddle

        logits, total = paddle.matmul(x, y, transpose_y=True) * scale, 0.0
        for side in (logits, logits.T):
            same = self.images[:, None] == self.images[None, :]
            same = (same | (self.texts[:, None] == self.texts[None, :])).astype("float32")
            target = same / same.sum(1, keepdim=True)
            total -= (target * (side - paddle.logsumexp(side, axis=1, keepdim=True))).sum()
        return total / (2 * len(x))


FORMS = {"tiled": Tiled, "plain": Plain}
