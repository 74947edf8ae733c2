"""Embeddings of images on the disk, found by the content of the image: blocks that are written once and never changed.

A block is an array of NumPy's own format, without objects, under the name of its digest; so several processes may
write into one folder, a kill loses no block that is there, and a damaged one is known. There may be more blocks than a
process may hold files open, so a row is read where it lies and no block stays open.
"""

import contextlib
import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import DataError, exhausted
from ...files.atomic import atomic_file, reported

SUFFIX = ".npy"


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

    width: D of the embeddings. `blocks`, (path, offset of the first row) each, and `len` are those that were there at
    `read()`, which is called first here.
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
        return len(self._order)

    @property
    def mark(self) -> float:
        """A number below 2**40 that tells the images of one folder from those of another."""
        return float(int(self._digests[:, 0].sum()) % (1 << 40)) if len(self) else 0.0

    def read(self) -> None:
        """Look at the folder again; what is no block of this width is passed over."""
        self.blocks, digests = [], [np.empty((0, 2), np.uint64)]
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            try:
                block = np.load(path, mmap_mode="r", allow_pickle=False)
            except (ValueError, EOFError, OSError) as error:
                if exhausted(error):
                    raise
                continue
            if block.dtype == block_type(self.width) and block.ndim == 1:
                self.blocks.append((path, block.offset))
                digests.append(np.array(block["digest"]))
        together = np.concatenate(digests)
        self._order = np.argsort(together[:, 0], kind="stable")
        self._digests = together[self._order]
        self._begins = np.cumsum([len(part) for part in digests])

    def find(self, digest: str) -> np.ndarray | None:
        """The embedding float32 [D] of the image whose content has this digest, or None; DataError where its block is
        gone."""
        first, second = halves(digest)
        place = int(np.searchsorted(self._digests[:, 0], first))
        while place < len(self) and self._digests[place, 0] == first:
            if self._digests[place, 1] == second:
                return self._row(int(self._order[place]))
            place += 1
        return None

    def _row(self, row: int) -> np.ndarray:
        number = int(np.searchsorted(self._begins, row, side="right")) - 1
        (path, offset), kind = self.blocks[number], block_type(self.width)
        try:
            offset += (row - int(self._begins[number])) * kind.itemsize
            return np.fromfile(path, kind, 1, offset=offset)["embedding"][0]
        except (OSError, IndexError) as error:
            if exhausted(error):
                raise
            raise DataError(
                f"{path}: kept embeddings are gone; go on with --resume auto, which makes them anew"
            ) from None

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
        """Remove blocks whose content is not what was written; their names. All of the folder is read."""
        found = []
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            with contextlib.suppress(OSError):
                if name_of(path.read_bytes()) != path.stem:
                    path.unlink()
                    found.append(path.name)
        self.read()
        return found


def name_of(content: bytes | memoryview) -> str:
    """The name of a block, a digest of its content."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()
