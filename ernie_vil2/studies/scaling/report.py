"""The projection to many cards as Markdown: tables and sentences, all of them filled from measured values."""

import dataclasses

from ...pages.markdown import filled, markdown
from .cards import CARDS, CARDS_PER_NODE
from .measure import IMAGE_VIEWS, PAIRS, SIZES, TEXT_VIEWS
from .project import Projection, reached_flops, view_flops

COUNTS = (8, 64, 512)
PARTS = {
    "towers": "towers",
    "logits": "logits and their softmax",
    "labels": "labels of the logits",
    "embeddings": "exchange of embeddings",
    "gradients": "exchange of gradients",
}
MOST_CARDS = 2**16
TITLES = {"base": "base (ViT-B/16)", "large": "large (ViT-L/14)"}


def step_table(projection, per_card, sharding, pairs):
    """A line for each size and number of cards; `per_card` is a function of the number of cards."""
    rows = []
    for size in SIZES:
        for cards in COUNTS:
            step = projection.step(size, cards, per_card(cards), sharding)
            memory = f"{step.bytes / 1e9:.0f} GB" + ("" if step.fits else ", too much")
            rows.append(
                [
                    f"{size}, {cards}",
                    f"{step.batch:,}",
                    f"{step.per_card:,} in {step.micro:,}",
                    memory,
                    f"{step.seconds:.2f} s",
                    percent(step.time["towers"] / step.seconds),
                    percent(step.communication),
                    percent(step.time["logits"] / step.seconds),
                    percent(step.time["labels"] / step.seconds),
                    days(step.hours(pairs)),
                    days(step.hours(pairs) * step.overlapped / step.seconds),
                ]
            )
    head = [
        "size, cards",
        "batch",
        "pairs a card, in micro-batches of",
        "memory",
        "step",
        "towers",
        "communication",
        "logits",
        "labels",
        f"time for {pairs / 1e9:g} B pairs",
        "with overlap",
    ]
    return markdown(head, rows)


def percent(share):
    return f"{100 * share:.1f} %"


def days(hours):
    return f"{hours / 24:,.1f} days" if hours >= 48 else f"{hours:,.1f} h"


def memory_table(projection, per_card, sharding, cards=64):
    """What fills a rank."""
    steps = {size: projection.step(size, cards, per_card, sharding) for size in SIZES}
    rows = [[part, *(f"{step.memory[part] / 1e9:.2f} GB" for step in steps.values())] for part in steps["base"].memory]
    return markdown([f"{cards} cards", *(TITLES[size] for size in SIZES)], rows)


def stop(projection, size, per_card, sharding, first=CARDS_PER_NODE):
    """(cards, reason) from which on more cards do not pay: the towers take less than half of the step, or no memory.

    per_card: function of the number of cards, 0 where none is left. Powers of two are tried, up to MOST_CARDS.
    """
    cards = first
    while cards <= MOST_CARDS and per_card(cards):
        step = projection.step(size, cards, per_card(cards), sharding)
        if not step.fits:
            largest = max(step.memory, key=step.memory.get)
            return cards, f"memory: {step.bytes / 1e9:.0f} GB even at a micro-batch of one, most of it {largest}"
        if step.time["towers"] < step.seconds / 2:
            worst = max((part for part in step.time if part != "towers"), key=step.time.get)
            return cards, f"{PARTS[worst]}: {percent(step.time[worst] / step.seconds)} of the step"
        cards *= 2
    if cards > MOST_CARDS:
        return None, f"nothing does, up to {MOST_CARDS:,} cards"
    return None, f"nothing does; above {cards // 2:,} cards no pair is left for a card"


def stop_table(projection, per_card, batch, sharding):
    """Where each size stops scaling, with as many pairs on each card, and with the same batch over more cards."""
    rows = []
    for size in SIZES:
        titles = f"{per_card:,} pairs a card", f"batch {batch:,}"
        for title, share in zip(titles, both_ways(per_card, batch), strict=True):
            cards, reason = stop(projection, size, share, sharding)
            rows.append([f"{size}, {title}", f"{cards:,}" if cards else "–", reason])
    return markdown(["size and batch", "stops at cards", "because"], rows)


def stopped(projection, per_card, batch, sharding):
    """A sentence on what ends scaling on a card, of all rows of its stop_table."""
    found = [stop(projection, size, share, sharding) for size in SIZES for share in both_ways(per_card, batch)]
    reasons = dict.fromkeys(reason.split(":")[0] for cards, reason in found if cards)
    least = min((cards for cards, _ in found if cards), default=None)
    if least is None:
        return f"Nothing stops scaling on the {projection.card.name}, up to {MOST_CARDS:,} cards."
    return f"What stops scaling on the {projection.card.name}, from {least:,} cards on: {', '.join(reasons)}."


