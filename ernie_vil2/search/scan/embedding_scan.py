"""Embeddings made elsewhere against the index: vectors with an id each, and nothing of the pictures."""

import os
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...evaluation.embeddings import open_array, read_lines
from ..store.columns import ImageRow
from .encoder import Encoder
from .fault import Fault
from .folder.content import digest_of
from .known import KnownKeys
from .ledger import DOUBTFUL, Ledger
from .run import Run

ARRAY, IDS = "image.npy", "image_ids.txt"
"""In a folder as ernie-vil2 encode writes it"""
BLOCK = 4096
SMALLEST = 1e-12


def files_of(place: str | os.PathLike) -> tuple[Path, Path]:
    """(array, its ids) of a folder of embeddings, or of NAME.npy with NAME_ids.txt or NAME.txt beside it; DataError
    where one is missing."""
    place = Path(place)
    if place.is_dir():
        found, ids = place / ARRAY, [place / IDS]
    else:
        found, ids = place, [place.with_name(f"{place.stem}_ids.txt"), place.with_suffix(".txt")]
    if not found.is_file() or found.suffix != ".npy":
        raise DataError(
            f"{place} has no embeddings of pictures; give a folder with {ARRAY} and {IDS}, or an array .npy"
        )
    there = next((path for path in ids if path.is_file()), None)
    if there is None:
        raise DataError(f"{ids[0]} is missing, which has the id of each vector in a line; write it")
    return found, there


def opened_embeddings(place: str | os.PathLike) -> tuple[np.ndarray, list[str]]:
    """([N, D] mapped to the file, N ids) of embeddings made elsewhere; DataError says what is wrong with them."""
    path, ids = files_of(place)
    array, keys = open_array(path), read_lines(ids)
    if array.ndim != 2 or array.dtype.kind != "f" or not array.shape[1]:
        raise DataError(f"{path} holds {array.dtype} of shape {list(array.shape)}; give floats [N, D]")
    if len(array) != len(keys):
        raise DataError(f"{path} has {len(array):,} vectors and {ids} {len(keys):,} lines; one of them was cut")
    if not len(keys):
        raise DataError(f"{path} is empty; encode something first")
    return array, keys


class EmbeddingScan:
    """One scan of embeddings made elsewhere. number: of their root. A vector is known by its id and its bytes."""

    def __init__(self, ledger: Ledger, number: int, place: str):
        self.ledger, self.number, self.place = ledger, number, place
        self.array, self.keys = opened_embeddings(place)
        width = ledger.writer.manifest.width
        if self.array.shape[1] != width:
            raise DataError(
                f"{place} has vectors of {self.array.shape[1]} values, and the index {width}; encode with the model of "
                "the index"
            )
        self.known = KnownKeys(ledger.writer.snapshot.images, number)
        self.bound = len(ledger.states)
        self.here = bytearray(self.bound)
        ledger.faults.forget(number)

    def amount(self) -> tuple[int, int]:
        """(vectors, bytes)."""
        return len(self.keys), self.array.nbytes

    def run(self, encoder: Encoder, run: Run) -> None:
        """Take over all vectors, of length 1; those without a direction are faults."""
        for first in range(0, len(self.keys), BLOCK):
            block = np.asarray(self.array[first : first + BLOCK], np.float32)
            self.settle(self.keys[first : first + BLOCK], block, first)
            run.step(len(block), block.nbytes)
        gone = [number for number in self.known.ids.tolist() if not self.here[number]]
        self.ledger.remove(gone)
        self.ledger.counts["gone"] += len(gone)

    def settle(self, keys: list[str], vectors: np.ndarray, first: int) -> None:
        """Find or make the rows of some vectors; first: the number of the first one."""
        ids = [self.known.id_of(key) for key in keys]
        rows = self.ledger.rows_of([number for number in ids if number is not None])
        norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
        usable, added, places, named = np.isfinite(norms) & (norms > SMALLEST), [], [], set()
        for place, (key, number) in enumerate(zip(keys, ids, strict=True)):
            digest = digest_of(vectors[place].tobytes())
            if key in named or number is not None and (number >= self.bound or self.here[number]):
                self._fail(first + place, "id twice", f"the id {key!r} comes twice; give each vector an id of its own")
            elif not usable[place]:
                self._fail(first + place, "bad vector", "the vector is of length 0, or not finite; encode it again")
            else:
                named.add(key)
                if number is not None:
                    self.here[number] = True
                    if rows[number].digest == digest:
                        self.ledger.counts["same"] += 1
                        continue
                    self.ledger.mark([number], DOUBTFUL)
                    self.ledger.replace([number])
                added.append(ImageRow(self.number, key, digest=digest, folder=os.path.dirname(key)))
                places.append(place)
        numbers = self.ledger.add(added, (vectors[places] / norms[places, None]).astype(np.float32))
        for row, number in zip(added, numbers, strict=True):
            self.known.add(row.key, number)
        self.ledger.counts["new"] += len(added)

    def _fail(self, row, cause, reason):
        path = os.fsencode(f"{self.place}:{row + 1}")
        self.ledger.fail(Fault(self.number, path, 0, 0, cause, reason, True))
