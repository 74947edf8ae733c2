"""The factors of an EfficientNet that is none of the published sizes, from its numbers of blocks and channels."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from ..config.tower_fields import STAGES, EfficientNetConfig

STEM, HEAD = 32, 1280
"""Channels of b0"""
MOST_FACTOR, DIGITS = 10, 3


def depth_factor(counts: Sequence[int]) -> float | None:
    """The shortest decimal that gives these blocks a stage, or None where none does."""

    def fits(factor):
        return EfficientNetConfig(depth_factor=factor).stage_depths() == list(counts)

    return next(filter(fits, decimals()), None) if len(counts) == len(STAGES) else None


def width_factor(found: Iterable[tuple[int, int]]) -> float | None:
    """The shortest decimal that gives most of the (channels of b0, channels here) that were found, or None where there
    is none that gives half of them. Not all of them have to agree, so that one wrong tensor is reported as such."""
    votes = Counter(found)
    total, best, most = sum(votes.values()), None, 0
    for factor in decimals():
        config = EfficientNetConfig(width_factor=factor)
        given = sum(count for (of_b0, channels), count in votes.items() if config.channels(of_b0) == channels)
        if given > most:
            best, most = factor, given
        if given == total:
            break
    return best if 2 * most > total else None


def decimals() -> Iterator[float]:
    """Numbers above 0 up to MOST_FACTOR, those of fewer decimal places first."""
    for places in range(1, DIGITS + 1):
        yield from (step / 10**places for step in range(1, MOST_FACTOR * 10**places + 1))


def scaled(
    config: EfficientNetConfig, counts: Sequence[int], channels: Callable[[str], int | None]
) -> EfficientNetConfig | None:
    """`config` with the factors of `counts` blocks a stage and of the layers of b0; None where there are none.

    channels: of one of our batch norms by its key, None where it is missing.
    """
    depth = depth_factor(counts)
    if depth is None:
        return None
    outputs = [of_b0 for count, (*_, of_b0) in zip(counts, STAGES, strict=True) for _ in range(count)]
    wanted = {"visual.stem_norm.weight": STEM, "visual.head_norm.weight": HEAD}
    wanted |= {f"visual.blocks.{index}.project_norm.weight": of_b0 for index, of_b0 in enumerate(outputs)}
    found = [(of_b0, side) for key, of_b0 in wanted.items() if (side := channels(key)) is not None]
    width = width_factor(found)
    return width and replace(config, width_factor=width, depth_factor=depth)
