"""model.safetensors: read lazily, written one tensor at a time, with a checksum of every tensor in its header."""

import hashlib
import json
import math
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...errors import CheckpointError, advice
from .lazy_tensors import Piece, Spec, Stored, TensorFile, spec_of

DTYPES = {
    "F32": ("float32", "<f4"),
    "F16": ("float16", "<f2"),
    "BF16": ("bfloat16", "<u2"),
    "F64": ("float64", "<f8"),
    "I64": ("int64", "<i8"),
    "I32": ("int32", "<i4"),
    "I16": ("int16", "<i2"),
    "I8": ("int8", "i1"),
    "U8": ("uint8", "u1"),
    "U16": ("uint16", "<u2"),
    "U32": ("uint32", "<u4"),
    "U64": ("uint64", "<u8"),
    "BOOL": ("bool", "?"),
}
CODES = {name: code for code, (name, _) in DTYPES.items()}


def open_safetensors(path: str | os.PathLike) -> TensorFile:
    """A lazy mapping of the tensors; the library checks the header, CheckpointError says what is wrong with it."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    try:
        handle = open(path, "rb")
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path}: {error.strerror or error}; {advice(error, 'copy the whole model directory')}"
        ) from None
    try:
        with safe_open(path, framework="numpy") as tensors:
            sums = tensors.metadata() or {}
            slices = [(key, tensors.get_slice(key)) for key in tensors.offset_keys()]
            about = [(key, part.get_dtype(), tuple(part.get_shape())) for key, part in slices]
        offset, entries = 8 + struct.unpack("<Q", handle.read(8))[0], {}
        for key, code, shape in about:
            if code not in DTYPES:
                raise CheckpointError(
                    f"{path}: {key} is of type {code}, which is not one of {', '.join(DTYPES)}; convert it first"
                )
            name, kind = DTYPES[code]
            length = math.prod(shape) * np.dtype(kind).itemsize
            crc32 = int(sums[f"crc32 {key}"], 16) if f"crc32 {key}" in sums else None
            entries[key] = Stored(Spec(name, shape), np.dtype(kind), (Piece(offset, length),), crc32=crc32)
            offset += length
        return TensorFile(path, handle, entries)
    except (SafetensorError, ValueError) as error:
        handle.close()
        raise CheckpointError(f"{path} is damaged or incomplete ({error}); copy or convert it again") from None
    except BaseException:
        handle.close()
        raise


def header_digest(path: str | os.PathLike) -> str:
    """SHA-256 of the header, which holds the checksum of every tensor and so stands for the whole content."""
    with open(path, "rb") as handle:
        first = handle.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
        return hashlib.sha256(first + handle.read(min(length, 100_000_000))).hexdigest()


def write_safetensors(handle: BinaryIO, state: Mapping[str, Any], form: str = "np") -> None:
    """Write {key: array} to an open binary file, bits as they are (uint16 as BF16); a lazy state is read twice.

    form: what the header says of the writer; transformers reads `pt` only.
    """
    header, metadata, offset = {}, {"format": form}, 0
    for key in state:
        data = contiguous(state[key])
        header[key] = {
            "dtype": CODES[spec_of(state, key).dtype],
            "shape": list(data.shape),
            "data_offsets": [offset, offset + data.nbytes],
        }
        metadata[f"crc32 {key}"] = f"{zlib.crc32(data_bytes(data)):08x}"
        offset += data.nbytes
    encoded = json.dumps({"__metadata__": metadata, **header}, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8"
    )
    encoded += b" " * (-len(encoded) % 8)
    handle.write(struct.pack("<Q", len(encoded)) + encoded)
    for key in state:
        handle.write(data_bytes(contiguous(state[key])))


def contiguous(value: Any) -> np.ndarray:
    """Little-endian array in C order, shape kept."""
    array = np.asarray(value)
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def data_bytes(array: np.ndarray) -> memoryview:
    return memoryview(array.reshape(-1).view(np.uint8))
