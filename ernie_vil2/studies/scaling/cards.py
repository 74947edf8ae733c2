"""Cards to project a training step to, with what is published of them, and what had to be assumed."""

from dataclasses import dataclass

from ...errors import ConfigError, nearest

CARDS_PER_NODE = 8


@dataclass(frozen=True)
class Card:
    """A card in its cluster.

    pairs_per_second: of a plain CLIP step (ViT-B/16, an image and a caption) on one card; memory in bytes; fp32_flops:
    of matrix products per second, for the logits, which stay in fp32; memory_rate: bytes per second of that memory;
    intra: bytes per second that a card sends within its node; inter: bytes per second that a node sends to others;
    source: where the numbers come from.
    """

    name: str
    pairs_per_second: float
    memory: float
    fp32_flops: float
    memory_rate: float
    intra: float
    inter: float
    source: str


CARDS = {
    "a100": Card(
        "A100 80 GB",
        350,
        80e9,
        19.5e12,
        2.0e12,
        300e9,
        100e9,
        "speed: open_clip's published 310 to 396 pairs/s for ViT-B/16, the middle; memory of 2.0 TB/s, 19.5 TFLOP/s "
        "and NVLink of 300 GB/s a direction: NVIDIA's data sheet; network: 4 ports of 200 Gbit/s a node, an assumption",
    ),
    "h800": Card(
        "H800 80 GB",
        3200,
        80e9,
        67e12,
        3.35e12,
        200e9,
        200e9,
        "speed: 40 % of the bf16 peak of 989 TFLOP/s, an assumption that nobody measured here; memory of 3.35 TB/s, 67 "
        "TFLOP/s and NVLink of 200 GB/s a direction: published data sheets; network: 8 ports of 200 Gbit/s a node, an "
        "assumption",
    ),
}


@dataclass(frozen=True)
class Assumptions:
    """What is neither measured nor published; every one is an option of `ernie-vil2 bench scale`."""

    bandwidth_share: float = 0.8  # of the nominal bandwidth that a collective reaches
    latency: float = 20e-6  # seconds a collective takes per doubling of the ranks, beside its bytes
    activation_share: float = 0.5  # bytes of bf16 activations over those measured in fp32
    memory_share: float = 0.9  # of a card's memory that a run may fill
    fp32_share: float = 0.5  # of the fp32 peak that the logits' products reach
    memory_rate_share: float = 0.8  # of the memory's nominal rate that element-wise kernels reach
    label_bytes: float = 128.8  # that kernels move for masks and positives, a logit: mean over PAIRS, see below
    softmax_bytes: float = 412  # that kernels move for sums of exponentials and the gradient: 224 forward, 188 back
    host_factor: float = 1.0  # time of a card's host over that of the machine that was measured


# Counted in the branches of a card of objectives/comparison.py, positives.py and log_sums.py, in bytes that kernels on
# whole tiles read and write; a truth value is 1 byte, a logit 4, vectors are not counted, products are told apart.
# Labels, forward and again backward: comparisons and their unions, 1 + 4 for each after the first, of which there are
# 1, 0, 3 where a pair holds one text, none, two: a mean of 7.4; in the four pairs of five with a text, which a sample
# may lack, 16 for both masks and 4 for positives in them; their opposite 2, negatives and positives apart 34, positives
# as numbers 5. Sums of both, in each direction: maxima 8, what is below them 16, exponentials 16, these times that 24,
# two sums 16, and for positives alone 32. Gradient, in each direction: 48 for the exponentials, 12 to add both, 28 for
# the positives; 12 to add the directions.


def card_named(name: str) -> Card:
    """The Card of a name; ConfigError when it is not known."""
    if name not in CARDS:
        raise ConfigError(f"--card {name}: did you mean {nearest(name, CARDS) or 'a100'!r}?")
    return CARDS[name]
