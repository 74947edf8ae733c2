"""Check a source before training on it: bad rows, duplicates, orphans, caption lengths, image sizes.

Memory: 28 bytes for a row of one caption (hashes of id, image and text, and a count), whatever the images weigh.
"""

from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...config.model import PixelProfile
from ...runtime import cpu_count
from ..images.limits import DEFAULT_LIMITS, Limits
from ..images.resize import OFFICIAL
from ..sources.base import IMAGE_ALONE, RowError, Source, digest, require_sides
from ..sources.pictures import CLASH, clash
from ..sources.usable import picture_sides, read_row
from ..tokenizer import Tokenizer
from .boxes import BoxCounts, count_boxes
from .near_files import NearFiles, advice
from .report import SHOWN, BadRow, CheckReport, Repeats

TOKEN_BATCH = 1024
LONGEST = 1 << 16
WINDOW = 16  # rows in flight per thread
BAD = -1
Outcome = tuple[int, int, tuple[str, ...], tuple[int, int] | None, BoxCounts] | RowError
"""(id hash, image hash, texts, (height, width) or None, its boxes) of a row, or why it is bad"""


def check(
    source: Source,
    tokenizer: Tokenizer | None = None,
    limit: int | None = None,
    decode_images: bool = True,
    keep_bad: int | None = SHOWN,
    progress: Callable[[Iterable[Outcome]], Iterable[Outcome]] = iter,
    profile: PixelProfile = OFFICIAL,
    limits: Limits = DEFAULT_LIMITS,
) -> CheckReport:
    """Read the first `limit` rows of a Source and return a CheckReport.

    tokenizer: gives token lengths and the truncation rate; decode_images: without it images are hashed, not decoded;
    keep_bad: how many bad rows the report lists (None for all; all are counted); progress: wraps the iterator of rows.
    profile, limits: what pictures are decoded by. DataError where the rows have no images.
    """
    require_sides(source, "a check", every=IMAGE_ALONE)
    rows = len(source) if limit is None else min(limit, len(source))
    tally = Tally(source, tokenizer, keep_bad)
    for outcome in progress(outcomes(source, rows, profile if decode_images else None, limits)):
        tally.add(outcome)
    return tally.report(rows)


def outcomes(
    source: Source, rows: int, profile: PixelProfile | None, limits: Limits = DEFAULT_LIMITS
) -> Iterator[Outcome]:
    """Yield what `examine` says of each row, in order; threads read and decode a window of rows ahead."""
    threads = cpu_count()
    with ThreadPoolExecutor(threads) as pool:
        pending = deque()
        for index in range(rows):
            pending.append(pool.submit(examine, source, index, profile, limits))
            if len(pending) >= WINDOW * threads:
                yield pending.popleft().result()
        for future in pending:
            yield future.result()


def examine(source: Source, index: int, profile: PixelProfile | None, limits: Limits = DEFAULT_LIMITS) -> Outcome:
    """What is counted of a row, without the sides where there is no profile, or the RowError that says why not."""
    try:
        sample = read_row(source, index)
        size = picture_sides(sample, profile, limits) if profile is not None else None
        content = sample.image.read_bytes() if isinstance(sample.image, Path) else sample.image
        boxes = count_boxes(sample, content, size)
        if isinstance(content, np.ndarray):
            content = np.ascontiguousarray(content).data
        return digest(sample.id.encode()), digest(content), sample.texts, size, boxes
    except RowError as error:
        return error


