"""Checksums of files."""

import hashlib
import os

BLOCK = 1 << 20


def sha256_of(path: str | os.PathLike) -> str:
    """Hexadecimal SHA-256 of a file, read in blocks of a MiB; OSError where it cannot be read."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
