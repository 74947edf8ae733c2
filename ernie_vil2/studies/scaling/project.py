"""A training step on many cards, worked out from measured values: time, memory, and where more cards stop helping.

What is modelled is this project's step: every rank encodes its share of the batch, in micro-batches with the gradient
cache when it does not fit at once; embeddings are all-gathered and their gradient is reduce-scattered; logits and which
of them are positives are worked out on the card, tile by tile and twice, and the sums of their columns are all-reduced;
gradients are summed in buckets after the last backward pass, or reduced to their owner who broadcasts the new values
(sharding). A step takes as long as the host needs to start it. Seconds and bytes throughout.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..operations import tower_flops, view_flops
from .cards import CARDS_PER_NODE, Assumptions, Card
from .division import collectives, largest_load
from .rank_traffic import GATHERED, IMAGE_VIEWS, PAIRS, TEXT_VIEWS
from .view_costs import SIZES

SUM_BYTES = 4
"""Of a sum over logits on a card"""
PRODUCTS = 4
"""Of b x B x D for a pair of views: logits forward, and again with both gradients backward"""
CLIP_TEXT = {"width": 512, "depth": 12, "length": 77}
"""The text tower beside ViT-B/16 in the published speeds."""


def reached_flops(card: Card) -> float:
    """Operations per second that the card's measured speed stands for; backward counts as two forward passes."""
    return card.pairs_per_second * 3 * (view_flops(SIZES["base"])[0] + tower_flops(**CLIP_TEXT))


@dataclass(frozen=True)
class Step:
    """A projected step: sizes, parts of its time in seconds, and parts of a rank's memory in bytes.

    `host` is what the host needs for the whole step; the part "host" of the time is what the card waits for it.
    """

    size: str
    cards: int
    per_card: int
    micro: int
    sharding: int
    time: dict
    host: float
    overlapped: float
    memory: dict
    fits: bool

    @property
    def batch(self) -> int:
        """Pairs of the global batch."""
        return self.cards * self.per_card

    @property
    def seconds(self) -> float:
        """Of the whole step."""
        return sum(self.time.values())

    @property
    def communication(self) -> float:
        """Share of the step in collectives between cards."""
        return (self.time["gradients"] + self.time["embeddings"]) / self.seconds

    @property
    def bytes(self) -> float:
        """Peak memory of a rank."""
        return peak(self.memory, self.micro == self.per_card)

    def hours(self, pairs: float) -> float:
        """Time for so many pairs."""
        return pairs / self.batch * self.seconds / 3600


def peak(memory: Mapping[str, float], at_once: bool) -> float:
    """Most bytes of a rank at a time, of parts of its memory.

    at_once: activations of the whole share wait while the loss is worked out; with the gradient cache there are none
    then, and what the loss needs is gone when the first chunk is replayed.
    """
    towers = memory["activations"] + memory["pixels"]
    loss = memory["gathered"] + memory["logits"]
    return sum(memory.values()) - towers - loss + (towers + loss if at_once else max(towers, loss))


