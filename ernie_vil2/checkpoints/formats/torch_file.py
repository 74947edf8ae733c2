"""Weights that torch wrote, read without torch and without running anything of them; tensors stay in the file.

Zip archives of torch.save, TorchScript archives (as OpenAI publishes CLIP), and the older form of pickles one after
the other with the storages behind them.
"""

import math
import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...errors import CheckpointError, advice
from ...files.plain import open_plain
from .lazy_tensors import Piece, Spec, Stored, TensorFile, printable
from .paddle_file import MAX_TIES, identify
from .pickle_constructors import KNOWN as PADDLE
from .torch_constructors import DTYPES, KNOWN, Storage, View
from .torch_pickle import TorchMachine
from .torch_state import named_views
from .zip_members import Archive

MAGIC, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
LEGACY_HEAD = b"\x80\x02\x8a\x0a" + MAGIC.to_bytes(10, "little") + b"."
MAX_READINGS = 64  # of the whole file, for tensors of few elements that lie far apart
Locate = Callable[[Iterable[Storage]], dict[Storage, tuple[int, str, int | None]]]
"""Offset, byte order and CRC-32 or None of storages"""


@dataclass(frozen=True)
class Strided:
    """A tensor whose elements do not lie in C order: steps of `strides` elements in `count` that begin at `offset`."""

    spec: Spec
    dtype: np.dtype
    offset: int
    count: int
    strides: tuple


class TorchFile(TensorFile):
    """A TensorFile that also reads views with strides, such as transposed matrices."""

    def __getitem__(self, key: str) -> np.ndarray:
        entry = self.entries[key]
        if not isinstance(entry, Strided):
            return super().__getitem__(key)
        flat = np.empty(entry.count, entry.dtype)
        self.read(entry.offset, memoryview(flat.view(np.uint8)), key)
        steps = [stride * flat.itemsize for stride in entry.strides]
        view = np.lib.stride_tricks.as_strided(flat, entry.spec.shape, steps, writeable=False)
        return np.array(view, entry.dtype.newbyteorder("="), order="C")


def open_torch(path: str | os.PathLike) -> TorchFile:
    """The tensors of a torch file as a lazy mapping, without the containers around them; `notes` say what was left out.

    bfloat16 comes as uint16, as everywhere here. Raises CheckpointError, in one sentence, for every other kind of file,
    and names any global asked for that is not torch's own constructor of tensors.
    """
    path = Path(path)
    try:
        handle = open_plain(path)
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path}: {error.strerror or error}; {advice(error, 'give the path of a weights file')}"
        ) from None
    try:
        tree, locate, size = read_tree(handle, path)
        views, notes = named_views(tree, path)
        claimed = sum(math.prod(view.size) * item_size(view) for view in views.values())
        if claimed > MAX_TIES * size:
            raise CheckpointError(
                f"{path}: claims {claimed:,} bytes of tensors in a file of {size:,}; nothing of it was run: "
                "take the file again from a source that you trust"
            )
        places = locate({view.storage for view in views.values()})
        file = TorchFile(path, handle, {key: entry_of(view, *places[view.storage]) for key, view in views.items()})
        strided = [entry for entry in file.entries.values() if isinstance(entry, Strided)]
        if sum(entry.count * entry.dtype.itemsize for entry in strided) > MAX_READINGS * size:
            raise CheckpointError(
                f"{path}: its tensors are cut out of the same data over {MAX_READINGS} times; save a model's "
                "state_dict() again, with contiguous tensors"
            )
        file.notes += notes
        return file
    except BaseException:
        handle.close()
        raise


def is_torch(head: bytes) -> bool:
    """Whether the first bytes are those of a file that torch.save wrote."""
    return head.startswith((b"PK\x03\x04", LEGACY_HEAD))


def read_tree(handle: BinaryIO, path: str | os.PathLike) -> tuple[Any, Locate, int]:
    """(what the pickle describes, function {Storage} -> {Storage: (offset, byte order, CRC-32 or None)}, file size)."""
    head = handle.read(512)
    handle.seek(0)
    if head.startswith(b"PK\x03\x04"):
        return read_zip(handle, path)
    if head.startswith(LEGACY_HEAD):
        return read_legacy(handle, path)
    identify(head, path)
    TorchMachine(handle, path, known=KNOWN | PADDLE).run()  # which names the function that it asks for, if it does
    raise CheckpointError(f"{path} is a pickle that torch.save did not write; save the model's state_dict() again")


