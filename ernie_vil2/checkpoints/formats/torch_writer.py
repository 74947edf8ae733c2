"""Weights as torch.save writes them, without torch: a zip archive of a pickle and of storages as they are.

The pickle is put together from instructions here, such as torch takes with `weights_only=True`; one tensor is in
memory at a time. Data begin at multiples of 64 bytes, so that they can be mapped.
"""

import math
import struct
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

from ...errors import CheckpointError
from .lazy_tensors import spec_of
from .safetensors_file import contiguous, data_bytes
from .torch_constructors import STORAGES

STORAGE_OF = {dtype: storage for storage, dtype in STORAGES.items() if storage != "UntypedStorage"}
ALIGNMENT = 64
PADDING = 0x4246
"""Zip field that torch pads with"""
MOST_32, MOST_16 = 0xFFFFFFFF, 0xFFFF
"""What stands in a field of 32 or 16 bits whose value is in the zip64 field or record instead"""
ROOT = "archive"


def write_torch(handle: BinaryIO, state: Mapping[str, Any], container: str | None = None) -> None:
    """Write {key: array} to an open binary file, in its order and bits as they are (uint16 as bfloat16).

    container: the entry of a dictionary that holds it, as in {"learnable": {key: tensor}}. A lazy state is read once.
    Raises CheckpointError for a type that torch does not have.
    """
    archive = Zip(handle)
    archive.add("data.pkl", plan(state, container))
    archive.add("byteorder", b"little")
    for index, key in enumerate(state):
        archive.add(f"data/{index}", data_bytes(contiguous(state[key])))
    archive.add("version", b"3\n")
    archive.close()


def plan(state: Mapping[str, Any], container: str | None) -> bytes:
    """The pickle of {key: tensor}, whose storages are numbered in order."""
    parts = [b"\x80\x02"]
    if container is not None:
        parts += [b"}(", text(container)]
    parts.append(b"}(")
    for index, key in enumerate(state):
        kind, shape = spec_of(state, key)
        if kind not in STORAGE_OF:
            raise CheckpointError(f"{key} is of type {kind}, which a torch file here does not hold; convert it first")
        strides = [math.prod(shape[place + 1 :]) for place in range(len(shape))]
        storage = (
            b"(" + text("storage") + name("torch", STORAGE_OF[kind]) + text(str(index)) + text("cpu")
            + integer(math.prod(shape)) + b"tQ"
        )  # fmt: skip
        parts += [
            text(key),
            name("torch._utils", "_rebuild_tensor_v2") + b"(" + storage + integer(0),
            integers(shape) + integers(strides) + b"\x89" + name("collections", "OrderedDict") + b")RtR",
        ]
    parts.append(b"u" if container is None else b"uu")
    return b"".join(parts) + b"."


def name(module: str, function: str) -> bytes:
    """The instruction that names a global."""
    return f"c{module}\n{function}\n".encode("ascii")


def text(value: str) -> bytes:
    """The instruction for a text."""
    data = value.encode("utf-8")
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value: int) -> bytes:
    """The instruction for a number of at least 0."""
    if value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def integers(values: tuple[int, ...] | list[int]) -> bytes:
    """The instructions for a tuple of numbers."""
    return b"(" + b"".join(map(integer, values)) + b"t"


class Zip:
    """A zip archive that is written from its beginning to its end; sizes and places over 32 bits as zip64 has them."""

    def __init__(self, handle: BinaryIO) -> None:
        self.handle, self.directory, self.place = handle, [], handle.tell()

    def add(self, member: str, data: bytes | memoryview) -> None:
        """A member that is stored as it is."""
        path, size, crc32 = f"{ROOT}/{member}".encode("ascii"), len(data), zlib.crc32(data)
        field, extra = shortened(size), b""
        if size >= MOST_32:
            extra = struct.pack("<HHQQ", 1, 16, size, size)
        filling = -(self.place + 30 + len(path) + len(extra) + 4) % ALIGNMENT
        extra += struct.pack("<HH", PADDING, filling) + b"Z" * filling
        about = struct.pack("<HHHHIII", 0, 0, 0, 0x21, crc32, field, field)  # 1980-01-01, so that bytes are repeatable
        version = struct.pack("<H", 45)
        start = self.place
        self._write(b"PK\x03\x04" + version + about + struct.pack("<HH", len(path), len(extra)) + path + extra)
        self._write(data)
        large = [value for value in (size, size, start) if value >= MOST_32]
        extra = struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b""
        lengths = struct.pack("<HHHHHI", len(path), len(extra), 0, 0, 0, 0)
        entry = b"PK\x01\x02" + version * 2 + about + lengths + struct.pack("<I", shortened(start)) + path + extra
        self.directory.append(entry)

    def close(self) -> None:
        """Write the directory."""
        start, count = self.place, len(self.directory)
        for entry in self.directory:
            self._write(entry)
        end, length = self.place, self.place - start
        if max(start, length) >= MOST_32 or count >= MOST_16:
            record = struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, length, start)
            self._write(b"PK\x06\x06" + record)
            self._write(b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1))
        few = min(count, MOST_16)
        last = struct.pack("<HHHHIIH", 0, 0, few, few, shortened(length), shortened(start), 0)
        self._write(b"PK\x05\x06" + last)

    def _write(self, data: bytes | memoryview) -> None:
        self.handle.write(data)
        self.place += len(data)


def shortened(value: int) -> int:
    """A value for a field of 32 bits."""
    return value if value < MOST_32 else 0xFFFFFFFF
