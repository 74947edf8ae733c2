"""Gradients of one batch, in the two halves of an objective: towers to embeddings, embeddings to loss.

The cut between them is where the gradient of the loss waits at the embeddings. On a CPU it also lets the image tower
and the text tower run side by side, each in a thread of its own: most of Paddle's CPU kernels use one core, whatever
OMP_NUM_THREADS says (docs/architecture.md has the figures). With the same number of threads
per kernel the gradients are the same bit for bit.
"""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import paddle

from ..inference.parallel import set_kernel_threads, thread_count
from ..objectives.views import IMAGE_VIEWS, encode


def autocast(precision):
    """Mixed precision of the towers; the loss stays in fp32."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return paddle.amp.auto_cast(level="O1", dtype="bfloat16" if precision == "bf16" else "float16")


def draws_masks(config):
    """Whether a forward pass in training is random; the generator is one for the process, so towers then take turns."""
    return any(tower.dropout or tower.drop_path for tower in (config.image_tower, config.text_tower))


class GradientStep:
    """`step(batch, number)` leaves the gradients of the batch in the model's parameters and returns the loss parts.

    side_by_side: whether the towers may run in two threads; by default on a CPU with two threads or more.
    """

    def __init__(self, model, objective, seed=0, precision="fp32", scaler=None, side_by_side=None):
        self.model, self.objective, self.seed = model, objective, seed
        self.precision, self.scaler = precision, scaler
        if side_by_side is None:
            side_by_side = paddle.get_device() == "cpu" and thread_count() > 1
        towers = [[view for view in objective.views if (view in IMAGE_VIEWS) == images] for images in (True, False)]
        self.towers = [views for views in towers if views]
        self.pool = None
        if side_by_side and len(self.towers) > 1:
            self.pool = ThreadPoolExecutor(2, "tower")

    def __call__(self, batch, number):
        with autocast(self.precision):
            embeds = self._encode(batch, number)
        leaves = {view: value.detach() for view, value in embeds.items()}
        for leaf in leaves.values():
            leaf.stop_gradient = False
        parts = self.objective.loss(leaves, batch, self.model)
        if parts:
            loss = parts["loss"] if self.scaler is None else self.scaler.scale(parts["loss"])
            loss.backward()
            self._backward(embeds, leaves)
        return parts

    def _encode(self, batch, number):
        def tower(views):
            return encode(self.model, batch, self.seed, number, views=views)

        done = self._each_tower(tower, together=not draws_masks(self.model.config))
        return {view: value for part in done for view, value in part.items()}

    def _backward(self, embeds, leaves):
        def tower(views):
            views = [view for view in views if leaves[view].grad is not None]
            if views:
                paddle.autograd.backward([embeds[view] for view in views], [leaves[view].grad for view in views])

        self._each_tower(tower)

    def _each_tower(self, work, together=True):
        """[work(views of the tower)] of both towers; side by side each has half of the kernel threads meanwhile."""
        if self.pool is None or not together:
            return [work(views) for views in self.towers]

        def limited(views):
            set_kernel_threads(max(1, thread_count() // 2))
            return work(views)

        try:
            return list(self.pool.map(limited, self.towers))
        finally:
            set_kernel_threads(thread_count())

    def close(self):
        """End the threads."""
        if self.pool is not None:
            self.pool.shutdown()
