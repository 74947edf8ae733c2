"""Several sources in fixed shares: which source a position reads follows from its number alone, without tables.

A pass is so long that every part is read through at least once: n = max(rows of a part / its share). A part with less
rows than its share of n is read through several times, and then once more in part.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...errors import ConfigError, nearest
from ...messages import counted, quoted
from .base import Source
from .composite import CompositeSource

BLOCK = 8192  # positions that stay together when a source is shuffled by its shards; each holds every part's share


class MixedSource(CompositeSource):
    """`sources` is a list of {source: SPEC, weight: NUMBER}; of each stretch of positions a part has its share.

    `open_part` opens a SPEC. A part with share p has round(p n) of the n positions, evenly spread.
    """

    def __init__(self, sources: Sequence[Mapping[str, Any]], open_part: Callable[[Any], Source]):
        weights = [checked_weight(number, entry) for number, entry in enumerate(checked_list(sources))]
        self.parts = [open_part(entry["source"]) for entry in sources]
        self.name = f"a mix of {counted(len(self.parts), 'source')}"
        self.counts = pass_counts([len(part) for part in self.parts], weights)
        self.total = sum(self.counts)
        self.tell_parts_apart()

    def __len__(self):
        return self.total

    def place(self, index: int) -> tuple[int, int]:
        """(part, row in it) of a position 0 <= index < len."""
        rest, total = index, self.total
        for number, count in enumerate(self.counts):
            # of the first `rest` positions among the `total` of this part and later ones
            before = rest * count // total
            if (rest + 1) * count // total > before:
                return number, row_of(before, count, len(self.parts[number]))
            rest, total = rest - before, total - count
        raise IndexError(f"{self.name} has {len(self)} rows, so there is no row {index}")

    def describe(self) -> str:
        shares = (
            f"{100 * count / self.total:.1f} % from {part.name} ({count / len(part):.2f} times its {len(part):,})"
            for part, count in zip(self.parts, self.counts, strict=True)
        )
        return f"{self.name}: {counted(len(self), 'sample')} a pass: {', '.join(shares)}"

    def shard_sizes(self) -> list[int]:
        whole, rest = divmod(self.total, BLOCK)
        return [BLOCK] * whole + [rest] * bool(rest)

    def locate(self, index: int) -> tuple[Source, int]:
        number, row = self.place(index)
        return self.parts[number], row


def pass_counts(sizes: Sequence[int], weights: Sequence[float]) -> list[int]:
    """How many positions of a pass each part has: its share of a pass in which every part is read at least once."""
    total = math.fsum(weights)
    length = max(size * total / weight for size, weight in zip(sizes, weights, strict=True))
    counts = [max(size, round(length * weight / total)) for size, weight in zip(sizes, weights, strict=True)]
    if sum(counts) >= 1 << 53:
        raise ConfigError(
            f"the weights {quoted(weights)} make a pass of over 2^53 samples; bring them nearer to each other"
        )
    return counts


def row_of(draw: int, count: int, size: int) -> int:
    """Row of draw 0 <= draw < count: whole passes over `size` rows, then one over rows evenly spaced."""
    whole = count // size * size
    return draw % size if draw < whole else (draw - whole) * size // (count - whole)


def checked_list(sources: Any) -> Sequence[Any]:
    """The entries, or ConfigError when they are no list of mappings."""
    if not isinstance(sources, (list, tuple)) or not sources:
        raise ConfigError("a mix needs sources: a list of {source: SPEC, weight: NUMBER}")
    return sources


def checked_weight(number: int, entry: Any) -> float:
    """The weight of one entry as a float; ConfigError naming the entry."""
    if not isinstance(entry, dict) or "source" not in entry:
        raise ConfigError(f"mix: entry {number + 1} is {quoted(entry)}; write {{source: SPEC, weight: NUMBER}}")
    for key in entry:
        if key not in ("source", "weight"):
            raise ConfigError(
                f"mix: entry {number + 1} has an unknown key {quoted(key)}; did you mean "
                f"{nearest(key, ('source', 'weight')) or 'weight'!r}?"
            )
    weight = entry.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 1e-9 <= weight <= 1e9:
        raise ConfigError(
            f"mix: the weight of entry {number + 1} is {quoted(weight)}; give a number above 0, 1e-9 to 1e9"
        )
    return float(weight)
