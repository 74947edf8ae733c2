"""What makes two runs of encoding the same: digests of the model and of the input."""

import hashlib
import os
from pathlib import Path

import numpy as np

from ..checkpoints.layouts.any_source import SETTINGS, SHARDED, SUFFIXES, WEIGHTS, weights_of
from ..checkpoints.model_directory import CONFIG, PADDLENLP_WEIGHTS
from ..data.sources.base import RowError, Source
from ..errors import DataError, advice

PROBED_ROWS = 64
HASHED_BYTES = 64 * 2**20


def as_bytes(image: bytes | str | os.PathLike | np.ndarray | None) -> bytes:
    """Bytes that stand for an image: its own, its path, or its pixels; none for None."""
    if isinstance(image, np.ndarray):
        return str(image.shape).encode() + np.ascontiguousarray(image).tobytes()
    return os.fsencode(image) if isinstance(image, (str, os.PathLike)) else bytes(image or b"")


def describe(
    model_path: str | os.PathLike, vocab: str | os.PathLike | None, input_spec: str | os.PathLike, source: Source
) -> dict[str, str]:
    """The identity of a run: digests of model and input, so that neither may change half-way nor is bound to a path.

    A big input is known by its size, some of its blocks and some of its rows.
    """
    weights = model_digest(model_path)
    rows = hashlib.sha256(str(len(source)).encode())
    for index in sorted({round(position) for position in np.linspace(0, len(source) - 1, PROBED_ROWS)}):
        try:
            sample = source[index]
            rows.update(repr((sample.id, sample.texts)).encode("utf-8", "backslashreplace") + as_bytes(sample.image))
            if sample.boxes is not None:
                rows.update(as_bytes(np.asarray(sample.boxes, np.float32)))
        except RowError as error:
            rows.update(error.reason.encode("utf-8", "backslashreplace"))
    if os.path.isfile(input_spec):  # which a mapping is not, however long
        rows.update(file_digest(input_spec).encode())
    identity = {"model": weights, "input": rows.hexdigest()}
    return {**identity, "vocabulary": file_digest(vocab, whole=True)} if vocab else identity


def model_digest(model_path: str | os.PathLike) -> str:
    """What tells a model's weights and configuration from those of any other, wherever they lie.

    Of a model directory it is the digest of its config.json, which lists digests of the rest; of others that of all
    files that weights and settings are read from.
    """
    path = Path(model_path)
    if path.is_dir():
        if not (path / PADDLENLP_WEIGHTS).is_file():
            return file_digest(path / CONFIG, whole=True)
        path = weights_of(path)
    if path.name not in WEIGHTS + SHARDED:
        return file_digest(path, whole=True)
    parts = [path, *(path.with_name(name) for name in SETTINGS)]
    if path.name in SHARDED:
        parts += sorted(part for part in path.parent.iterdir() if part.suffix in SUFFIXES)
    sums = [f"{part.name} {file_digest(part, whole=True)}\n" for part in parts if part.is_file()]
    return hashlib.sha256("".join(sums).encode("utf-8", "surrogateescape")).hexdigest()


def file_digest(path: str | os.PathLike, whole: bool = False) -> str:
    """SHA-256 of a file; of one over 64 MiB, unless `whole`, of its size and of 64 blocks of it."""
    try:
        size, block = os.path.getsize(path), 2**20
        step = block if whole or size <= HASHED_BYTES else size // (HASHED_BYTES // block)
        digest = hashlib.sha256(str(size).encode())
        with open(path, "rb") as handle:
            for start in range(0, size, step):
                handle.seek(start)
                digest.update(handle.read(block))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; {advice(error, 'correct the path')}") from None
    return digest.hexdigest()
