"""Gradients of one batch, in the two halves of an objective: towers to embeddings, embeddings to loss.

The cut between them is what the gradient cache needs. On a CPU towers run side by side, each in a thread of its own:
most of Paddle's CPU kernels use one core, whatever OMP_NUM_THREADS says (docs/architecture.md has the figures). With
the same number of threads per kernel the gradients are the same bit for bit.
"""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import paddle

from ..data.batches.views import Batch
from ..device import current_device
from ..keys import random_key
from ..models.dual_encoder import Temperature
from ..models.towers.batch_norm import synchronised
from ..objectives.gather import Share, divide
from ..systems.system import System, Tower
from ..threads import note_computing, set_kernel_threads, thread_count
from .grad_cache import embed, replay
from .optimization.momentum import MomentumCopy


def autocast(precision: str, level: str = "O1") -> AbstractContextManager:
    """Mixed precision of the towers; the loss stays in fp32, whose products are TF32 on NVIDIA cards by default."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return paddle.amp.auto_cast(level=level, dtype="bfloat16" if precision == "bf16" else "float16")


def share_parameters(towers: dict[str, Tower]) -> bool:
    """Whether two towers have a parameter in common: both backward passes would add to its gradient at once."""
    counts = [{id(parameter) for parameter in tower.parameters()} for tower in towers.values()]
    return sum(map(len, counts)) > len(set().union(*counts))


def unnamed_parameters(system: System) -> list[paddle.Tensor]:
    """Parameters that are neither of a tower nor a temperature."""
    named = {id(parameter) for tower in system.towers().values() for parameter in tower.parameters()}
    for layer in system.model.sublayers():
        if isinstance(layer, Temperature):
            named.update(map(id, layer.parameters()))
    return [parameter for parameter in system.model.parameters() if id(parameter) not in named]


class GradientStep:
    """`step(batch, number)` leaves the gradients of the batch in the model's parameters and returns the loss parts.

    share: the rows of the global batch that `batch` holds; None for all of it in one micro-batch. With several chunks
    the gradient cache is used. side_by_side: whether towers may run in two threads; by default on a CPU with two
    threads or more. Towers that have a parameter in common take turns whatever it says, so that every use of it
    contributes to its gradient and none is lost; so do two whose batch norms wait for other ranks, which would meet
    them in another order. after: called after every backward pass, by one thread at a time.
    """

    def __init__(
        self,
        system: System,
        seed: int = 0,
        share: Share | None = None,
        precision: str = "fp32",
        level: str = "O1",
        side_by_side: bool | None = None,
        after: Callable[[], object] | None = None,
        momentum: MomentumCopy | None = None,
    ) -> None:
        self.system, self.seed, self.share = system, seed, share
        self.precision, self.level = precision, level
        self.after, self.momentum = after or (lambda: None), momentum
        if side_by_side is None:
            side_by_side = current_device().is_cpu and thread_count() > 1 and after is None
        self.towers = {name: tower for name, tower in system.towers().items() if tower.views}
        self.embeds: dict[str, paddle.Tensor] = {}
        """{view: embeddings [b, D]} of the last batch, without their graph"""
        self.unnamed = unnamed_parameters(system)
        self.held = {name: tower.parameters() for name, tower in self.towers.items()}
        self.pool = None
        waiting = [tower for tower in self.towers.values() if synchronised(tower.layers)]
        apart = len(waiting) < 2 and not share_parameters(self.towers)
        if side_by_side and len(self.towers) > 1 and apart:
            self.pool = ThreadPoolExecutor(len(self.towers), "tower")

    def __call__(self, batch: Batch, number: int, scale: float = 1.0) -> dict[str, paddle.Tensor]:
        """{"loss": scalar, part: scalar ...} of this rank's rows at 0-based step `number`, as `System.loss` has them;
        {} and no gradient where that finds nothing to compare.

        scale: factor of the loss before its backward pass (fp16).
        """
        note_computing()
        share = self.share or divide(len(batch))
        key = (self.seed, number)
        cached = len(share.chunks()) > 1
        random = self.system.draws_masks()
        resting = self._resting()

        def forward(name):
            with autocast(self.precision, self.level):
                graph = not cached and name not in resting
                return embed(self.system, batch, share, key, self.towers[name].views, graph)

        recompute = self.system.model.recompute  # Paddle's hooks for it are one pair for the process
        alone = recompute or self._unnamed_learn()
        done = self._each_tower(forward, together=not (random or alone))
        embeds = {view: value for part in done for view, value in part.items()}
        leaves = {view: value.detach() for view, value in embeds.items()}
        for view, leaf in leaves.items():
            leaf.stop_gradient = any(view in self.towers[name].views for name in resting)
        self.embeds = leaves
        self.system.before_keys()
        if self.momentum is not None:
            self._take_keys(batch, share, number, together=not random)
        parts = self.system.loss(leaves, batch, share)
        if not parts:
            return {}
        (parts["loss"] if scale == 1.0 else parts["loss"] * scale).backward()
        self.after()

        def backward(name):
            views = self.towers[name].views
            gradients = {view: leaves[view].grad for view in views if leaves[view].grad is not None}
            if not gradients:
                return
            if cached:
                with autocast(self.precision, self.level):
                    replay(self.system, batch, share, key, views, gradients, self.after)
            else:
                paddle.autograd.backward([embeds[view] for view in gradients], list(gradients.values()))
                self.after()

        self._each_tower(backward, together=not (alone or (random and cached)))
        return parts

    def _take_keys(self, batch: Batch, share: Share, number: int, together: bool) -> None:
        """Let the momentum copy follow the model, and give the queue the keys of this rank's rows; their masks are
        other ones than those of the queries."""
        self.momentum.follow()
        system, key = self.momentum.system, (random_key(self.seed, "keys"), number)

        def encoded(name):
            with autocast(self.precision, self.level):
                return embed(system, batch, share, key, self.towers[name].views, False)

        parts = self._each_tower(encoded, together)
        system.objective.queue.take({view: value for part in parts for view, value in part.items()})

    def _unnamed_learn(self) -> bool:
        """Whether a parameter learns that no tower names: it may lie in any of them."""
        return not all(parameter.stop_gradient for parameter in self.unnamed)

    def _resting(self) -> set[str]:
        """Names of the towers that need no backward pass now."""
        if self._unnamed_learn():
            return set()
        return {name for name, held in self.held.items() if all(value.stop_gradient for value in held)}

    def _each_tower(self, work: Callable, together: bool = True) -> list:
        """[work(name)] of every tower; side by side each has its part of the kernel threads meanwhile."""
        if self.pool is None or not together:
            return [work(name) for name in self.towers]

        def limited(name):
            set_kernel_threads(max(1, thread_count() // len(self.towers)))
            return work(name)

        try:
            return list(self.pool.map(limited, self.towers))
        finally:
            set_kernel_threads(thread_count())

    def close(self) -> None:
        """End the threads."""
        if self.pool is not None:
            self.pool.shutdown()
