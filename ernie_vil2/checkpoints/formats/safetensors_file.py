"""model.safetensors: read lazily, written one tensor at a time, with a checksum of every tensor in its header."""

import hashlib
import json
import os
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...errors import CheckpointError, advice
from ...files.json_files import parse_json
from ...files.plain import open_plain
from .lazy_tensors import MAX_VOLUME, Piece, Spec, Stored, TensorFile, is_shape, printable, refuse_many, spec_of
from .paddle_file import refuse_stand_in_at

MAX_HEADER = 8 << 20
"""Bytes: 100 to 250 a tensor, of which the models read here have some thousands"""
MAX_NAME = 512
CRC32 = re.compile("[0-9a-fA-F]{1,8}")
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
    """A lazy mapping of the tensors, in the order of their data; CheckpointError for a header that lies or is damaged.

    The format's own library takes half a GB for a hostile header, and of a name that stands twice the last tensor.
    """
    path = Path(path)
    try:
        handle = open_plain(path)
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path}: {error.strerror or error}; {advice(error, 'copy the whole model directory')}"
        ) from None
    try:
        entries = read_entries(handle, path)
        return TensorFile(path, handle, entries)
    except (ValueError, RecursionError, struct.error) as error:
        handle.close()
        refuse_stand_in_at(path)
        raise CheckpointError(f"{path} is damaged or incomplete ({error}); copy or convert it again") from None
    except BaseException:
        handle.close()
        raise


def read_entries(handle: BinaryIO, path: Path) -> dict[str, Stored]:
    """{key: Stored} of the header; ValueError says what is wrong with it, CheckpointError names a type not known."""
    header, offset = read_header(handle)
    sums = header.pop("__metadata__", {})
    refuse_many(len(header), path)
    if type(sums) is not dict or not all(type(value) is str for value in sums.values()):
        raise ValueError("its metadata is not text by name")
    size, entries, end = os.fstat(handle.fileno()).st_size, {}, 0
    for key, about in sorted(header.items(), key=lambda item: data_offsets(*item)):
        first, last = about["data_offsets"]
        shape, code = about.get("shape"), about.get("dtype")
        if code not in DTYPES if type(code) is str else True:
            raise CheckpointError(
                f"{path}: {printable(key)} is of type {printable(str(code), 20)}, which is not one of "
                f"{', '.join(DTYPES)}; convert it first"
            )
        name, kind = DTYPES[code]
        if type(shape) is not list or not is_shape(shape) or not key.isprintable() or len(key) > MAX_NAME:
            raise ValueError(f"{printable(key)} has a name or shape that no tensor has")
        stored = Stored(Spec(name, tuple(shape)), np.dtype(kind), (Piece(offset + first, last - first),))
        if stored.nbytes != last - first:
            raise ValueError(
                f"{printable(key)} of shape {shape} takes {stored.nbytes:,} bytes and has {last - first:,}"
            )
        if first != end:
            raise ValueError(f"{'a gap lies' if first > end else 'tensors overlap'} before {printable(key)}")
        crc32 = None
        if (stated := sums.get(f"crc32 {key}")) is not None:
            if not CRC32.fullmatch(stated):
                raise ValueError(f"the checksum of {printable(key)} is not eight hexadecimal digits")
            crc32 = int(stated, 16)
        entries[key], end = replace(stored, crc32=crc32), last
    if offset + end != size:
        raise ValueError(f"the file has {size:,} bytes where its header says {offset + end:,}")
    return entries


def read_header(handle: BinaryIO) -> tuple[dict[str, Any], int]:
    """(the header, the offset of the first byte behind it)."""
    first = handle.read(8)
    length = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
    if not 0 < length <= MAX_HEADER:
        raise ValueError(f"a header of {length:,} bytes, where 1 to {MAX_HEADER:,} are sensible")
    raw = handle.read(length)
    if len(raw) < length:
        raise ValueError(f"its header of {length:,} bytes is cut")
    header = parse_json(raw.decode("utf-8"))
    if type(header) is not dict:
        raise ValueError("its header is not a dictionary")
    return header, 8 + length


def data_offsets(key: str, about: Any) -> tuple[int, int]:
    """(first, last) of an entry of the header, by which entries are put in order."""
    offsets = about.get("data_offsets") if type(about) is dict else None
    good = type(offsets) is list and len(offsets) == 2 and all(type(place) is int for place in offsets)
    if not good or not 0 <= offsets[0] <= offsets[1] < MAX_VOLUME:
        raise ValueError(f"{printable(key)} does not say where its data is")
    return offsets[0], offsets[1]


def header_digest(path: str | os.PathLike) -> str:
    """SHA-256 of the header, which holds the checksum of every tensor and so stands for the whole content."""
    with open_plain(path) as handle:
        first = handle.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
        return hashlib.sha256(first + handle.read(min(length, MAX_HEADER))).hexdigest()


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
