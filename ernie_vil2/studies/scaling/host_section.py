"""The host in the projection to many cards: what was measured of it, and where a card waits for it, as Markdown."""

from collections.abc import Mapping
from typing import Any

from ...pages.markdown import filled, markdown
from .project import Projection
from .stops import both_ways
from .tables import COUNTS
from .view_costs import SIZES


def host_section(host: Mapping[str, Any]) -> str:
    """What a step costs the host, by the number of micro-batches, what it asks for, and how far that goes."""
    counts = list(host["base"]["milliseconds"])
    rows = [
        [
            size,
            *(f"{host[size]['milliseconds'][count]:.0f} ms" for count in counts),
            sum(host[size]["reads"].values()),
            sum(host[size]["copies"].values()),
            f"{host[size]['copied']:,}",
        ]
        for size in SIZES
    ]
    head = ["the host's step, in micro-batches", *counts, "blocking reads", "copies from the host", "bytes of them"]
    measured = f"""A card cannot finish a step before the host has started all of it. Measured on {host["machine"]},
        in processor time of one thread: the trainer's own step at full depth, with all views and an average of the
        weights, 4 pairs in a micro-batch, and width 16, so that arithmetic hardly counts, with the branches that layers
        take on a GPU; `ernie-vil2 bench host` shows its parts. The smallest call of a kernel took {host["call"]:.1f}
        microseconds there."""
    how_far = """The host of a card may be faster or slower: `host_factor` below, which nobody measured. Not in the
        figures: what autocast adds in bf16, and the sum over ranks. Too much in them: fused attention is one kernel on
        a card and several here, and every kernel computes on the host. Reads and copies are counted in the step of one
        micro-batch. A card runs dry at a read, so a step takes between the longer time, of card or host, and their sum;
        the longer one is taken here, and a line through the measured numbers of micro-batches."""
    return f"{filled(measured)}\n\n{markdown(head, rows)}\n\n{filled(how_far)}"


def host_limited(projection: Projection, per_card: int, batch: int, sharding: int) -> str:
    """A sentence on the rows of a card's tables in which the host takes longer than the card."""
    steps = [
        projection.step(size, cards, share(cards), sharding)
        for share in both_ways(per_card, batch)
        for size in SIZES
        for cards in COUNTS
    ]
    rows = dict.fromkeys(
        f"{step.size} on {step.cards} cards with {step.per_card:,} pairs each ({step.host:.2f} s, the card "
        f"{step.seconds - step.time['host']:.2f} s)"
        for step in steps
        if step.time["host"]
    )
    if not rows:
        return (
            f"The host limits nowhere on the {projection.card.name}: in no row above does it need longer than the card."
        )
    return f"The host limits on the {projection.card.name}: {', '.join(rows)}."