class Projection:
    """`step(size, cards, per_card)` from a measurement (`measure.measure`), a Card and Assumptions."""

    def __init__(
        self, measured: Mapping[str, Any], card: Card, assumed: Assumptions | None = None, recompute: bool = False
    ):
        self.measured, self.card, self.assumed = measured, card, assumed or Assumptions()
        self.recompute = recompute

    def bandwidth(self, cards: int) -> float:
        """Bytes per second that a ring over all cards moves: within a node, or as fast as a node sends."""
        nominal = self.card.intra if cards <= CARDS_PER_NODE else min(self.card.intra, self.card.inter)
        return nominal * self.assumed.bandwidth_share

    def wait(self, cards: int, collectives: int) -> float:
        """Seconds of latency of so many collectives."""
        return collectives * self.assumed.latency * math.ceil(math.log2(cards)) if cards > 1 else 0.0

    def gradient_time(self, size: str, cards: int, sharding: int) -> float:
        """All-reduce as a ring, 2 (N-1)/N of the bytes, with sharding 1 a broadcast of the new values after it; with
        sharding 2 a reduction to the owner and that broadcast, once all bytes each."""
        if cards == 1:
            return 0.0
        wire, parameters = self.measured["wire"], self.measured["sizes"][size]["parameters"]
        whole, count = wire["gradient_per_parameter"] * parameters, collectives(size, 1)
        sent = whole * 2 * (cards - 1) / cards
        if sharding == 1:
            sent, count = sent + whole, count + collectives(size, cards)
        elif sharding == 2:
            sent, count = wire["sharded_per_parameter"] * parameters, 2 * collectives(size, cards)
        return sent / self.bandwidth(cards) + self.wait(cards, count)

    def embedding_time(self, width: int, cards: int, batch: int) -> float:
        """All-gather of embeddings and of ids, and reduce-scatter of the embeddings' gradient: (N-1)/N of the bytes;
        two all-reduces of sums of logits: twice that."""
        wire = self.measured["wire"]
        values = batch * width * len(GATHERED)
        size = values * (wire["embedding_per_value"] + wire["embedding_gradient_per_value"])
        size += batch * (wire["metadata_per_sample"] + 2 * SUM_BYTES * wire["sums_per_sample"])
        return size * (cards - 1) / cards / self.bandwidth(cards) + self.wait(cards, 5)

    def pair_flops(self, size: str) -> float:
        """Operations of the forward passes of all views of a pair."""
        image, text = view_flops(SIZES[size])
        return len(IMAGE_VIEWS) * image + len(TEXT_VIEWS) * text

    def forward_share(self, size: str) -> float:
        """Share of the forward pass in forward and backward together, measured on this machine."""
        sides = [self.measured["sizes"][size][tower] for tower in ("image", "text")]
        weights = len(IMAGE_VIEWS), len(TEXT_VIEWS)
        forward = sum(weight * side["forward"] for weight, side in zip(weights, sides, strict=True))
        return forward / (forward + sum(weight * side["backward"] for weight, side in zip(weights, sides, strict=True)))

    def activations(self, size: str) -> float:
        """Bytes of a pair between forward and backward; with recompute, of block inputs and of one block."""
        total = 0.0
        for tower, views in (("image", len(IMAGE_VIEWS)), ("text", len(TEXT_VIEWS))):
            held, depth = self.measured["sizes"][size][tower], getattr(SIZES[size], f"{tower}_tower").depth
            each = held["bytes_recompute"] + held["bytes"] / depth if self.recompute else held["bytes"]
            total += views * each
        return total * self.assumed.activation_share

    def memory(self, size: str, cards: int, per_card: int, micro: int, sharding: int) -> dict[str, float]:
        """Bytes of a rank by what they hold: `embeddings` and their gradients of its own rows, those of all ranks
        (`gathered`), and of `logits` a tile and the sums of rows and columns."""
        from ...objectives.tiles import CARD_TILE  # here, since it imports Paddle

        config, parameters = SIZES[size], self.measured["sizes"][size]["parameters"]
        views = len(IMAGE_VIEWS) + len(TEXT_VIEWS)
        batch, width = cards * per_card, config.embed_dims()[0]
        pixels = len(IMAGE_VIEWS) * 3 * config.image_tower.image_size**2
        copies, loss = 4 + 2, self.measured["loss"]  # weights in fp32 and their casts in bf16
        return {
            "weights": copies * parameters,
            "gradients": 4 * parameters,  # sharded or not, they are whole until the last micro-batch is done
            "moments": 8 * (largest_load(size, cards) if sharding else parameters),  # of the rank that owns most
            "activations": micro * self.activations(size),
            "pixels": (1 + 4 + 4) * micro * pixels,  # as bytes, in fp32, and normalised
            "embeddings": 2 * 4 * per_card * width * views,
            "gathered": loss["value"] * batch * width * len(GATHERED),
            "logits": loss["tile"] * min(CARD_TILE, per_card * batch) + loss["line"] * (per_card + batch),
        }

    def micro_batch(self, size: str, cards: int, per_card: int, sharding: int) -> tuple[int, bool]:
        """(pairs of a pass, whether they fit): the share of a card, or the largest power of two below it that fits."""
        limit = self.card.memory * self.assumed.memory_share
        micro = per_card

        def too_much():
            return peak(self.memory(size, cards, per_card, micro, sharding), micro == per_card) > limit

        while too_much() and micro > 1:
            micro = 2 ** math.ceil(math.log2(micro) - 1)
        return micro, not too_much()

    def step(self, size: str, cards: int, per_card: int, sharding: int = 0) -> Step:
        """The Step of a size on so many cards with `per_card` pairs on each."""
        micro, fits = self.micro_batch(size, cards, per_card, sharding)
        batch, width = cards * per_card, SIZES[size].embed_dims()[0]
        once = per_card * 3 * self.pair_flops(size) / reached_flops(self.card)
        again = self.forward_share(size) if micro < per_card else 0.0
        again += self.forward_share(size) if self.recompute else 0.0
        entries = len(PAIRS) * per_card * batch
        moved = self.card.memory_rate * self.assumed.memory_rate_share
        products = PRODUCTS * 2 * width / (self.card.fp32_flops * self.assumed.fp32_share)
        time = {
            "towers": once * (1 + again),
            "logits": entries * (products + self.assumed.softmax_bytes / moved),
            "labels": entries * self.assumed.label_bytes / moved,
            "embeddings": self.embedding_time(width, cards, batch),
            "gradients": self.gradient_time(size, cards, sharding),
        }
        busy, host = sum(time.values()), self.host_time(size, math.ceil(per_card / micro))
        time["host"] = max(host - busy, 0.0)
        last = once * (1 - self.forward_share(size)) * micro / per_card
        overlapped = max(busy - min(time["gradients"], last), host)
        memory = self.memory(size, cards, per_card, micro, sharding)
        return Step(size, cards, per_card, micro, sharding, time, host, overlapped, memory, fits)

    def host_time(self, size: str, chunks: int) -> float:
        """Seconds that the host needs for a step of so many micro-batches: measured for few, a line through them."""
        measured = {int(count): each for count, each in self.measured["host"][size]["milliseconds"].items()}
        few, many = sorted(measured)[-2:]
        slope = max((measured[many] - measured[few]) / (many - few), 0.0)
        found = measured.get(chunks, measured[few] + (chunks - few) * slope)
        return self.assumed.host_factor * found / 1000