class Tally:
    """Collects the outcome of every row."""

    def __init__(self, source: Source, tokenizer: Tokenizer | None, keep_bad: int | None):
        self.source, self.tokenizer, self.keep_bad = source, tokenizer, keep_bad
        self.captions = array("i")  # of each row in turn; BAD for a bad one
        self.ids, self.contents, self.texts = array("Q"), array("Q"), array("Q")
        self.causes, self.bad = Counter(), {}
        self.characters, self.tokens, self.widths, self.heights = (Spread() for _ in range(4))
        self.waiting, self.small, self.boxes = [], 0, BoxCounts()
        self.near, self.broken = NearFiles(), 0

    def add(self, outcome: Outcome) -> None:
        """Count one row: what `examine` said of it, in order."""
        self.captions.append(BAD if isinstance(outcome, RowError) else len(outcome[2]))
        if isinstance(outcome, RowError):
            self.causes[outcome.cause] += 1
            if outcome.sought:
                self.near.add(len(self.captions) - 1, outcome.sought)
            if self.keep_bad is None or len(self.bad) < self.keep_bad:
                self.bad[len(self.captions) - 1] = bad_row(outcome)
            return
        image_id, content, texts, size, boxes = outcome
        self.boxes = self.boxes.plus(boxes)
        self.ids.append(image_id)
        self.contents.append(content)
        self.texts.extend(digest(text.encode()) for text in texts)
        self.characters.add([len(text) for text in texts])
        self.broken += sum("\n" in text.strip() for text in texts)
        if self.tokenizer is not None:
            self.waiting.extend(texts)
            if len(self.waiting) >= TOKEN_BATCH:
                self.count_tokens()
        if size is not None:
            self.heights.add([size[0]])
            self.widths.add([size[1]])
            self.small += min(size) < OFFICIAL.size

    def count_tokens(self) -> None:
        if self.waiting:
            self.tokens.add(self.tokenizer.lengths(self.waiting))
            self.waiting = []

    def report(self, checked: int) -> CheckReport:
        self.count_tokens()
        ids, contents, texts = (np.array(values, np.uint64) for values in (self.ids, self.contents, self.texts))
        captions = np.array(self.captions, np.int64)
        rows = np.flatnonzero(captions != BAD)
        text_rows = np.repeat(rows, captions[rows])
        clashing = self.take_clashes(ids, contents, rows)
        pairs = texts ^ (np.repeat(contents, captions[rows]) * np.uint64(0x9E3779B97F4A7C15))
        self.near.look()
        unused, examples = 0, []
        for path in self.source.unused_files():
            self.near.note_unused(path)
            examples += [str(path)] if unused < SHOWN else []
            unused += 1
        has_tokens = self.tokenizer is not None
        return CheckReport(
            source=self.source.name,
            rows=len(self.source),
            checked=checked,
            samples=len(rows) - clashing,
            texts=len(texts),
            images=len(np.unique(ids)),
            image_contents=len(np.unique(contents)),
            bad=sum(self.causes.values()),
            causes=dict(self.causes),
            bad_rows=[self._bad_row(row) for row in sorted(self.bad)[: self.keep_bad]],
            same_text=self.repeats(texts, text_rows),
            same_image=self.repeats(contents, rows),
            same_pair=self.repeats(pairs, text_rows),
            one_image_many_ids=self.several(contents, ids, rows),
            one_id_many_images=self.several(ids, contents, rows),
            rows_without_file=self.causes["missing image"],
            rows_elsewhere=self.near.rows_elsewhere(),
            files_without_row=unused,
            unused_files=examples,
            broken_texts=self.broken,
            characters=self.characters.summary(),
            tokens=self.tokens.summary() if has_tokens else {},
            max_length=self.tokenizer.max_length if has_tokens else 0,
            truncated=self.tokens.over(self.tokenizer.max_length) if has_tokens else 0,
            image_width=self.widths.summary() if self.widths.count else {},
            image_height=self.heights.summary() if self.heights.count else {},
            small_images=int(self.small),
            small_side=OFFICIAL.size,
            box_rows=self.boxes.rows,
            boxes=self.boxes.boxes,
            boxes_outside=self.boxes.outside,
            boxes_empty=self.boxes.empty,
        )

    def _bad_row(self, row: int) -> BadRow:
        """A bad row as it is listed: one without its file with those that it may mean."""
        bad, near = self.bad[row], self.near.of(row)
        return replace(bad, fix=advice(near), near=near) if near else bad

    def take_clashes(self, ids: np.ndarray, contents: np.ndarray, rows: np.ndarray) -> int:
        """Count as bad the rows that show another image than the first row of their id; returns how many."""
        order = np.argsort(ids, kind="stable")
        starts = np.flatnonzero(np.r_[True, ids[order[1:]] != ids[order[:-1]]][: len(ids)])
        first = np.empty(len(ids), np.int64)
        first[order] = np.repeat(order[starts], np.diff(np.r_[starts, len(ids)]))
        found = np.flatnonzero(contents != contents[first])
        if len(found):
            self.causes[CLASH] += len(found)
        for place in found[: self.keep_bad]:
            row = int(rows[place])
            earlier = self.source.where(int(rows[first[place]]))
            self.bad[row] = bad_row(clash(self.source.where(row), self.source.key(row), earlier))
        return len(found)

    def repeats(self, values: np.ndarray, rows: np.ndarray) -> Repeats:
        """Repeats of equal hashes; `rows` gives the row of each."""
        order = np.argsort(values, kind="stable")
        again = np.flatnonzero(values[order[1:]] == values[order[:-1]])
        return self.examples(len(again), order[again + 1], order[again], rows)

    def several(self, values: np.ndarray, others: np.ndarray, rows: np.ndarray) -> Repeats:
        """Values that occur with more than one of `others`."""
        order = np.lexsort((others, values))
        same = values[order[1:]] == values[order[:-1]]
        differ = np.flatnonzero(same & (others[order[1:]] != others[order[:-1]]))
        return self.examples(len(np.unique(values[order[differ]])), order[differ + 1], order[differ], rows)

    def examples(self, count: int, later: np.ndarray, earlier: np.ndarray, rows: np.ndarray) -> Repeats:
        """A Repeats with its first examples, each as (place of the later row, place of the earlier row)."""
        pairs = np.sort(np.stack([rows[later[:SHOWN]], rows[earlier[:SHOWN]]], axis=1), axis=1)
        return Repeats(count, [(self.source.where(late), self.source.where(early)) for early, late in pairs.tolist()])


def bad_row(error: RowError) -> BadRow:
    """What the report keeps of an error."""
    return BadRow(error.where, error.cause, error.reason, error.fix)


class Spread:
    """Distribution of whole numbers, in constant memory; values over LONGEST count as LONGEST, but for the maximum."""

    def __init__(self):
        self.bins = np.zeros(LONGEST + 1, np.int64)
        self.count, self.sum, self.max = 0, 0, 0

    def add(self, values: Sequence[int] | np.ndarray) -> None:
        values = np.asarray(values, np.int64)
        if not len(values):
            return
        np.add.at(self.bins, np.minimum(values, LONGEST), 1)
        self.count += len(values)
        self.sum += int(values.sum())
        self.max = max(self.max, int(values.max()))

    def over(self, limit: int) -> int:
        """How many values are greater than `limit`."""
        return int(self.bins[limit + 1 :].sum())

    def summary(self) -> dict[str, float]:
        if not self.count:
            return {"count": 0}
        below = np.cumsum(self.bins)
        minimum, median, p95 = (
            int(np.searchsorted(below, rank)) for rank in (1, (self.count + 1) // 2, int(np.ceil(0.95 * self.count)))
        )
        return {
            "count": self.count,
            "min": minimum,
            "mean": self.sum / self.count,
            "median": median,
            "p95": p95,
            "max": self.max,
        }
