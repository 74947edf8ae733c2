"""Where more cards stop helping, and why."""

from collections.abc import Callable

from ...pages.markdown import markdown
from .cards import CARDS_PER_NODE
from .project import Projection, Step
from .tables import percent
from .view_costs import SIZES

PARTS = {
    "towers": "towers",
    "logits": "logits, their sums and gradient",
    "labels": "labels of the logits",
    "embeddings": "exchange of embeddings",
    "gradients": "exchange of gradients",
    "host": "waiting for the host",
}
HELD = {"gathered": "embeddings of all ranks", "embeddings": "embeddings of its own"}
MOST_CARDS = 2**16


def stop(
    projection: Projection, size: str, per_card: Callable[[int], int], sharding: int, first: int = CARDS_PER_NODE
) -> tuple[int | None, str]:
    """(cards, reason) from which on more cards do not pay: the towers take less than half of the step, or no memory.

    per_card: function of the number of cards, 0 where none is left. Powers of two are tried, up to MOST_CARDS.
    """
    cards = first
    while cards <= MOST_CARDS and per_card(cards):
        reason = limit(projection.step(size, cards, per_card(cards), sharding))
        if reason:
            return cards, reason
        cards *= 2
    if cards > MOST_CARDS:
        return None, f"nothing does, up to {MOST_CARDS:,} cards"
    return None, f"nothing does; above {cards // 2:,} cards no pair is left for a card"


def limit(step: Step) -> str:
    """Why a step does not pay: "memory: ...", or the part of the time beside the towers that is the largest; "" where
    it fits and the towers take half of it."""
    if not step.fits:
        largest = max(step.memory, key=step.memory.get)
        return (
            f"memory: {step.bytes / 1e9:.0f} GB even at a micro-batch of one, most of it {HELD.get(largest, largest)}"
        )
    return "" if step.time["towers"] >= step.seconds / 2 else beside_towers(step)


def beside_towers(step: Step) -> str:
    """The largest part of the time of a step beside its towers, with its share."""
    worst = max((part for part in step.time if part != "towers"), key=step.time.get)
    return f"{PARTS[worst]}: {percent(step.time[worst] / step.seconds)} of the step"


def stop_table(projection: Projection, per_card: int, batch: int, sharding: int) -> str:
    """Where each size stops scaling, with as many pairs on each card, and with the same batch over more cards."""
    rows = []
    for size in SIZES:
        titles = f"{per_card:,} pairs a card", f"batch {batch:,}"
        for title, share in zip(titles, both_ways(per_card, batch), strict=True):
            cards, reason = stop(projection, size, share, sharding)
            rows.append([f"{size}, {title}", f"{cards:,}" if cards else "–", reason])
    return markdown(["size and batch", "stops at cards", "because"], rows)


def stopped(projection: Projection, per_card: int, batch: int, sharding: int) -> str:
    """A sentence on what ends scaling on a card, of all rows of its stop_table."""
    found = [stop(projection, size, share, sharding) for size in SIZES for share in both_ways(per_card, batch)]
    reasons = dict.fromkeys(reason.split(":")[0] for cards, reason in found if cards)
    least = min((cards for cards, _ in found if cards), default=None)
    if least is None:
        return f"Nothing stops scaling on the {projection.card.name}, up to {MOST_CARDS:,} cards."
    return f"What stops scaling on the {projection.card.name}, from {least:,} cards on: {', '.join(reasons)}."


def both_ways(per_card: int, batch: int) -> tuple[Callable[[int], int], Callable[[int], int]]:
    """Pairs of a card as a function of the number of cards: as many on each, and the same batch over more."""
    return (lambda cards: per_card), (lambda cards: batch // cards)
