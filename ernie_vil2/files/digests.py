"""Checksums of files."""

import hashlib
import os
from pathlib import Path

BLOCK = 1 << 20


def sha256_of(path: str | os.PathLike) -> str:
    """Hexadecimal SHA-256 of a file, read in blocks of a MiB; OSError where it cannot be read."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sha256_of_code(folder: str | os.PathLike) -> str:
    """Hexadecimal SHA-256 of the names and contents of all `*.py` files below a folder: the state of a package."""
    digest, folder = hashlib.sha256(), Path(folder)
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()} {sha256_of(path)}\n".encode())
    return digest.hexdigest()
