"""All places of an index against what it has of them: looked at first, then read, encoded and committed."""

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...errors import UserError
from ...stop import StopRequest
from ..store.writer import Writer
from .embedding_scan import EmbeddingScan
from .encoder import Encoder
from .folder.folder_scan import FolderScan
from .folder.listing import list_folder
from .ledger import LOOSE, Ledger
from .places import EMBEDDINGS, FILES, WORDLESS, Place
from .removal import LEFT_OUT, pattern_of
from .run import Progress, Run, Silent
from .source_scan import SourceScan

Scan = FolderScan | SourceScan | EmbeddingScan


@dataclass
class Report:
    """What a scan did. read: files, or rows of a source, that were looked into; counts: files that are new, moved,
    edited, touched, gone, the same; frames, texts, and how many pictures were encoded; causes: of files that were bad;
    seconds: all that it took, of which `loading` went to the model; notes: on what was left out; missing: why a place
    could not be looked at."""

    read: int
    counts: Counter[str]
    causes: Counter[str]
    seconds: float
    loading: float
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def scan(
    writer: Writer,
    places: Sequence[Place],
    encoder: Encoder,
    progress: Progress | None = None,
    stop: StopRequest | None = None,
    patient: bool = False,
    ledger: Ledger | None = None,
) -> Report:
    """Bring an index up to date with places, and commit.

    patient: a place that cannot be looked at is told of in the report, and its rows stay; otherwise its error is
    raised, and nothing is changed. ledger: by default one of the writer's. Raises Stopped, when what is done was
    committed, where `stop` was asked to.
    """
    began, progress, ledger = time.monotonic(), progress or Silent(), ledger or Ledger(writer)
    encoder.waited = progress.waited
    run, scans, notes, missing = Run(ledger, progress, stop), [], [], []
    for place in places:
        try:
            scans.append((place, looked_at(ledger, place, progress, notes)))
        except UserError as error:
            if not patient:
                raise
            missing.append(str(error))
        run.check()
    amounts = [one.amount() for _, one in scans]
    progress.begin(*(sum(amount[part] for amount in amounts) for part in (0, 1)))
    try:
        for place, one in scans:
            if isinstance(one, FolderScan):
                one.run(place.folder, encoder, run, place.follow, place.frames)
            else:
                one.run(encoder, run)
    finally:  # a sentence on why it ended needs a line of its own
        progress.end()
    for _, one in scans:
        if isinstance(one, FolderScan):
            take_out(ledger, one)
    ledger.commit()
    seconds = time.monotonic() - began
    return Report(run.done, ledger.counts, ledger.faults.causes(), seconds, encoder.loading, notes, missing)


def looked_at(ledger: Ledger, place: Place, progress: Progress, notes: list[str]) -> Scan:
    """The scan of a place, which knows what is to be read; notes: gets sentences on what is left out."""
    number = ledger.writer.root(place.spec, place.folder, place.kind)
    left_out = pattern_of(ledger.writer.manifest.roots[number].get(LEFT_OUT, ()))
    if place.kind == FILES:
        folder = ledger.writer.folder
        listing = list_folder(
            place.folder,
            place.follow,
            lambda files: progress.listed(place.name, files),
            [folder, rebuilt(folder)],
            left_out,
        )
        notes += listing.notes(place.name)
        return FolderScan(ledger, number, listing, place.name)
    if place.kind == EMBEDDINGS:
        return EmbeddingScan(ledger, number, place.folder)
    source = place.source()
    notes += [source.describe(), *source.notes]
    return SourceScan(ledger, number, source, place.kind != WORDLESS, left_out)


def rebuilt(folder: str | os.PathLike) -> str:
    """Where an index is built anew that is going to take the place of the one in a folder."""
    return f"{os.fspath(folder).rstrip(os.sep)}.rebuild"


def take_out(ledger: Ledger, one: FolderScan) -> None:
    """Remove the rows of files that are gone and that no other file was found to be."""
    gone = [ids for was in one.gone if (ids := ledger.in_state(one.known.rows(was), LOOSE))]
    ledger.remove(number for ids in gone for number in ids)
    ledger.counts["gone"] += len(gone)
