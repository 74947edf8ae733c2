"""What the few globals of a Paddle pickle stand for: descriptions of arrays, checked as they are made.

No NumPy object is built from a file's wishes: `numpy.dtype` gives a `Dtype`, `numpy.ndarray` an `Array`, and both hold
numbers that were compared with the bytes that are really there.
"""

import re
from typing import Any

import numpy as np

from .lazy_tensors import Piece, Spec, Stored, dtype_name, is_shape, printable
from .pickle_machine import Buildable, Global, Refused

ORDERS = ("<", ">", "|", "=")


class Dtype(Buildable):
    """numpy.dtype in a pickle: a letter and a size, then a byte order."""

    def __init__(self, code: str):
        self.code, self.order = code, "|"

    def build(self, state: Any) -> None:
        if (
            type(state) is not tuple
            or len(state) < 5
            or state[1] not in ORDERS
            or any(part is not None for part in state[2:5])
        ):
            raise Refused("describes a numpy.dtype that is not a plain number")
        self.order = state[1]

    def resolve(self) -> np.dtype:
        return np.dtype(self.code).newbyteorder(self.order if self.order in ORDERS[:2] else "=")


class Array(Buildable):
    """numpy.ndarray in a pickle: empty until BUILD gives it a shape, a type and its data."""

    stored = None

    def build(self, state: Any) -> None:
        if self.stored is not None or type(state) is not tuple or len(state) != 5:
            raise Refused("sets the state of a numpy.ndarray in a way that NumPy does not")
        self.fill(*state[1:])

    def fill(self, shape: Any, dtype: Any, fortran: Any, data: Any) -> None:
        if type(shape) is not tuple or not is_shape(shape):
            raise Refused("holds a numpy.ndarray whose shape is not a tuple of sizes")
        if not isinstance(dtype, Dtype):
            raise Refused("holds a numpy.ndarray without a numpy.dtype")
        data = data.encode("latin-1", "replace") if type(data) is str else data
        if not isinstance(data, (bytes, Piece)):
            raise Refused("holds a numpy.ndarray whose data is not bytes")
        kind = dtype.resolve()
        stored = Stored(Spec(dtype_name(kind), shape), kind, (data,), bool(fortran))
        length = len(data) if isinstance(data, bytes) else data.length
        as_text = isinstance(data, Piece) and data.utf8
        if not stored.nbytes <= length <= stored.nbytes * (2 if as_text else 1):
            raise Refused(
                f"holds a {kind.name} array of shape {list(shape)}, which takes {stored.nbytes:,} bytes, "
                f"with {length:,} bytes of data"
            )
        self.stored = stored


def reconstruct(args: tuple) -> Array:
    if len(args) != 3 or args[0] is not NDARRAY:
        raise Refused("calls numpy.core.multiarray._reconstruct for something that is not a numpy.ndarray")
    return Array()


def from_buffer(args: tuple) -> Array:
    if len(args) != 4 or args[3] not in ("C", "F"):
        raise Refused("calls numpy.core.numeric._frombuffer in a way that NumPy does not")
    array = Array()
    array.fill(args[2], args[1], args[3] == "F", args[0])
    return array


def make_dtype(args: tuple) -> Dtype:
    if not args or type(args[0]) is not str or not re.fullmatch(r"[fiu][1248]|b1", args[0]):
        shown = printable(args[0]) if args and type(args[0]) is str else "?"
        raise Refused(f"asks for numpy.dtype('{shown}'), which is not a plain number")
    return Dtype(args[0].replace("f1", "i1"))


def encode_latin1(args: tuple) -> bytes | Piece:
    if len(args) != 2 or not (args[1] == "latin1" or args[1] == "latin-1"):
        raise Refused("calls _codecs.encode with a codec other than latin1")
    if isinstance(args[0], Piece):
        return args[0]
    try:
        return args[0].encode("latin-1")
    except (AttributeError, UnicodeEncodeError):
        raise Refused("calls _codecs.encode for something that is not bytes written as text") from None


def empty_bytes(args: tuple) -> bytes:
    if args:
        raise Refused("calls builtins.bytes with an argument, which Paddle does not write")
    return b""


def make_tuple(args: tuple) -> tuple:
    if len(args) != 1 or type(args[0]) not in (tuple, list):
        raise Refused("calls builtins.tuple for something that is not a sequence")
    return tuple(args[0])


def name_of_data(args: tuple) -> Any:
    if len(args) != 2 or args[0] != "data" or type(args[1]) is not dict or args[1].keys() != {"data"}:
        raise Refused("asks for builtins.eval of something that is not Paddle's own 'data'")
    return args[1]["data"]


def ordered_dict(args: tuple) -> dict[str, Any]:
    if not args:
        return {}
    entries = args[0] if len(args) == 1 and type(args[0]) is list else [None]
    if any(type(entry) not in (list, tuple) or len(entry) != 2 or type(entry[0]) is not str for entry in entries):
        raise Refused("calls collections.OrderedDict for something that is not a list of pairs")
    return dict(entries)


NDARRAY = Global("numpy.ndarray")
KNOWN = {
    ("numpy", "ndarray"): NDARRAY,
    ("numpy", "dtype"): Global("numpy.dtype", make_dtype),
    ("_codecs", "encode"): Global("_codecs.encode", encode_latin1),
    ("collections", "OrderedDict"): Global("collections.OrderedDict", ordered_dict),
}
for core in ("numpy.core", "numpy._core"):  # NumPy 1 and NumPy 2
    KNOWN[f"{core}.multiarray", "_reconstruct"] = Global("numpy.core.multiarray._reconstruct", reconstruct)
    KNOWN[f"{core}.numeric", "_frombuffer"] = Global("numpy.core.numeric._frombuffer", from_buffer)
for builtins in ("builtins", "__builtin__"):  # protocols 3 to 5 and protocol 2
    for name, call in (("tuple", make_tuple), ("bytes", empty_bytes), ("eval", name_of_data)):
        KNOWN[builtins, name] = Global(f"builtins.{name}", call)
