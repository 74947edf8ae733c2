"""The section of the page on batches up to a million on many cards: a table, and what limits each, as sentences."""

from collections.abc import Iterator

from ...pages.markdown import filled, markdown
from .project import Projection, Step
from .stops import beside_towers, limit
from .tables import percent
from .view_costs import SIZES

CARDS = (512, 4096)
BATCHES = (131_072, 262_144, 524_288, 1_048_576)


def steps_of(projection: Projection, sharding: int) -> Iterator[Step]:
    """The Step of every size, number of cards and batch."""
    for size in SIZES:
        for cards in CARDS:
            for batch in BATCHES:
                yield projection.step(size, cards, batch // cards, sharding)


def large_table(projection: Projection, sharding: int) -> str:
    """A line for each of `steps_of`; what limits it stands behind, or else what takes most beside the towers."""
    rows = []
    for step in steps_of(projection, sharding):
        reason = limit(step)
        rows.append(
            [
                f"{step.size}, {step.cards:,}",
                f"{step.batch:,}",
                f"{step.per_card:,} in {step.micro:,}",
                f"{step.bytes / 1e9:.0f} GB" + ("" if step.fits else ", too much"),
                f"{step.memory['gathered'] / 1e9:.1f} GB",
                f"{step.memory['logits'] / 1e9:.1f} GB",
                f"{step.seconds:.2f} s",
                percent(step.time["towers"] / step.seconds),
                f"**{reason}**" if reason else beside_towers(step),
            ]
        )
    head = ["size, cards", "batch", "pairs a card, in micro-batches of", "memory", "embeddings of all ranks"]
    return markdown([*head, "tile and sums", "step", "towers", "limits, or most beside the towers"], rows)


def what_limits(projection: Projection, sharding: int) -> str:
    """Sentences: for each number of cards where each size does not pay, and what the largest batch takes of memory."""
    steps, sentences = list(steps_of(projection, sharding)), []
    for cards in CARDS:
        told = []
        for size in SIZES:
            found = [(step, limit(step)) for step in steps if (step.size, step.cards) == (size, cards)]
            where = [f"{step.batch:,} ({reason})" for step, reason in found if reason]
            told.append(f"{size} is limited {'at ' + ', '.join(where) if where else 'at none of these batches'}")
        sentences.append(f"On {cards:,} cards of {projection.card.name} {'; '.join(told)}.")
    most = {step.size: f"{step.memory['gathered'] / 1e9:.0f} GB ({step.size})" for step in steps}
    sentences.append(
        f"A batch of {BATCHES[-1]:,} takes {' and '.join(most.values())} of a rank for the embeddings of all ranks, of "
        f"{projection.card.memory / 1e9:.0f} GB."
    )
    return " ".join(sentences)


def large_section(projections: dict[str, Projection], sharding: int) -> str:
    """All of it, for all cards."""
    intro = """A rank holds a tile of logits, whatever the batch. What grows with the batch is the embeddings of all
        ranks with their gradient, the sums of the columns, and the time of the logits, which is that of the pairs of a
        card times the batch. **Bold**: the first reason why such a step does not pay, memory or less than half of the
        time for the towers."""
    tables = "\n\n".join(
        f"{projection.card.name}:\n\n{large_table(projection, sharding)}\n\n{filled(what_limits(projection, sharding))}"
        for projection in projections.values()
    )
    return f"## Batches up to a million\n\n{filled(intro)}\n\n{tables}"
