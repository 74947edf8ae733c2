"""Detections as tags or boxes of a source: cut at a threshold, put in order, joined by image id.

The join runs through a database on the disk, so neither the detections nor the ids need to fit into memory.
"""

import contextlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np

from ...errors import ConfigError, DataError
from ...files.atomic import atomic_file, reported
from ...files.leftovers import JOINED, temporary_name
from ..boxes import are_fractions
from ..sources.base import RowError, Source
from ..sources.rows.texts import plain_text
from .detections import Found, entries, read_entry
from .joined import SHOWN, Joined
from .labels import Labels
from .rules import Rules


def plain_id(key: str) -> str:
    return key


def stem(key: str) -> str:
    """An id without folders, suffix and leading zeros: `val/000000000139.jpg` and 139 are the same image."""
    name = os.path.splitext(os.path.basename(key))[0]
    return name.lstrip("0") or "0" if name.isdigit() else name


MATCHES = {"id": plain_id, "stem": stem}


def join(
    source: Source,
    paths: Iterable[str | os.PathLike],
    out: str | os.PathLike,
    labels: Labels | None,
    rules: Rules,
    match: str = "id",
    max_bad: float = 0.01,
    progress: Callable[[Iterable[int]], Iterable[int]] = lambda rows: rows,
) -> Joined:
    """Write `out`, JSON lines {id, tags} for the images of a source with at least one tag; returns a Joined.

    Without labels, write {id, boxes} for the images of a source that are among the detections, with boxes or without.
    paths: files of detections; those of one image may be spread over lines and files. match: id (the whole one, or the
    one in its own file), or stem (the file's name without folder, suffix and leading zeros). Raises DataError when more
    than the share `max_bad` of the entries is unusable (at least 10), when nothing matches, and when a stem, or an id
    that was detected, stands for two ids.
    """
    if match not in MATCHES:
        raise ConfigError(f"--match {match}: ids are matched by {' or '.join(MATCHES)}")
    reduce, scratch = MATCHES[match], temporary_name(f"{out}{JOINED}")
    with reported(out), contextlib.closing(sqlite3.connect(scratch, isolation_level=None)) as base:
        try:
            base.executescript(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;"
                "CREATE TABLE found (image TEXT, tag TEXT, score REAL, x1 REAL, y1 REAL, x2 REAL, y2 REAL);"
                "CREATE TABLE rows (id TEXT PRIMARY KEY, image TEXT, place INTEGER) WITHOUT ROWID;"
                "CREATE TABLE seen (image TEXT PRIMARY KEY) WITHOUT ROWID;"
            )
            bad_entries, broken = read_detections(base, paths, labels, reduce, max_bad)
            bad_rows = read_ids(base, source, reduce, progress)
            base.executescript("CREATE INDEX by_image ON found (image); CREATE INDEX by_row ON rows (image);")
            prefer_whole_ids(base)
            refuse_ambiguous(base, match)
            field = "boxes" if labels is None else "tags"
            return write_rows(base, out, field, rules, len(source), bad_rows, bad_entries, broken)
        except sqlite3.Error as error:
            raise DataError(
                f"{out}: its scratch file beside it cannot be written ({error}); free some space or take another place"
            ) from None
        finally:
            scratch.unlink(missing_ok=True)


def read_detections(
    base: sqlite3.Connection,
    paths: Iterable[str | os.PathLike],
    labels: Labels | None,
    reduce: Callable[[str], str],
    max_bad: float,
) -> tuple[list[RowError], int]:
    """Fill `found` and `seen`; returns (RowErrors, number of images that the detector could not read)."""
    faults, count, broken = [], 0, 0
    for path in paths:
        for where, entry in entries(path, by_file=reduce is stem):
            count += 1
            if isinstance(entry, dict) and "error" in entry:
                broken += 1
                continue
            try:
                if isinstance(entry, RowError):
                    raise entry
                key, found = read_entry(entry, labels, where)
                for text in (key, *(item.tag for item in found)):
                    plain_text(text, where, "detection")
            except RowError as error:
                faults.append(error)
                continue
            base.execute("INSERT OR IGNORE INTO seen VALUES (?)", (reduce(key),))
            base.executemany(
                "INSERT INTO found VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(reduce(key), item.tag, item.score, *(item.box or (None,) * 4)) for item in found],
            )
    if len(faults) > max(10, max_bad * count) or len(faults) == count:
        raise DataError(f"{len(faults):,} of {count:,} detections cannot be used, the first: {faults[0]}")
    return faults, broken


