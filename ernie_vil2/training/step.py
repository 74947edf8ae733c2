"""Gradients of one batch, in the two halves of an objective: towers to embeddings, embeddings to loss.

The cut between them is where the gradient of the loss waits at the embeddings. The gradient cache re-enters the towers
there, chunk by chunk. On a CPU it also lets the image tower and the text tower run side by side, each in a thread of
its own: most of Paddle's CPU kernels use one core, whatever OMP_NUM_THREADS says (docs/architecture.md has the
figures). With the same number of threads per kernel the gradients are the same bit for bit.
"""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import paddle

from ..config.model import LIBRARIES
from ..device import current_device
from ..objectives.gather import divide
from ..objectives.views import IMAGE_VIEWS
from ..threads import set_kernel_threads, thread_count
from .grad_cache import embed, replay


def autocast(precision, level="O1"):
    """Mixed precision of the towers; the loss stays in fp32."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return paddle.amp.auto_cast(level=level, dtype="bfloat16" if precision == "bf16" else "float16")


def draws_masks(config):
    """Whether a forward pass in training is random; the generator is one for the process, so towers then take turns."""
    return any(
        tower.dropout or tower.drop_path or getattr(tower, "patch_dropout", 0) or tower.kind in LIBRARIES
        for tower in config.towers().values()
    )


class GradientStep:
    """`step(batch, number)` leaves the gradients of the batch in the model's parameters and returns the loss parts.

    share: the rows of the global batch that `batch` holds; None for all of it in one micro-batch. With several chunks
    the gradient cache is used. scale: factor of the loss before its backward pass (fp16). side_by_side: whether the
    towers may run in two threads; by default on a CPU with two threads or more. `embeds` are the last embeddings,
    `frozen` names the towers ("image", "text") that need no gradient.
    """

    def __init__(self, model, objective, seed=0, share=None, precision="fp32", level="O1", side_by_side=None):
        self.model, self.objective, self.seed, self.share = model, objective, seed, share
        self.precision, self.level = precision, level
        self.scale, self.embeds, self.frozen = 1.0, {}, ()
        if side_by_side is None:
            side_by_side = current_device().is_cpu and thread_count() > 1
        named = {"image": [], "text": []}
        for view in objective.views:
            named["image" if view in IMAGE_VIEWS else "text"].append(view)
        self.towers = {name: tuple(views) for name, views in named.items() if views}
        self.pool = None
        if side_by_side and len(self.towers) > 1:
            self.pool = ThreadPoolExecutor(2, "tower")

    def __call__(self, batch, number):
        share = self.share or divide(len(batch))
        key = (self.seed, number)
        cached = len(share.chunks()) > 1
        random = draws_masks(self.model.config)

        def forward(tower):
            graph = not cached and tower not in self.frozen
            with autocast(self.precision, self.level):
                return embed(self.model, batch, share, key, self.towers[tower], graph)

        recompute = self.model.recompute  # Paddle's hooks for it are one pair for the process
        done = self._each_tower(forward, together=not (random or recompute))
        embeds = {view: value for part in done for view, value in part.items()}
        leaves = {view: value.detach() for view, value in embeds.items()}
        for view, leaf in leaves.items():
            leaf.stop_gradient = any(view in self.towers[tower] for tower in self.frozen if tower in self.towers)
        self.embeds = leaves
        parts = self.objective.loss(leaves, batch, self.model, share)
        if not parts:
            return parts
        (parts["loss"] * self.scale).backward()

        def backward(tower):
            gradients = {view: leaves[view].grad for view in self.towers[tower] if leaves[view].grad is not None}
            if not gradients:
                return
            if cached:
                with autocast(self.precision, self.level):
                    replay(self.model, batch, share, key, gradients)
            else:
                paddle.autograd.backward([embeds[view] for view in gradients], list(gradients.values()))

        self._each_tower(backward, together=not (recompute or (random and cached)))
        return parts

    def _each_tower(self, work, together=True):
        """[work(tower)] of both towers; side by side each has half of the kernel threads meanwhile."""
        if self.pool is None or not together:
            return [work(tower) for tower in self.towers]

        def limited(tower):
            set_kernel_threads(max(1, thread_count() // 2))
            return work(tower)

        try:
            return list(self.pool.map(limited, self.towers))
        finally:
            set_kernel_threads(thread_count())

    def close(self):
        """End the threads."""
        if self.pool is not None:
            self.pool.shutdown()
