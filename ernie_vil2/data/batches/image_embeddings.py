"""Embeddings of images on the disk, found by the content of the image: blocks that are written once and never changed.

A block is an array of NumPy's own format, without objects, under the name of its digest; so several processes may
write into one folder, a kill loses no block that is there, and a damaged one is known.
"""

import hashlib
import io
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...errors import CheckpointError, advice, exhausted
from ...files.atomic import atomic_file, reported
from ...files.leftovers import clear_leftovers_in

SUFFIX = ".npy"
MAPPED = 64
"""Blocks of a process that are mapped at a time: each holds a file open, and there may be thousands"""


def block_type(width: int) -> np.dtype:
    """Of a row of a block: 128 bits of a digest of the image, and its embedding."""
    return np.dtype([("digest", "<u8", (2,)), ("embedding", "<f4", (width,))])


def row_bytes(width: int) -> int:
    """Bytes on the disk of the embedding of an image."""
    return block_type(width).itemsize


def halves(digest: str) -> np.ndarray:
    """uint64 [2] of a hexadecimal digest of 128 bits."""
    return np.frombuffer(bytes.fromhex(digest), "<u8")


class ImageEmbeddings:
    """What the blocks of a folder hold: `find(digest)`; the copy of a process that gets it as an argument reads anew.

    width: D of the embeddings. `blocks`, their paths, and `len`, the number of images, are those that were there at
    `read()`, which is called first here. Threads may ask at the same time.
    """

    def __init__(self, folder: str | os.PathLike, width: int) -> None:
        self.folder, self.width = Path(folder), width
        self.read()

    def __getstate__(self):
        return self.folder, self.width

    def __setstate__(self, state):
        self.folder, self.width = state
        self.read()

    def __len__(self):
        return len(self._digests)

    @property
    def mark(self) -> float:
        """A number below 2**40 that tells the images of one folder from those of another."""
        return float(int(self._digests[:, 0].sum()) % (1 << 40)) if len(self) else 0.0

    def read(self) -> None:
        """Look at the folder again; what is no block of this width is passed over. OSError where the system has no more
        open files or memory: a block that is passed over then would seem to be missing."""
        self.blocks, digests = [], [np.empty((0, 2), np.uint64)]
        self._block = lru_cache(MAPPED)(self._mapped)
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            block = self._opened(path)
            if block is not None:
                self.blocks.append(path)
                digests.append(np.array(block["digest"]))
        together = np.concatenate(digests)
        order = np.lexsort(together.T[::-1])
        together = together[order]
        first = np.ones(len(order), bool)  # runs that encode at the same time may each write an image
        first[1:] = (together[1:] != together[:-1]).any(1)
        self._digests, self._order = together[first], order[first]
        self._begins = np.cumsum([0, *map(len, digests[1:])])

    def find(self, digest: str) -> np.ndarray | None:
        """The embedding float32 [D] of the image whose content has this digest, or None."""
        first, second = halves(digest)
        place = int(np.searchsorted(self._digests[:, 0], first))
        while place < len(self) and self._digests[place, 0] == first:
            if self._digests[place, 1] == second:
                row = int(self._order[place])
                number = int(np.searchsorted(self._begins, row, side="right")) - 1
                return np.array(self._block(number)["embedding"][row - self._begins[number]])
            place += 1
        return None

    def _mapped(self, number: int) -> np.ndarray:
        """A block mapped into memory."""
        path = self.blocks[number]
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            hint = advice(error, "go on with --resume auto, which encodes its images again")
            raise CheckpointError(f"{path} cannot be read any more ({reason}); {hint}") from None

    def _opened(self, path: Path) -> np.ndarray | None:
        """A block mapped into memory, or None for what is none of this width."""
        try:
            block = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            if exhausted(error):
                raise
            return None
        return block if block.dtype == block_type(self.width) and block.ndim == 1 else None

    def write(self, digests: Sequence[str], embeddings: Sequence[np.ndarray]) -> None:
        """Write a block, which `read` finds; CheckpointError where the disk refuses."""
        rows = np.empty(len(digests), block_type(self.width))
        rows["digest"] = [halves(digest) for digest in digests]
        rows["embedding"] = embeddings
        content = io.BytesIO()
        np.save(content, rows, allow_pickle=False)
        path = self.folder / f"{name_of(content.getbuffer())}{SUFFIX}"
        with reported(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as handle:
                handle.write(content.getbuffer())

    def remove_damaged(self) -> list[str]:
        """Remove blocks whose content is not what was written, and what killed writers left; names of the blocks. All
        of the folder is read. CheckpointError where the disk refuses: a damaged block must not be used."""
        clear_leftovers_in(self.folder)
        found = []
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            try:
                whole = name_of(path.read_bytes()) == path.stem
            except OSError as error:
                if exhausted(error):
                    raise
                continue  # another run has removed it, or nobody can read it
            if not whole:
                with reported(path):
                    path.unlink(missing_ok=True)
                found.append(path.name)
        self.read()
        return found


def name_of(content: bytes | memoryview) -> str:
    """The name of a block, a digest of its content."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()