def read_zip(handle: BinaryIO, path: str | os.PathLike) -> tuple[Any, Locate, int]:
    archive = Archive(handle, path)
    plans = [name for name in archive.members if name.count("/") <= 1 and name.rpartition("/")[2] == "data.pkl"]
    if len(plans) != 1:
        raise CheckpointError(f"{path} is a zip archive, but not one of torch (it holds no data.pkl); unpack it first")
    root = plans[0].removesuffix("data.pkl")
    order = "<"
    if root + "byteorder" in archive.members:
        offset, member = archive.place(root + "byteorder")
        order = ">" if archive.at(offset, min(member.length, 8)) == b"big" else "<"
    offset, member = archive.place(plans[0])
    handle.seek(offset)
    tree = TorchMachine(handle, path, offset + member.length).run()

    def locate(storages):
        places, end = {}, 0
        for storage in storages:
            name = f"{root}data/{storage.key}"
            if name not in archive.members:
                raise CheckpointError(f"{path} is incomplete: {printable(name)} is missing; copy or download it again")
            start, held = archive.place(name)
            if held.length != storage.nbytes:
                raise archive.damaged(f"{printable(name)} has {held.length:,} bytes where {storage.nbytes:,} are due")
            places[storage] = start, order, held.crc32
        for (start, _, _), storage in sorted(
            ((place, storage) for storage, place in places.items()), key=itemgetter(0)
        ):
            if start < end:
                raise archive.damaged("its members overlap")
            end = start + storage.nbytes
        return places

    return tree, locate, archive.size


def read_legacy(handle: BinaryIO, path: str | os.PathLike) -> tuple[Any, Locate, int]:
    """The form of torch before 1.6: magic number, version, system, the object, keys of storages, then their data."""
    machine = TorchMachine(handle, path)
    parts = []
    for _ in range(5):
        machine.stack, machine.marks, machine.memo = [], [], {}
        parts.append(machine.run())
    magic, version, system, tree, keys = parts
    if magic != MAGIC or version != LEGACY_PROTOCOL or type(system) is not dict or type(keys) is not list:
        raise CheckpointError(f"{path} is not a file that torch.save wrote; save the model's state_dict() again")
    order = "<" if system.get("little_endian", True) else ">"
    offsets = {}
    for key in keys:
        storage = machine.storages.get(key) if type(key) is str else None
        count = handle.read(8)
        if storage is None or len(count) != 8:
            raise CheckpointError(f"{path} is damaged: its list of storages is cut; copy or download it again")
        start = handle.tell()
        if struct.unpack(order + "q", count)[0] != storage.count or start + storage.nbytes > machine.size:
            raise CheckpointError(f"{path} ends early, at byte {machine.size:,}; copy or download it again")
        offsets[key] = start
        handle.seek(start + storage.nbytes)

    def locate(storages):
        missing = [storage.key for storage in storages if storage.key not in offsets]
        if missing:
            raise CheckpointError(f"{path} lacks its storage {printable(missing[0])}; copy or download it again")
        return {part: (offsets[part.key] + part.first * part.itemsize, order, None) for part in storages}

    return tree, locate, machine.size


def item_size(view: View) -> int:
    return np.dtype(DTYPES[view.dtype]).itemsize


def entry_of(view: View, start: int, order: str, crc32: int | None) -> Stored | Strided:
    """Where and how the elements of a view lie, its storage being at `start`."""
    dtype = np.dtype(DTYPES[view.dtype]).newbyteorder(order)
    spec, offset = Spec(view.dtype, view.size), start + view.offset * dtype.itemsize
    wanted, nbytes = 1, math.prod(view.size) * dtype.itemsize
    in_order = True
    for side, stride in zip(view.size[::-1], view.stride[::-1], strict=True):
        in_order = in_order and (side == 1 or stride == wanted)
        wanted *= side
    if in_order or not nbytes:
        whole = nbytes == view.storage.nbytes and view.offset == 0
        return Stored(spec, dtype, (Piece(offset, nbytes),), crc32=(crc32 or None) if whole else None)
    last = sum((side - 1) * stride for side, stride in zip(view.size, view.stride, strict=True))
    return Strided(spec, dtype, offset, last + 1, view.stride)
