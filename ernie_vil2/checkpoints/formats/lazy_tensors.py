"""Tensors that stay in their file until they are asked for, so that a load holds one of them at a time."""

import codecs
import math
import os
import weakref
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ...errors import CheckpointError

CHUNK = 1 << 22
MAX_DIMENSIONS = 32  # of NumPy
MAX_SIDE, MAX_VOLUME = 2**48, 2**59
FLOATS = ("float32", "float16", "bfloat16", "float64")


class Spec(NamedTuple):
    """What is known of a tensor without reading it; bfloat16 is named so although NumPy holds it as uint16."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Piece:
    """`length` bytes of the file at `offset`; with `utf8` they are text whose code points 0..255 are the bytes."""

    offset: int
    length: int
    utf8: bool = False


@dataclass(frozen=True)
class Stored:
    """Where and how one tensor lies: the pieces in order hold its elements, in Fortran order if so marked."""

    spec: Spec
    dtype: np.dtype
    pieces: tuple
    fortran: bool = False
    crc32: int | None = None

    @property
    def nbytes(self) -> int:
        return math.prod(self.spec.shape) * self.dtype.itemsize


class TensorFile(Mapping):
    """{key: array} over an open file. Every access reads a new array (little-endian, C order, bits as stored)."""

    def __init__(self, path: str | os.PathLike, handle: BinaryIO, entries: dict):
        self.path, self.entries, self.notes = path, entries, []
        self.descriptor = handle.fileno()
        weakref.finalize(self, handle.close)

    def __len__(self):
        return len(self.entries)

    def __iter__(self):
        return iter(self.entries)

    def __contains__(self, key):
        return key in self.entries

    def spec(self, key: str) -> Spec:
        """Type and shape of a tensor, from the file's directory."""
        return self.entries[key].spec

    def __getitem__(self, key: str) -> np.ndarray:
        """The array [shape of spec(key)]; CheckpointError if the file was cut or changed since it was opened."""
        stored = self.entries[key]
        array = np.empty(math.prod(stored.spec.shape), stored.dtype)
        view = memoryview(array.view(np.uint8))
        filled = 0
        for piece in stored.pieces:
            filled += self.fill(piece, view[filled:], key)
        if filled != len(view):
            raise self.damaged(key)
        if stored.crc32 is not None and zlib.crc32(view) != stored.crc32:
            raise self.damaged(key)
        del view
        if not array.dtype.isnative:
            array = array.byteswap().view(array.dtype.newbyteorder("="))
        if stored.fortran:
            return np.array(array.reshape(stored.spec.shape, order="F"), order="C")
        return array.reshape(stored.spec.shape)

    def damaged(self, key: str) -> CheckpointError:
        return CheckpointError(
            f"{self.path}: the data of {key} is damaged or was changed after it was written; copy or download it again"
        )

    def fill(self, piece: Piece | bytes, view: memoryview, key: str) -> int:
        """Copy a piece to the start of `view`; the number of bytes copied."""
        if isinstance(piece, bytes):
            view[: len(piece)] = piece
            return len(piece)
        if not piece.utf8:
            return self.read(piece.offset, view[: piece.length], key)
        decoder, done = codecs.getincrementaldecoder("utf-8")(), 0
        chunk = memoryview(bytearray(min(CHUNK, piece.length)))
        for start in range(0, piece.length, CHUNK):
            count = self.read(piece.offset + start, chunk[: piece.length - start], key)
            try:
                data = decoder.decode(chunk[:count], start + count == piece.length).encode("latin-1")
            except UnicodeError:
                raise self.damaged(key) from None
            if done + len(data) > len(view):
                raise self.damaged(key)
            view[done : done + len(data)] = data
            done += len(data)
        return done

    def read(self, offset: int, view: memoryview, key: str) -> int:
        done = 0
        while done < len(view):
            count = os.preadv(self.descriptor, [view[done:]], offset + done)
            if count == 0:
                raise self.damaged(key)
            done += count
        return done


class View(Mapping):
    """Another look at the tensors of a state: the same keys, read when they are asked for."""

    def __init__(self, tensors: Mapping[str, Any]):
        self.tensors, self.notes = tensors, tensors.notes

    def __len__(self):
        return len(self.tensors)

    def __iter__(self):
        return iter(self.tensors)

    def __contains__(self, key):
        return key in self.tensors

    def spec(self, key: str) -> Spec:
        """Type and shape of a tensor."""
        return spec_of(self.tensors, key)

    def __getitem__(self, key):
        return self.tensors[key]


class Float32View(View):
    """The same tensors as float32: bfloat16 and float16 widened, float64 rounded; others as they are."""

    def spec(self, key: str) -> Spec:
        found = self.tensors.spec(key)
        return Spec("float32", found.shape) if found.dtype in FLOATS else found

    def __getitem__(self, key):
        kind, array = self.tensors.spec(key).dtype, self.tensors[key]
        if kind == "bfloat16":
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array.astype(np.float32, copy=False) if kind in FLOATS else array


def is_shape(sides: Sequence[Any]) -> bool:
    """Whether NumPy can hold an array of these sides: it multiplies them even where one is 0."""
    return (
        len(sides) <= MAX_DIMENSIONS
        and all(type(side) is int and 0 <= side < MAX_SIDE for side in sides)
        and math.prod(side for side in sides if side) < MAX_VOLUME
    )


def spec_of(state: Mapping[str, Any], key: str) -> Spec:
    """The Spec of a tensor in a TensorFile, a view of one, or a plain mapping of arrays."""
    if hasattr(state, "spec"):
        return state.spec(key)
    array = np.asarray(state[key])
    return Spec(dtype_name(array.dtype), array.shape)


def dtype_name(dtype: np.dtype) -> str:
    """NumPy's name of a type, but bfloat16 for uint16: Paddle has no uint16 and keeps bfloat16 in it."""
    return "bfloat16" if dtype == np.uint16 else dtype.name


def printable(text: str, limit: int = 120) -> str:
    """Text from a file, safe to print on a terminal."""
    return ascii(text[:limit])[1:-1]
