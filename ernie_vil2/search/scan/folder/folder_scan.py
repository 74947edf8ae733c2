"""A folder of pictures and videos against the index: what is new is encoded, what moved keeps its row."""

import os
from collections.abc import Iterator

import numpy as np

from ....errors import DataError
from ....files.paths.names import distinct_texts, is_text
from ....threads import ordered_map
from ...store.columns import ImageRow
from ..encoder import Encoder
from ..fault import Fault
from ..known import KnownFiles
from ..ledger import DOUBTFUL, LOOSE, REMOVED, TAKEN, Ledger
from ..run import Run
from .content import Content, Item, fault_of, file_row, read_picture, read_video
from .difference import Difference, below, compare
from .listing import Listing, opened_folder
from .video_scan import VideoScan

CHUNK_FILES, CHUNK_BYTES = 256, 64 << 20
"""Pictures that are encoded together, and the bytes of them: three such chunks are in memory at most"""
FIRST_FILES = 32
"""Pictures of the first chunk, each next one has twice as many: what is encoded can be committed soon"""
SOME = 16
"""Rows of one content among which a moved file looks for its own"""


class FolderScan:
    """One scan of a folder. number: of its root; listing: what is in it. Making one marks the rows of its files that
    are gone or have changed; `run` reads what is to be read."""

    def __init__(self, ledger: Ledger, number: int, listing: Listing, name: str):
        self.ledger, self.number, self.listing, self.name = ledger, number, listing, name
        self.known = KnownFiles(ledger.writer.snapshot.images, number)
        if not len(listing) and len(self.known):
            raise DataError(
                f"{name} holds no picture any more, and the index has {len(self.known):,} files of it, so nothing was "
                "changed; mount the disk, say where it is now with `index update --moved OLD NEW`, or take them out "
                "with `index remove --source`"
            )
        faults = ledger.faults.of_root(number)
        self.difference: Difference = compare(listing, self.known, faults)
        self.gone = self._gone()
        for was in self.difference.edited[self.difference.edited >= 0]:
            ledger.mark(self.known.rows(was), DOUBTFUL)
        ledger.mark(self.known.rows_of(self.gone), LOOSE)
        ledger.counts["same"] += self.difference.same
        ledger.counts["bad before"] += self.difference.bad
        ledger.faults.forget(number, [fault.path for fault in self.difference.lost])
        for flaw in listing.flaws:
            ledger.fail(Fault(number, *flaw, again=True))
        self.texts = {}
        if not is_text(os.fsdecode(bytes(listing.places))):
            self.texts = distinct_texts([os.fsdecode(path) for path in listing.paths()])

    def _gone(self) -> np.ndarray:
        """Known files whose path is not there, but for those in folders that could not be looked into."""
        gone = self.difference.gone
        if not len(gone) or not self.listing.unread:
            return gone
        first = [int(self.known.rows(was)[0]) for was in gone]
        rows = self.ledger.rows_of(first)
        hidden = [below(rows[number].path, self.listing.unread) for number in first]
        return gone[~np.array(hidden)]

    def amount(self) -> tuple[int, int]:
        """(files, bytes) that are to be read."""
        sizes = np.frombuffer(self.listing.sizes, np.int64)
        return len(self.difference.fresh), int(sizes[self.difference.fresh].sum())

    def key(self, path: bytes) -> str:
        """The path of a file as text, another one for each file."""
        text = os.fsdecode(path)
        return self.texts.get(text, text)

    def chunks(self) -> Iterator[np.ndarray]:
        """Places in `difference.fresh` of files that are read together: pictures, or one video."""
        rows, size, most = [], 0, min(FIRST_FILES, CHUNK_FILES)
        for place, row in enumerate(self.difference.fresh):
            video, weight = self.listing.videos[row], self.listing.sizes[row]
            if rows and (video or len(rows) == most or size + weight > CHUNK_BYTES):
                yield np.array(rows)
                rows, size, most = [], 0, min(2 * most, CHUNK_FILES)
            if video:
                yield np.array([place])
                continue
            rows.append(place)
            size += weight
        if rows:
            yield np.array(rows)

    def run(self, folder: str, encoder: Encoder, run: Run, follow: bool = False, frames: str = "") -> None:
        """Read what is new, encode what nothing is known of. follow: links; frames: which frames of a video."""
        videos = VideoScan(self.ledger, self.number, encoder, run, frames)
        with opened_folder(folder) as root:

            def read(places: np.ndarray) -> list[Content | Fault]:
                rows = self.difference.fresh[places]
                if self.listing.videos[rows[0]]:
                    return [read_video(root, self.number, self.listing.path(rows[0]), follow)]
                paths = map(self.listing.path, rows)
                return [read_picture(root, self.number, path, encoder.limits, follow) for path in paths]

            work = ((places, read) for places in self.chunks())
            for places, found in ordered_map(lambda job: (job[0], job[1](job[0])), work, workers=2, ahead=1):
                items = self._items(places, found)
                if self.listing.videos[self.difference.fresh[places[0]]]:
                    for item in items:
                        videos.settle(item, root, follow)
                else:
                    self.settle(items, encoder)
                sizes = [self.listing.sizes[row] for row in self.difference.fresh[places]]
                run.step(len(places), sum(sizes))

    def _items(self, places, found):
        """The files that could be read; of the others it is noted why."""
        items = []
        for place, content in zip(places, found, strict=True):
            was = self.difference.edited[place]
            own = tuple(self.ledger.in_state(self.known.rows(was), DOUBTFUL)) if was >= 0 else ()
            if isinstance(content, Fault):
                self.fail(content, own)
                continue
            path = self.listing.path(self.difference.fresh[place])
            items.append(Item(path, self.key(path), content, own))
        self.ledger.faults.forget(self.number, [item.path for item in items])
        return items

    def fail(self, fault: Fault, own: tuple[int, ...]) -> None:
        """Note why a file is not in the index; rows that it had go, unless it is only out of reach now."""
        self.ledger.fail(fault)
        if not fault.again:
            self.ledger.replace(own)

    def settle(self, items: list[Item], encoder: Encoder) -> None:
        """Find or make the rows of pictures that were read together."""
        ledger, moved, copies, new = self.ledger, [], [], {}
        candidates = {item.key: ledger.of(item.content.digest) for item in items}
        wanted = [ids for found in candidates.values() for ids in ledger.in_state(found, LOOSE, DOUBTFUL)[:SOME]]
        rows = ledger.rows_of(wanted)
        for item in sorted(items, key=lambda item: not set(item.own) & set(candidates[item.key].tolist())):
            ids = candidates[item.key]  # what only has another time comes before what may have its row
            own = [number for number in item.own if number in ids and ledger.states[number] == DOUBTFUL]
            row = own[0] if own else self.found(item, ids, rows)
            if row is not None:
                ledger.counts["touched" if own else "moved"] += 1
                ledger.mark([row], TAKEN)
                moved.append((row, item))
            elif present := [number for number in ids if ledger.states[number] != REMOVED]:
                copies.append((int(present[0]), item))
            else:
                new.setdefault(item.content.digest, []).append(item)
            if not own:
                ledger.replace(item.own)
        if moved:
            numbers, those = zip(*moved, strict=True)
            ledger.change(numbers, [self.row(item) for item in those])
        vectors = [ledger.vectors_of([number for number, _ in copies])] if copies else []
        added, encoded = [item for _, item in copies], self._encode(list(new.values()), encoder) if new else []
        for those, vector in encoded:
            added += those
            vectors.append(np.repeat(vector[None], len(those), axis=0))
        if added:
            ledger.add([self.row(item) for item in added], np.concatenate(vectors))
            edited = sum(bool(item.own) for item in added)
            ledger.counts.update(new=len(added) - edited, edited=edited, encoded=len(encoded))

    def _encode(self, groups, encoder):
        """(items, vector [D]) of the groups of one content that can be decoded."""
        vectors, failures = encoder.images([group[0].content.picture for group in groups])
        good = []
        for position, group in enumerate(groups):
            if position not in failures:
                good.append((group, vectors[position]))
                continue
            cause, reason = failures[position]
            for item in group:
                error = DataError(reason)
                error.cause = cause
                fault = fault_of(self.number, item.path, error, item.content.size, item.content.mtime)
                self.fail(fault, item.own)
        return good

    def found(self, item: Item, ids: np.ndarray, rows: dict) -> int | None:
        """The id of a row that is without a file and has this content: best of one with the same name."""
        for state in (LOOSE, DOUBTFUL):
            some = [number for number in self.ledger.in_state(ids, state)[:SOME] if number in rows]
            name = os.path.basename(item.path)
            if some:
                return next((number for number in some if os.path.basename(rows[number].path) == name), some[0])
        return None

    def row(self, item: Item) -> ImageRow:
        """The row of a picture."""
        return file_row(self.number, item.key, item.path, item.content)
