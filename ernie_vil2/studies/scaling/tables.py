"""Tables of the projection to many cards, as Markdown."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from ...pages.markdown import markdown
from ..operations import view_flops
from .cards import Assumptions, Card
from .project import Projection, reached_flops
from .view_costs import SIZES

COUNTS = (8, 64, 512)
TITLES = {"base": "base (ViT-B/16)", "large": "large (ViT-L/14)"}


def step_table(projection: Projection, per_card: Callable[[int], int], sharding: int, pairs: float) -> str:
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
                    f"{step.host:.2f} s" + (", limits" if step.time["host"] else ""),
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
        "host",
        f"time for {pairs / 1e9:g} B pairs",
        "with overlap",
    ]
    return markdown(head, rows)


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def days(hours: float) -> str:
    return f"{hours / 24:,.1f} days" if hours >= 48 else f"{hours:,.1f} h"


def memory_table(projection: Projection, per_card: int, sharding: int, cards: int = 64) -> str:
    """What fills a rank."""
    steps = {size: projection.step(size, cards, per_card, sharding) for size in SIZES}
    rows = [[part, *(f"{step.memory[part] / 1e9:.2f} GB" for step in steps.values())] for part in steps["base"].memory]
    return markdown([f"{cards} cards", *(TITLES[size] for size in SIZES)], rows)


def measured_tables(measured: Mapping[str, Any]) -> str:
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


def card_table(cards: Mapping[str, Card]) -> str:
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


def assumption_table(assumed: Assumptions) -> str:
    """The assumptions with their values."""
    words = {
        "bandwidth_share": "share of the nominal bandwidth that a collective reaches",
        "latency": "seconds of latency of a collective for each doubling of the ranks",
        "activation_share": "bytes of bf16 activations over those measured in fp32; attention's matrices count in "
        "full, though fused kernels do not keep them",
        "memory_share": "share of a card's memory that a run fills",
        "fp32_share": "share of the fp32 peak that the logits' products reach",
        "memory_rate_share": "share of the rate of a card's memory that element-wise kernels reach",
        "label_bytes": "bytes that kernels move for the labels (comparing ids, masks, positives and negatives apart) "
        "of a logit, which both directions of a pair of views share, in both passes; counted in the code",
        "softmax_bytes": "the same for sums of exponentials forward and the gradient backward",
        "host_factor": "time that a card's host takes over that of the machine measured here; nobody measured one",
    }
    rows = [[name, f"{value:g}", words[name]] for name, value in dataclasses.asdict(assumed).items()]
    return markdown(["assumption", "value", "meaning"], rows)
