"""Indexes of one model joined into one: roots that are the same, texts that are the same, and pictures with new ids."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import DataError
from ...messages import quoted
from .columns import IMAGE_SCHEMA, TextRow
from .part import numbers
from .snapshot import Snapshot
from .writer import Writer

BLOCK = 16384


def merge(writer: Writer, others: Sequence[Snapshot]) -> dict[str, int]:
    """Add the pictures and texts of other indexes; counts of `added` pictures and of those that were `there` already.

    A picture is there when one of the same root has its key: that one stays. Every block is committed, so that after
    a kill the same call goes on. Raises DataError for an index of another model, before anything is written.
    """
    for other in others:
        check_same(writer, other)
    counts = {"added": 0, "there": 0}
    for other in others:
        before = writer.commit()
        roots = {number: joined(writer, root) for number, root in other.manifest.roots.items()}
        for name, record in other.manifest.thresholds.items():
            if name not in before.manifest.thresholds:
                writer.set_threshold(name, record)
        texts = merge_texts(writer, other)
        for ids, vectors in other.images.blocks(BLOCK):
            table = moved(other, ids, roots, texts)
            there = present(before, table)
            writer.add_table("image", table.filter(pa.array(~there)), vectors[~there])
            writer.commit()
            counts["there"] += int(there.sum())
        counts["added"] += writer.snapshot.manifest.next_ids["image"] - before.manifest.next_ids["image"]
        writer.commit()
    return counts


def check_same(writer: Writer, other: Snapshot) -> None:
    """DataError where another index is of another model, or is the one that is written."""
    own, theirs = writer.snapshot.manifest, other.manifest
    if other.folder.samefile(writer.folder):
        raise DataError(f"{other.folder} is the index that is written to; name others")
    if (own.width, own.model.get("digest")) != (theirs.width, theirs.model.get("digest")):
        raise DataError(
            f"{other.folder} was made with the model {quoted(theirs.model.get('path'), 120)} and {writer.folder} with "
            f"{quoted(own.model.get('path'), 120)}, which is another; build one of them anew"
        )


def joined(writer: Writer, root: dict[str, Any]) -> int:
    """The number that a root of another index has here; a new one keeps what else is said of it, as what a scan is to
    pass over."""
    known = writer.manifest.roots
    number = writer.root(root["spec"], root["folder"], root["kind"])
    if number not in known:
        writer.manifest = writer.manifest.replaced(roots={**known, number: dict(root)})
    return number


def merge_texts(writer: Writer, other: Snapshot) -> np.ndarray:
    """Add the texts of another index that are not there; the new id of each of its ids, int64, -1 for those gone."""
    found = np.full(other.texts.bound, -1, np.int64)
    for ids, vectors in other.texts.blocks(BLOCK):
        rows = [TextRow(row["kind"], row["text"]) for row in other.texts.take(ids).to_pylist()]
        known = [writer.text_id(row.kind, row.text) for row in rows]
        new = np.array([number is None for number in known])
        found[ids[~new]] = [number for number in known if number is not None]
        found[ids[new]] = writer.add_texts([row for row, is_new in zip(rows, new, strict=True) if is_new], vectors[new])
    return found


def moved(other: Snapshot, ids: np.ndarray, roots: dict[int, int], texts: np.ndarray) -> pa.Table:
    """Pictures of another index, with the numbers of roots and the ids of texts that they have here."""
    table = other.images.take(ids)
    lists = table.column("texts").combine_chunks()
    places, own = table.column("root").to_pylist(), lists.flatten().to_numpy(zero_copy_only=False)
    if not set(places) <= set(roots) or len(own) and not 0 <= own.min() <= own.max() < len(texts):
        raise DataError(f"{other.folder} is damaged: pictures name roots or texts that are not there; build it anew")
    columns = {
        "root": pa.array([roots[place] for place in places], pa.int32()),
        "texts": pa.ListArray.from_arrays(pc.subtract(lists.offsets, lists.offsets[0]), texts[own]),
    }
    for name, column in columns.items():
        table = table.set_column(IMAGE_SCHEMA.get_field_index(name), name, column)
    return table.cast(IMAGE_SCHEMA)


def present(snapshot: Snapshot, table: pa.Table) -> np.ndarray:
    """Which pictures of a table the index has, by root and key: bool [n]."""
    images = snapshot.images
    ids = numbers(table.column("root").cast(pa.int64()))
    found = np.zeros(table.num_rows, bool)
    for root in np.unique(ids):
        own = pc.and_(pc.equal(images.table.column("root"), root), pa.array(images.live))
        keys = images.table.column("key").filter(own)
        found |= (ids == root) & np.asarray(pc.is_in(table.column("key"), keys.combine_chunks()))
    images.release()
    return found
