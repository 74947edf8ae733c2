"""Paddle's `.pdparams` files, read without executing anything and written so that Paddle reads them.

What Paddle 2.0 to 3.3 writes, all of it read here: plain arrays with a `StructuredToParameterName@@` table (a state
dict), `(name, array)` tuples (a nested dictionary of tensors), arrays behind a call of `eval` (dense tensors), slices
listed under `UnpackBigParamInfor@@` (arrays over 1 GiB in protocols 2 and 3), bytes as latin-1 text (protocol 2).
"""

import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import CheckpointError, advice
from ...files.atomic import atomic_file, reported
from ...files.plain import open_plain
from ...files.stand_ins import stand_in, stand_in_at
from .lazy_tensors import Spec, Stored, TensorFile, is_shape, printable
from .pickle_constructors import KNOWN, Array
from .pickle_machine import Machine

NAME_TABLE = "StructuredToParameterName@@"
SLICES = "UnpackBigParamInfor@@"  # Paddle's own spelling
MAX_TIES = 4  # tensors may share data, but not so that a small file fills the memory
OPTIMISER = re.compile(r"_(moment[12]|beta[12]_pow_acc|velocity)_0$|^(LR_Scheduler|master_weights)$")


def open_pdparams(path: str | os.PathLike) -> TensorFile:
    """The tensors of a `.pdparams` as a lazy mapping; nothing is imported, called or evaluated for it.

    Raises CheckpointError, in one sentence, for every other kind of file, and names any other global asked for.
    """
    path = Path(path)
    try:
        handle = open_plain(path)
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path}: {error.strerror or error}; {advice(error, 'give the path of a .pdparams file')}"
        ) from None
    try:
        identify(handle.read(512), path)
        handle.seek(0)
        machine = Machine(handle, KNOWN, path)
        entries = state_dict(machine.run(), path)
        claimed = sum(entry.nbytes for entry in entries.values())
        if claimed > MAX_TIES * machine.size:
            machine.fail(f"claims {claimed:,} bytes of tensors in a file of {machine.size:,}")
        return TensorFile(path, handle, entries)
    except BaseException:
        handle.close()
        raise


def load_pdparams(path: str | os.PathLike) -> dict:
    """{key: array} of a `.pdparams`, bits as stored (bfloat16 as uint16); what is one array in the file is one here.

    Raises CheckpointError as `open_pdparams` does.
    """
    tensors = open_pdparams(path)
    arrays = {}
    for key, entry in tensors.entries.items():
        if id(entry) not in arrays:
            arrays[id(entry)] = tensors[key]
    return {key: arrays[id(entry)] for key, entry in tensors.entries.items()}


def identify(head: bytes, path: str | os.PathLike) -> None:
    """Say what a file is when its first bytes are not those of a pickle."""
    refuse_stand_in(head, path)
    found = None
    if not head:
        found = "is empty"
    elif head.startswith(b"PK\x03\x04"):
        found = "is a zip archive, as PyTorch writes, not a Paddle weights file"
    elif head.startswith(b"\x1f\x8b") or head[257:262] == b"ustar":
        found = "is an archive, not a Paddle weights file; unpack it first"
    elif head[8:9] == b"{":
        found = "is a safetensors file, which belongs into a model directory with config.json and vocab.txt"
    elif head.startswith(b"\x00" * 8):
        found = "holds tensors in Paddle's binary format, without names"
    elif not re.match(rb"\x80|\}q\x00|\(?[ci][\w.]+\n[\w.]+\n", head):
        start = printable(head[:24].decode("latin-1"))
        found = f"is not a Paddle weights file (it begins with '{start}')"
    if found:
        raise CheckpointError(
            f"{path} {found}; give a .pdparams file that paddle.save wrote from a model's state_dict()"
        )


def refuse_stand_in(head: bytes, path: str | os.PathLike) -> None:
    """CheckpointError where a file begins as what lies there when it was not fetched."""
    if found := stand_in(head):
        raise CheckpointError(f"{path} {found}")


def refuse_stand_in_at(path: str | os.PathLike) -> None:
    """`refuse_stand_in` of a file that was found to be none of its kind."""
    if found := stand_in_at(path):
        raise CheckpointError(f"{path} {found}")


