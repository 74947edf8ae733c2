"""The projection to many cards as Markdown: tables and sentences, all of them filled from measured values."""

from collections.abc import Mapping
from typing import Any

from ...files.marks import comment
from ...pages.markdown import filled, with_contents
from .cards import CARDS, Assumptions, Card
from .division import collectives
from .host_section import host_limited, host_section
from .large_batches import BATCHES, large_section
from .project import SUM_BYTES, Projection
from .rank_traffic import GATHERED, IMAGE_VIEWS, PAIRS, TEXT_VIEWS
from .stops import stop_table, stopped
from .tables import (
    COUNTS,
    assumption_table,
    card_table,
    measured_tables,
    memory_table,
    percent,
    step_table,
)
from .view_costs import SIZES

COMMAND = "bench scale"
"""What marks the page and the measurement as that command's own."""


def document(
    measured: Mapping[str, Any],
    assumed: Assumptions,
    per_card: int,
    batch: int,
    sharding: int,
    pairs: float,
    cards: Mapping[str, Card] = CARDS,
) -> str:
    """The Markdown text."""
    from ...objectives.tiles import CARD_TILE  # here, since it imports Paddle

    projections = {name: Projection(measured, card, assumed) for name, card in cards.items()}
    first = next(iter(projections.values()))
    wire, loss = measured["wire"], measured["loss"]
    parameters = {size: values["parameters"] for size, values in measured["sizes"].items()}
    gradients = {size: wire["gradient_per_parameter"] * count for size, count in parameters.items()}
    width = {size: config.embed_dims()[0] for size, config in SIZES.items()}
    views = len(IMAGE_VIEWS) + len(TEXT_VIEWS)
    embeddings = {size: wire["embedding_per_value"] * width[size] * len(GATHERED) for size in SIZES}
    sections = "\n\n".join(
        card_section(projection, per_card, batch, sharding, pairs) for projection in projections.values()
    )
    step = first.step("base", COUNTS[-1], per_card, sharding)
    intro = """Nothing here was run on a GPU. The numbers are worked out by `ernie-vil2 bench scale` from three kinds of
        values: what was measured with this project's own step on a CPU (`docs/scaling.json`), published speeds of
        cards, and assumptions; each is listed. The host's time is of the first kind, how much faster the host of a card
        is of the third. Change one and run the command again:"""
    what = f"""The step that is worked out trains {len(PAIRS)} pairs of {views} views ({len(IMAGE_VIEWS)} of the image,
        {len(TEXT_VIEWS)} of the text) in bf16, with sharding {sharding} (docs/training.md). When the pairs of a card do
        not fit into its memory at once, the gradient cache runs the forward pass twice."""
    sent = f"""Bytes that a rank hands to collectives in a step, counted in a job of two ranks: gradients
        {wire["gradient_per_parameter"]:g} bytes a parameter, {gradients["base"] / 1e9:.2f} GB for base
        ({parameters["base"] / 1e6:.0f} M parameters) and {gradients["large"] / 1e9:.2f} GB for large
        ({parameters["large"] / 1e6:.0f} M), or {wire["sharded_per_parameter"]:g} bytes a parameter with sharding 2 (to
        the owner and back); embeddings {wire["embedding_per_value"]:g} bytes a value,
        {embeddings["base"] / 1e3:.1f} kB a pair for base and {embeddings["large"] / 1e3:.1f} kB for large, and as
        much again for their gradient, of the {len(GATHERED)} views that are second in a pair; ids
        {wire["metadata_per_sample"]:g} bytes a pair; {wire["sums_per_sample"]:g} sums over logits a pair, which are of
        {SUM_BYTES} bytes on a card."""
    held = f"""The loss of such a rank holds a tile of logits and never a matrix of its rows and columns. Measured with
        the branches of a card forced (emulated, on a CPU): at its peak {loss["tile"]:.0f} bytes for each entry of a
        tile, of which a card has {CARD_TILE:,}, and {loss["value"]:.1f} bytes for each value of the embeddings of all
        ranks, in the views that are gathered: themselves, their gradient and copies of it; until its backward pass
        {loss["line"]:.0f} bytes for each row and each column, for ids, flags and sums of all {len(PAIRS)} pairs. What a
        card's library of collectives takes for itself is not in it."""
    shares = {part: percent(step.time[part] / step.seconds) for part in ("logits", "labels", "gradients")}
    gathered = step.memory["gathered"] / 1e9
    many = f"{COUNTS[-1]} cards and {per_card:,} pairs each"
    limits = [
        """The gradients' bytes do not depend on the batch, so their share falls as each card holds more pairs.
        Overlapping them with the last backward pass (*with overlap*) saves at most their own time.""",
        f"""Logits and their labels grow with the pairs of a card times the global batch: with the number of cards when
        each keeps its share. At {many}, a base step on the {first.card.name} spends {shares["logits"]} of its time on
        the logits, {shares["labels"]} on the labels and {shares["gradients"]} on the gradients. The labels are
        comparisons of whole numbers on the card, as fast as its memory; the host has no part in them.""",
        f"""Sharding gives whole parameters to ranks, so the owner of the word embedding holds
        {first.step("base", 64, per_card, 1).memory["moments"] / 1e9:.2f} GB of moments (base) however many cards there
        are, and on 64 cards new values are sent in {collectives("base", 64)} broadcasts.""",
        *(host_limited(projection, per_card, batch, sharding) for projection in projections.values()),
        f"""No rank holds a matrix of logits: a tile of them, with sums of rows and columns, takes
        {step.memory["logits"] / 1e9:.1f} GB in that step. The embeddings of all ranks take {gathered:.1f} GB there, and
        grow with the batch, however many cards share it; with the gradient cache both are gone when the first
        micro-batch is replayed.""",
        """At the same batch on more cards, the towers' time of a card falls and the gradients' stays.""",
        f"Whether a batch of {BATCHES[-1]:,} still learns as well per pair is not a question of this page.",
        *(stopped(projection, per_card, batch, sharding) for projection in projections.values()),
    ]
    bullets = "\n".join(filled(text, "- ", "  ") for text in limits)
    page = f"""# Scaling to many cards, on paper

{filled(intro)}

```bash
# needs: minutes, and this repository
ernie-vil2 bench scale --measure --write docs/scaling.md    # measure here, then write this page
ernie-vil2 bench scale --measure host --write docs/scaling.md  # measure the host's part alone anew
ernie-vil2 bench scale --measure ranks --write docs/scaling.md  # the same of what ranks send and the loss holds
ernie-vil2 bench scale --card a100 --pairs-per-second 469   # with another speed
```

{filled(what)}

## Measured

On {measured["machine"]}, in one process, other work on the machine not excluded.

{measured_tables(measured)}

The time of the towers on a card is taken in proportion to operations; the second table says how far that holds here.

{filled(sent)}

{filled(held)}

{host_section(measured["host"])}

## Published, and assumed

{card_table(cards)}

{assumption_table(assumed)}

{sections}

{large_section(projections, sharding)}

## What limits it

{bullets}
{comment(COMMAND)}"""
    return with_contents(page)


def card_section(projection: Projection, per_card: int, batch: int, sharding: int, pairs: float) -> str:
    """The tables of a card."""
    return f"""## {projection.card.name}

{per_card:,} pairs on each card:

{step_table(projection, lambda cards: per_card, sharding, pairs)}

The same batch of {batch:,} over more cards:

{step_table(projection, lambda cards: batch // cards, sharding, pairs)}

Memory of a rank with {per_card:,} pairs; with the gradient cache, activations are not there together with
`gathered`, the embeddings of all ranks, and the logits:

{memory_table(projection, per_card, sharding)}

Where it stops: the first power of two of cards at which the towers take less than half of the step, or memory ends.

{stop_table(projection, per_card, batch, sharding)}"""