def read_ids(
    base: sqlite3.Connection,
    source: Source,
    reduce: Callable[[str], str],
    progress: Callable[[Iterable[int]], Iterable[int]],
) -> int:
    """Fill `rows` with the ids of the source in order; returns the number of rows without a usable id."""
    faults = 0
    for index in progress(range(len(source))):
        try:
            key = source.key(index)
        except DataError:
            faults += 1
            continue
        base.execute("INSERT OR IGNORE INTO rows VALUES (?, ?, ?)", (key, reduce(source.own_id(index, key)), index))
    return faults


def prefer_whole_ids(base: sqlite3.Connection) -> None:
    """Rows are matched by their own ids; one whose whole id, with the file that a join puts in front, was detected is
    matched by that."""
    base.execute("UPDATE rows SET image = id WHERE id != image AND id IN (SELECT image FROM seen)")


def refuse_ambiguous(base: sqlite3.Connection, match: str) -> None:
    """DataError when one stem, or one id that was detected, stands for several ids of the source."""
    detected = "WHERE image IN (SELECT image FROM seen)" if match == "id" else ""
    found = base.execute(
        f"SELECT image, min(id), max(id) FROM rows {detected} GROUP BY image HAVING count(*) > 1"
    ).fetchone()
    if found and match == "id":
        raise DataError(
            f"{found[1]} and {found[2]} are both the id {found[0]} of their own file; name them like this in the "
            "detections, or join those of each file by themselves"
        )
    if found:
        raise DataError(f"--match stem: {found[1]} and {found[2]} both have the stem {found[0]}; match by id")


def write_rows(
    base: sqlite3.Connection,
    out: str | os.PathLike,
    field: str,
    rules: Rules,
    rows: int,
    bad_rows: int,
    bad_entries: list[RowError],
    broken: int,
) -> Joined:
    """Write the file from the filled tables; returns a Joined."""

    def one(query):
        return base.execute(query).fetchone()[0]

    missing = "FROM rows WHERE image NOT IN (SELECT image FROM seen)"
    unknown = "FROM seen WHERE image NOT IN (SELECT image FROM rows)"
    images, seen = one("SELECT count(*) FROM rows"), one("SELECT count(*) FROM seen")
    unknown_count = one(f"SELECT count(*) {unknown}")
    if unknown_count == seen:
        raise DataError(
            f"no image of the detections is in the source: they have {one('SELECT min(image) FROM seen')!r}, it has "
            f"{one('SELECT min(image) FROM rows')!r}; try --match stem, or give the detections of this source"
        )
    tags, filled, empty, tiny, written = Counter(), 0, 0, 0, 0
    with atomic_file(out) as handle:
        query = "SELECT rows.id, rows.image FROM rows JOIN seen ON seen.image = rows.image ORDER BY place"
        for key, image in base.execute(query):
            found = base.execute(
                "SELECT tag, score, x1, y1, x2, y2 FROM found WHERE image = ? ORDER BY rowid", (image,)
            ).fetchall()
            kept = rules.kept([Found(*row[:2], None if row[2] is None else row[2:]) for row in found])
            if field == "boxes" and are_fractions(np.array([item.box for item in kept], np.float32)):
                kept, tiny = [], tiny + 1  # a source would refuse the row for them
            filled, empty, written = filled + bool(kept), empty + (not kept), written + len(kept)
            values = [item.tag for item in kept] if field == "tags" else [item.box for item in kept]
            if field == "tags":
                tags.update(values)
            if kept or field == "boxes":  # an image of which is known that it has no boxes
                handle.write(
                    (json.dumps({"id": key, field: values}, ensure_ascii=False) + "\n").encode(
                        "utf-8", "backslashreplace"
                    )
                )
    return Joined(
        field,
        rows,
        images,
        bad_rows,
        one("SELECT count(*) FROM found"),
        bad_entries,
        broken,
        filled,
        empty,
        tiny,
        written,
        [row[0] for row in base.execute(f"SELECT id {missing} ORDER BY place LIMIT {SHOWN}")],
        one(f"SELECT count(*) {missing}"),
        [row[0] for row in base.execute(f"SELECT image {unknown} ORDER BY image LIMIT {SHOWN}")],
        unknown_count,
        tags,
    )
