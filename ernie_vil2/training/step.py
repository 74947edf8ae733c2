"""Gradients of one batch, in the two halves of an objective: towers to embeddings, embeddings to loss.

The cut between them is what the gradient cache needs. On a CPU parts of the batch run side by side, each in a thread of
its own with all towers (`lanes.py`), or else the towers do: most of Paddle's CPU kernels use one core, whatever
OMP_NUM_THREADS says (docs/architecture.md has the figures). Towers side by side give the same gradients bit for bit,
with the same number of threads per kernel; parts of a batch give them up to rounding.
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
from ..threads import all_done, forked, note_computing, set_kernel_threads, thread_count
from .grad_cache import WHOLE, Embeds, Pieces, embed, go_backward, joined, replay
from .lanes import Lanes, lane_count, may_divide
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

    lanes: parts of a chunk that may run side by side, each with all towers; by default as many as are worth it
    (`lane_count`) where towers would be side by side. They are left out in steps with recompute, and where a parameter
    learns that no tower names.
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
        lanes: int | None = None,
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
        self.divisible = side_by_side and after is None and may_divide(system)
        self.wanted_lanes = lanes
        self.lanes: Lanes | None = None
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
        random = self.system.draws_masks() and not self.system.divisible()
        resting = self._resting()

        def forward(system, name, part):
            with autocast(self.precision, self.level):
                graph = not cached and name not in resting
                return embed(system, batch, share, key, self.towers[name].views, graph, part)

        recompute = self.system.model.recompute  # Paddle's hooks for it are one pair for the process
        alone = recompute or self._unnamed_learn()
        lanes = None if alone else self._lanes_for(share)
        done = self._each(forward, lanes, together=not (random or alone))
        leaves = {view: value.detach() for view, value in self._joined(done).items()}
        for view, leaf in leaves.items():
            leaf.stop_gradient = any(view in self.towers[name].views for name in resting)
        self.embeds = leaves
        self.system.before_keys()
        if self.momentum is not None:
            self._take_keys(batch, share, number, lanes, together=not random)
        parts = self.system.loss(leaves, batch, share)
        if not parts:
            return {}
        (parts["loss"] if scale == 1.0 else parts["loss"] * scale).backward()
        self.after()

        def backward(system, name, part):
            views = self.towers[name].views
            gradients = {view: leaves[view].grad for view in views if leaves[view].grad is not None}
            if not gradients:
                return
            if cached:
                with autocast(self.precision, self.level):
                    replay(system, batch, share, key, views, gradients, self.after, part)
            else:
                for rows, embeds in done[name][part.number]:
                    go_backward(embeds, gradients, rows)
                self.after()

        self._each(backward, lanes, together=not (alone or (random and cached)))
        if lanes is not None:
            lanes.add_up()
        return parts

    def _take_keys(self, batch: Batch, share: Share, number: int, lanes: Lanes | None, together: bool) -> None:
        """Let the momentum copy follow the model, and give the queue the keys of this rank's rows; their masks are
        other ones than those of the queries."""
        self.momentum.follow()
        copied, key = self.momentum.system, (random_key(self.seed, "keys"), number)

        def encoded(_, name, part):
            with autocast(self.precision, self.level):
                return embed(copied, batch, share, key, self.towers[name].views, False, part)

        copied.objective.queue.take(self._joined(self._each(encoded, lanes, together)))

    def _joined(self, done: dict[str, list[Pieces]]) -> Embeds:
        """{view: embeds [b, D]} of what `embed` gave for every tower and part, without the graph."""
        with paddle.no_grad():
            return {view: value for parts in done.values() for view, value in joined(sum(parts, [])).items()}

    def _lanes_for(self, share: Share) -> Lanes | None:
        """The lanes of a step; None where there is one at most."""
        rows = min(share.micro, share.rows)
        count = 1
        if self.divisible and not forked():  # there the threads are gone
            count = lane_count(self.system, rows) if self.wanted_lanes is None else min(self.wanted_lanes, rows)
        if count < 2:
            return None
        if self.lanes is None or len(self.lanes.parts) != count:
            if self.lanes is not None:
                self.lanes.pool.shutdown()
            self.lanes = Lanes(self.system, count)
        self.lanes.follow()
        return self.lanes

    def _unnamed_learn(self) -> bool:
        """Whether a parameter learns that no tower names: it may lie in any of them."""
        return not all(parameter.stop_gradient for parameter in self.unnamed)

    def _resting(self) -> set[str]:
        """Names of the towers that need no backward pass now."""
        if self._unnamed_learn():
            return set()
        return {name for name, held in self.held.items() if all(value.stop_gradient for value in held)}

    def _each(self, work: Callable, lanes: Lanes | None, together: bool) -> dict[str, list]:
        """{name: [work(system, name, part) of every part of the batch]} of every tower."""
        if lanes is None:
            found = self._each_tower(lambda name: work(self.system, name, WHOLE), together)
            return {name: [value] for name, value in zip(self.towers, found, strict=True)}
        found = lanes.each(lambda system, part: {name: work(system, name, part) for name in self.towers})
        return {name: [values[name] for values in found] for name in self.towers}

    def _each_tower(self, work: Callable, together: bool = True) -> list:
        """[work(name)] of every tower; side by side each has its part of the kernel threads meanwhile."""
        if self.pool is None or not together or forked():
            return [work(name) for name in self.towers]

        def limited(name):
            set_kernel_threads(max(1, thread_count() // len(self.towers)))
            return work(name)

        try:
            return all_done(self.pool, limited, self.towers)
        finally:
            set_kernel_threads(thread_count())

    def close(self) -> None:
        """End the threads."""
        for threads in (self.pool, self.lanes and self.lanes.pool):
            if threads is not None:
                threads.shutdown()
