"""Captions and tags of pictures as rows of an index: one row a text, however many pictures have it."""

from collections.abc import Iterator, Sequence

from ...data.sources.base import Sample
from ..store.columns import TextRow
from .encoder import Encoder, Failure
from .ledger import Ledger

CAPTION, TAG = "caption", "tag"
Pair = tuple[str, str]
"""(kind, text)"""


def pairs_of(sample: Sample) -> Iterator[Pair]:
    """The texts of a sample, each with its kind, captions first."""
    yield from ((CAPTION, text) for text in sample.texts)
    yield from ((TAG, text) for text in sample.tags)


class TextRows:
    """The texts of an index while a source is scanned."""

    def __init__(self, ledger: Ledger):
        self.ledger = ledger

    def ids_of(self, samples: Sequence[Sample], encoder: Encoder) -> tuple[dict[int, list[int]], dict[int, Failure]]:
        """({position: ids of its texts}, {position: why a text of it cannot be encoded}) of samples; texts that the
        index does not have are encoded together, once, and added to it."""
        found, failed = self._found(samples, encoder)
        ids, bad = {}, {}
        for position, sample in enumerate(samples):
            pairs = list(dict.fromkeys(pairs_of(sample)))
            if faults := [failed[pair] for pair in pairs if pair in failed]:
                bad[position] = faults[0]
            else:
                ids[position] = [found[pair] for pair in pairs]
        return ids, bad

    def _found(self, samples, encoder):
        """({pair: id}, {pair: Failure}) of all texts of the samples."""
        pairs = dict.fromkeys(pair for sample in samples for pair in pairs_of(sample))
        found = {pair: self.ledger.writer.text_id(*pair) for pair in pairs}
        new = [pair for pair, number in found.items() if number is None]
        if not new:
            return found, {}
        vectors, failures = encoder.texts([text for _, text in new])
        good = [position for position in range(len(new)) if position not in failures]
        ids = self.ledger.writer.add_texts([TextRow(*new[position]) for position in good], vectors[good])
        found |= {new[position]: int(number) for position, number in zip(good, ids, strict=True)}
        self.ledger.counts["texts"] += len(good)
        return found, {new[position]: failure for position, failure in failures.items()}
