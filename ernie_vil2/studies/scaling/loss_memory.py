"""What the loss takes of a rank's memory, with the branches of a card: for its tiles, its rows and columns, and the
embeddings of all ranks."""

import gc
from typing import TYPE_CHECKING

from ...device import MIB, current_device
from ..card_branches import branches_of_a_card
from .view_costs import allocated

if TYPE_CHECKING:
    import paddle

    from ...data.batches.views import Batch
    from ...models.dual_encoder import DualEncoder
    from ...objectives.contrastive import ContrastiveObjective
    from ...objectives.gather import Share

NARROW, BROAD = 8, 264
SMALL_TILE, LARGE_TILE = 1 << 14, 1 << 18


def loss_bytes(
    objective: "ContrastiveObjective", batch: "Batch", model: "DualEncoder", share: "Share", gathered: int
) -> dict[str, float]:
    """Bytes above the loss's inputs and their gradients: `tile` at the peak for each entry of a tile, `value` at the
    peak for each value of the embeddings of all ranks, and `line` from the forward to the backward pass for each row
    and each column, all pairs of views together.

    gathered: number of views of which all rows are fetched. The first two are slopes between two runs, which differ in
    the tile or in the width.
    """
    start, tiled, broad = (
        one_loss(objective, batch, model, share, *sizes)
        for sizes in ((SMALL_TILE, NARROW), (LARGE_TILE, NARROW), (SMALL_TILE, BROAD))
    )
    values = gathered * share.total
    held, peak = ((many - few) / (values * (BROAD - NARROW)) for few, many in zip(start, broad, strict=True))
    return {
        "tile": (tiled[1] - start[1]) / (LARGE_TILE - SMALL_TILE),
        "value": peak,
        "line": (start[0] - held * values * NARROW) / (share.rows + share.total),
    }


def one_loss(
    objective: "ContrastiveObjective", batch: "Batch", model: "DualEncoder", share: "Share", entries: int, width: int
) -> tuple[float, float]:
    """(bytes held between forward and backward, peak of both less the inputs' gradients), with tiles of so many
    entries."""
    from ...objectives import tiles

    device = current_device()
    embeds = {view: normal(share, width) for view in objective.views}
    gc.collect()
    device.forget_most()
    before = allocated()
    usual, tiles.CARD_TILE = tiles.CARD_TILE, entries
    try:
        with branches_of_a_card():
            parts = objective.loss(embeds, batch, model, share)
            held = allocated() - before
            parts["loss"].backward()  # a collective, so every rank takes part
    finally:
        tiles.CARD_TILE = usual
    gradients = sum(4 * int(value.size) for value in embeds.values())
    return held, device.tensors().most * MIB - before - gradients


def normal(share: "Share", width: int) -> "paddle.Tensor":
    """Embeddings of noise that want a gradient."""
    import paddle

    value = paddle.randn([share.rows, width])
    value.stop_gradient = False
    return value
