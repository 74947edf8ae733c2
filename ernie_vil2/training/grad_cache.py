"""Any batch at the memory of one chunk: embeddings first without a graph, then each chunk again with its gradient.

Exact, dropout and patch dropout included, because randomness is keyed by (seed, step, global micro-batch, modality) and
is drawn again. Reference: GradCache (arXiv 2101.06983); the random state that it must carry over is here a key.
"""

from collections.abc import Callable
from dataclasses import dataclass

import paddle

from ..data.batches.views import Batch
from ..models.masks import part_of
from ..objectives.gather import Share
from ..systems.system import System

Embeds = dict[str, paddle.Tensor]
Pieces = list[tuple[slice, Embeds]]
"""(rows of this rank, their {view: embeds [b, D]}), one a chunk"""


@dataclass(frozen=True)
class Part:
    """Part `number` out of `count` of the rows of every chunk, by default all of them."""

    number: int = 0
    count: int = 1

    def rows(self, chunk: slice) -> slice:
        """Its rows of a chunk; perhaps none where the chunk has fewer rows than there are parts."""
        length = chunk.stop - chunk.start
        first, last = (length * number // self.count for number in (self.number, self.number + 1))
        return slice(chunk.start + first, chunk.start + last)

    def chunks(self, share: Share) -> list[tuple[int, slice]]:
        """The chunks, as `Share.chunks` has them, in which it has rows."""
        return [(micro, chunk) for micro, chunk in share.chunks() if self.rows(chunk).start < self.rows(chunk).stop]


WHOLE = Part()


def encode_part(
    system: System,
    batch: Batch,
    chunk: slice,
    part: Part,
    key: tuple[int, int, int],
    views: tuple[str, ...],
) -> Embeds:
    """{view: embeds} of a part of a chunk, padded and with the masks as if the whole chunk was encoded."""
    held = batch.rows(chunk)
    if part == WHOLE:
        return system.encode(held, *key, views)
    rows = part.rows(slice(0, len(held)))
    with part_of(rows, len(held)):
        return system.encode(held.rows(rows, trim=False), *key, views)


def embed(
    system: System,
    batch: Batch,
    share: Share,
    key: tuple[int, int],
    views: tuple[str, ...],
    graph: bool,
    part: Part = WHOLE,
) -> Pieces:
    """Embeddings of the given views, chunk after chunk; `graph` keeps what one chunk's backward needs."""
    with paddle.set_grad_enabled(graph):
        return [
            (part.rows(chunk), encode_part(system, batch, chunk, part, (*key, micro), views))
            for micro, chunk in part.chunks(share)
        ]


def joined(pieces: Pieces) -> Embeds:
    """{view: embeds [b, D]} of all rows."""
    pieces = sorted(pieces, key=lambda piece: piece[0].start)
    return {
        view: paddle.concat([embeds[view] for _, embeds in pieces]) if len(pieces) > 1 else value
        for view, value in pieces[0][1].items()
    }


def replay(
    system: System,
    batch: Batch,
    share: Share,
    key: tuple[int, int],
    views: tuple[str, ...],
    gradients: Embeds,
    after: Callable[[], object],
    part: Part = WHOLE,
) -> None:
    """Leave the parameters' gradients in the model: chunk by chunk, from {view: gradient [b, D]} at the embeddings.

    views: those that `embed` was given, since they were encoded together; after: called after every backward pass.
    """
    for micro, chunk in part.chunks(share):
        embeds = encode_part(system, batch, chunk, part, (*key, micro), views)
        go_backward(embeds, gradients, part.rows(chunk))
        after()
        del embeds  # what layers keep for the backward pass lives as long as their output does


def go_backward(embeds: Embeds, gradients: Embeds, rows: slice) -> None:
    """Go backward from the embeddings of some rows, with the gradients [b, D] at those of all rows."""
    paddle.autograd.backward([embeds[view] for view in gradients], [found[rows] for found in gradients.values()])
