"""Any batch at the memory of one chunk: embeddings first without a graph, then each chunk again with its gradient.

Exact, dropout and patch dropout included, because randomness is keyed by (seed, step, global micro-batch, modality) and
is drawn again. Reference: GradCache (arXiv 2101.06983); the random state that it must carry over is here a key.
"""

from collections.abc import Callable

import paddle

from ..data.batches.views import Batch
from ..objectives.gather import Share
from ..systems.system import System

Embeds = dict[str, paddle.Tensor]


def embed(
    system: System, batch: Batch, share: Share, key: tuple[int, int], views: tuple[str, ...], graph: bool
) -> Embeds:
    """{view: embeds [b, D]} of the given views, chunk after chunk; `graph` keeps what one chunk's backward needs."""
    parts = []
    with paddle.set_grad_enabled(graph):
        for micro, rows in share.chunks():
            parts.append(system.encode(batch.rows(rows), *key, micro, views))
    if len(parts) == 1:
        return parts[0]
    return {view: paddle.concat([part[view] for part in parts]) for view in parts[0]}


def replay(
    system: System,
    batch: Batch,
    share: Share,
    key: tuple[int, int],
    views: tuple[str, ...],
    gradients: Embeds,
    after: Callable[[], object],
) -> None:
    """Leave the parameters' gradients in the model: chunk by chunk, from {view: gradient [b, D]} at the embeddings.

    views: those that `embed` was given, since they were encoded together; after: called after every backward pass.
    """
    for micro, rows in share.chunks():
        embeds = system.encode(batch.rows(rows), *key, micro, views)
        paddle.autograd.backward([embeds[view] for view in gradients], [found[rows] for found in gradients.values()])
        after()
        del embeds  # what layers keep for the backward pass lives as long as their output does
