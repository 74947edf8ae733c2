"""Which of many waiting texts go in one batch: each is padded to the longest of it, and each batch costs something."""

from collections.abc import Sequence


def first_group(lengths: Sequence[int], overhead: float) -> list[int]:
    """The places, ascending, of those that go in one batch with the first, where texts of these lengths, in tokens,
    are parted into batches so that all of them together cost the least.

    overhead: tokens that are encoded in the time that a batch costs beside them.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    costs, starts = [0.0], [0]
    for end, place in enumerate(order, 1):
        totals = [costs[start] + overhead + (end - start) * lengths[place] for start in range(end)]
        start = min(range(end), key=totals.__getitem__)
        costs.append(totals[start])
        starts.append(start)
    end, at = len(order), order.index(0)
    while starts[end] > at:
        end = starts[end]
    return sorted(order[starts[end] : end])