def state_dict(value: Any, path: str | os.PathLike) -> dict[str, Stored]:
    """The entries {key: Stored} of a loaded pickle, with Paddle's wrappings taken off."""
    if type(value) is not dict or not value:
        raise CheckpointError(f"{path} holds no dictionary of tensors; save a model's state_dict()")
    if sum(bool(OPTIMISER.search(key)) for key in value) * 2 > len(value) or "LR_Scheduler" in value:
        raise CheckpointError(
            f"{path} holds the state of an optimiser, not a model; give the .pdparams saved beside it"
        )
    value = {key: unwrap(item) for key, item in value.items() if key != NAME_TABLE}
    slices = value.pop(SLICES, {})
    entries = join_slices(value, slices, path)
    for key, entry in entries.items():
        if not key.isprintable() or len(key) > 200:
            raise CheckpointError(
                f"{path}: the key '{printable(key)}' is not a tensor's name; "
                "take the file again from a source that you trust"
            )
        if not isinstance(entry, Stored):
            raise CheckpointError(
                f"{path}: entry {key} is of type {type(entry).__name__}, not a tensor; "
                "save the model's state_dict() alone"
            )
    return entries


def unwrap(item: Any) -> Any:
    """The Stored of an array, of a `(name, array)` tuple; anything else as it is."""
    if type(item) is tuple and len(item) == 2 and type(item[0]) is str:
        item = item[1]
    return item.stored or item if isinstance(item, Array) else item


def join_slices(entries: dict[str, Any], slices: Any, path: str | os.PathLike) -> dict[str, Any]:
    """Put the parts of big arrays together again, as the table under UnpackBigParamInfor@@ says."""
    for key, about in slices.items() if type(slices) is dict else [(SLICES, None)]:
        about = about if type(about) is dict else {}
        shape, names = about.get("OriginShape"), about.get("slices")
        good = type(shape) is tuple and is_shape(shape)
        good = good and type(names) is list and names and all(type(name) is str for name in names)
        parts = [entries.pop(name, None) for name in names] if good else []
        if not parts or not all(isinstance(part, Stored) and part.dtype == parts[0].dtype for part in parts):
            raise CheckpointError(f"{path}: the slices of {printable(key)} are incomplete; copy or download it again")
        whole = Stored(
            Spec(parts[0].spec.dtype, shape), parts[0].dtype, tuple(piece for part in parts for piece in part.pieces)
        )
        if any(len(part.spec.shape) != 1 for part in parts) or whole.nbytes != sum(part.nbytes for part in parts):
            raise CheckpointError(
                f"{path}: the slices of {printable(key)} do not add up to its shape {list(shape)}; "
                "copy or download it again"
            )
        entries[key] = whole
    return entries


def write_pdparams(path: str | os.PathLike, state: Mapping[str, Any]) -> None:
    """Write {key: array} so that `paddle.load` of every version from 2.0 and `load_pdparams` read it; atomic.

    `state` may be lazy: one tensor is held at a time. Bits are kept; uint16 is bfloat16, as in Paddle. Raises
    CheckpointError when the disk refuses.
    """
    path = Path(path)
    with reported(path), atomic_file(path) as handle:
        handle.write(b"\x80\x04}")
        for key in state:
            array = np.asarray(state[key])
            array = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
            handle.write(text(key) + array_opening(array) + b"\x8e" + struct.pack("<Q", array.nbytes))
            handle.write(memoryview(array.reshape(-1)).cast("B") if array.size else b"")
            handle.write(b"tbs")
        handle.write(b".")


def array_opening(array: np.ndarray) -> bytes:
    """The pickle instructions of an array up to its data; NumPy 1's module names, which NumPy 2 knows as well."""
    order, code = array.dtype.str[0], array.dtype.str[1:]
    dtype = (
        b"cnumpy\ndtype\n"
        + text(code)
        + b"\x89\x88\x87R("
        + integer(3)
        + text(order)
        + b"NNN"
        + integer(-1) * 2
        + integer(0)
        + b"tb"
    )
    shape = b"(" + b"".join(integer(side) for side in array.shape) + b"t"
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        + integer(0)
        + b"\x85C\x01b\x87R("
        + integer(1)
        + shape
        + dtype
        + b"\x89"
    )


def text(value: str) -> bytes:
    data = value.encode("utf-8")
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)