def both_ways(per_card, batch):
    """Pairs of a card as a function of the number of cards: as many on each, and the same batch over more."""
    return (lambda cards: per_card), (lambda cards: batch // cards)


def measured_tables(measured):
    """What was measured, and how it compares with the count of operations."""
    rows, ratios = [], []
    for size, values in measured["sizes"].items():
        for tower in ("image", "text"):
            side = values[tower]
            rows.append(
                [
                    f"{size}, {tower} view",
                    f"{side['forward']:.2f} s",
                    f"{side['backward']:.2f} s",
                    f"{side['bytes'] / 2**20:.0f} MiB",
                    f"{side['bytes_recompute'] / 2**20:.1f} MiB",
                ]
            )
        image, text = view_flops(SIZES[size])
        seconds = [values[tower]["forward"] + values[tower]["backward"] for tower in ("image", "text")]
        ratios.append([f"{size}, image over text view", f"{seconds[0] / seconds[1]:.1f}", f"{image / text:.1f}"])
    total = {
        size: sum(values[tower][part] for tower in ("image", "text") for part in ("forward", "backward"))
        for size, values in measured["sizes"].items()
    }
    flops = {size: sum(view_flops(config)) for size, config in SIZES.items()}
    ratios.append(
        [
            "large over base, both views",
            f"{total['large'] / total['base']:.1f}",
            f"{flops['large'] / flops['base']:.1f}",
        ]
    )
    head = ["per view of a pair, fp32", "forward", "backward", "kept for backward", "kept with recompute"]
    return markdown(head, rows) + "\n\n" + markdown(["ratio", "measured seconds", "operations"], ratios)


def card_table(cards):
    """The cards and where their numbers come from."""
    rows = [
        [
            card.name,
            f"{card.pairs_per_second:,.0f}",
            f"{reached_flops(card) / 1e12:.0f} TFLOP/s",
            f"{card.memory_rate / 1e12:.2f} TB/s",
            f"{card.intra / 1e9:.0f} GB/s",
            f"{card.inter / 1e9:.0f} GB/s",
            card.source,
        ]
        for card in cards.values()
    ]
    head = ["card", "pairs/s of a plain step", "which is", "memory moves", "a card sends", "a node sends", "from"]
    return markdown(head, rows)


def document(measured, assumed, per_card, batch, sharding, pairs, cards=CARDS):
    """The Markdown text."""
    projections = {name: Projection(measured, card, assumed) for name, card in cards.items()}
    first = next(iter(projections.values()))
    wire, loss = measured["wire"], measured["loss"]
    parameters = {size: values["parameters"] for size, values in measured["sizes"].items()}
    gradients = {size: wire["gradient_per_parameter"] * count for size, count in parameters.items()}
    width = {size: config.embed_dims()[0] for size, config in SIZES.items()}
    views = len(IMAGE_VIEWS) + len(TEXT_VIEWS)
    embeddings = {size: wire["embedding_per_value"] * width[size] * views for size in SIZES}
    sections = "\n\n".join(
        card_section(projection, per_card, batch, sharding, pairs) for projection in projections.values()
    )
    step = first.step("base", COUNTS[-1], per_card, sharding)
    intro = """Nothing here was run on a GPU. The numbers are worked out by `tools/bench.py scale` from three kinds of
        values: what was measured with this project's own step on a CPU (`docs/scaling.json`), published speeds of
        cards, and assumptions; each is listed. Change one and run the command again:"""
    what = f"""The step that is worked out trains {len(PAIRS)} pairs of {views} views ({len(IMAGE_VIEWS)} of the image,
        {len(TEXT_VIEWS)} of the text) in bf16, with sharding {sharding} (docs/training.md). When the pairs of a card do
        not fit into its memory at once, the gradient cache runs the forward pass twice."""
    sent = f"""Bytes that a rank hands to collectives in a step, counted in a job of two ranks: gradients
        {wire["gradient_per_parameter"]:g} bytes a parameter, {gradients["base"] / 1e9:.2f} GB for base
        ({parameters["base"] / 1e6:.0f} M parameters) and {gradients["large"] / 1e9:.2f} GB for large
        ({parameters["large"] / 1e6:.0f} M), or {wire["sharded_per_parameter"]:g} bytes a parameter with sharding 2 (to
        the owner and back); embeddings {wire["embedding_per_value"]:g} bytes a value,
        {embeddings["base"] / 1e3:.1f} kB a pair for base and {embeddings["large"] / 1e3:.1f} kB for large, and as
        much again for their gradient; ids
        {wire["metadata_per_sample"]:g} bytes a pair."""
    held = f"""The loss of such a rank holds {loss["held_per_pair"]:.0f} bytes for each row, column and pair of views
        until its backward pass: in both directions, in fp32, the cosines, the logits, their log softmax and the
        targets. At its peak it has {loss["peak"]:.0f} bytes for each row and column, all {len(PAIRS)} pairs and the
        gradients of one of them together; masks of absent tags come and go below that."""
    shares = {part: percent(step.time[part] / step.seconds) for part in ("logits", "labels", "gradients")}
    many = f"{COUNTS[-1]} cards and {per_card:,} pairs each"
    limits = [
        """The gradients' bytes do not depend on the batch, so their share falls as each card holds more pairs.
        Overlapping them with the last backward pass (*with overlap*) saves at most their own time.""",
        f"""Logits and their labels grow with the pairs of a card times the global batch: with the number of cards when
        each keeps its share. At {many}, a base step on the {first.card.name} spends {shares["logits"]} of its time on
        the logits, {shares["labels"]} on the labels and {shares["gradients"]} on the gradients. The labels are
        comparisons of whole numbers on the card, as fast as its memory; the host has no part in them.""",
        f"""The logits' memory grows alike: {step.memory["logits"] / 1e9:.0f} GB of a rank in that step, of
        {first.card.memory / 1e9:.0f} GB. The gradient cache does not make it smaller, since it divides the towers' work
        and not the loss. The sigmoid loss (`objective.loss: sigmoid`) works in blocks of columns and keeps no
        logits.""",
        """At the same batch on more cards, the towers' time of a card falls and the gradients' stays.""",
        f"Whether a batch of {COUNTS[-1] * per_card:,} still learns as well per pair is not a question of this page.",
        *(stopped(projection, per_card, batch, sharding) for projection in projections.values()),
    ]
    bullets = "\n".join(filled(text, "- ", "  ") for text in limits)
    return f"""# Scaling to many cards, on paper

{filled(intro)}

```bash
python tools/bench.py scale --measure --write docs/scaling.md    # measure here, then write this page
python tools/bench.py scale --card a100 --pairs-per-second 469   # with another speed
```

{filled(what)}

## Measured

On {measured["machine"]}, in one process, other work on the machine not excluded.

{measured_tables(measured)}

The time of the towers on a card is taken in proportion to operations; the second table says how far that holds here.

{filled(sent)}

{filled(held)}

## Published, and assumed

{card_table(cards)}

{assumption_table(assumed)}

{sections}

## What limits it

{bullets}
"""


def card_section(projection, per_card, batch, sharding, pairs):
    """The tables of a card."""
    return f"""## {projection.card.name}

{per_card:,} pairs on each card:

{step_table(projection, lambda cards: per_card, sharding, pairs)}

The same batch of {batch:,} over more cards:

{step_table(projection, lambda cards: batch // cards, sharding, pairs)}

Memory of a rank with {per_card:,} pairs; with the gradient cache, logits and activations are not there at once:

{memory_table(projection, per_card, sharding)}

Where it stops: the first power of two of cards at which the towers take less than half of the step, or memory ends.

{stop_table(projection, per_card, batch, sharding)}"""


def assumption_table(assumed):
    """The assumptions with their values."""
    words = {
        "bandwidth_share": "share of the nominal bandwidth that a collective reaches",
        "latency": "seconds of latency of a collective for each doubling of the ranks",
        "activation_share": "bytes of bf16 activations over those measured in fp32; attention's matrices count in "
        "full, though fused kernels do not keep them",
        "memory_share": "share of a card's memory that a run fills",
        "fp32_share": "share of the fp32 peak that the logits' products reach",
        "memory_rate_share": "share of the rate of a card's memory that element-wise kernels reach",
        "label_bytes": "bytes that kernels move for the labels (comparing ids, targets, masks) of a row, column, "
        "direction and pair of views; counted in the code",
        "softmax_bytes": "the same for scaling, log softmax, the loss and their backward pass",
    }
    rows = [[name, f"{value:g}", words[name]] for name, value in dataclasses.asdict(assumed).items()]
    return markdown(["assumption", "value", "meaning"], rows)
