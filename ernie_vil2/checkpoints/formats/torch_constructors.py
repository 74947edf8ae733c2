"""The constructors that torch files name, as descriptions of storages and tensors, checked as they are made.

A storage is a key, a type and a size; a tensor is a view of one. Where storages lie is known to `torch_file.py` alone.
Nothing of torch is imported or called.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .lazy_tensors import MAX_SIDE, is_shape, printable
from .pickle_constructors import encode_latin1, ordered_dict
from .pickle_machine import Global, Refused

DTYPES = {
    "float32": "f4",
    "float64": "f8",
    "float16": "f2",
    "bfloat16": "u2",
    "int64": "i8",
    "int32": "i4",
    "int16": "i2",
    "int8": "i1",
    "uint8": "u1",
    "bool": "?",
}
STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
}


class Plain(NamedTuple):
    """A value of torch's own, such as a type or a device, of which only the name is kept."""

    name: str


@dataclass(frozen=True)
class Storage:
    """`count` elements from `first` on of the data named `key`, which tensors are views of."""

    key: str
    dtype: str
    count: int
    first: int = 0

    @property
    def itemsize(self) -> int:
        return np.dtype(DTYPES[self.dtype]).itemsize

    @property
    def nbytes(self) -> int:
        return self.count * self.itemsize


@dataclass(frozen=True)
class View:
    """A tensor: elements of a storage by offset, size and stride, all counted in elements of `dtype`."""

    storage: Storage
    dtype: str
    offset: int
    size: tuple
    stride: tuple


def is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < MAX_SIDE


def view(storage: Any, offset: Any, size: Any, stride: Any, dtype: str | None = None) -> View:
    """The View that these arguments of a torch constructor describe; its elements must lie in the storage."""
    if not isinstance(storage, Storage):
        raise Refused("makes a tensor of something that is not a storage")
    if (
        any(type(sides) not in (tuple, list) for sides in (size, stride))
        or len(size) != len(stride)
        or not is_shape(size)
        or not all(map(is_size, (offset, *stride)))
    ):
        raise Refused("holds a tensor whose offset, size and stride are not whole numbers of one rank")
    shapes = tuple(size), tuple(stride)
    dtype = storage.dtype if dtype is None else dtype
    made = View(storage, dtype, offset, *shapes)
    itemsize = np.dtype(DTYPES[dtype]).itemsize
    last = offset + sum((side - 1) * step for side, step in zip(*shapes, strict=True)) if 0 not in shapes[0] else -1
    if (last + 1) * itemsize > storage.nbytes:
        raise Refused(
            f"holds a tensor of shape {list(shapes[0])} that reaches over its storage of {storage.nbytes:,} bytes"
        )
    return made


def rebuild_tensor(args: tuple) -> View:
    if len(args) not in (4, 6, 7):
        raise Refused("calls torch._utils._rebuild_tensor_v2 in a way that torch does not")
    return view(*args[:4])


def rebuild_typed(args: tuple) -> View:
    if len(args) not in (7, 8) or not isinstance(args[6], Plain):
        raise Refused("calls torch._utils._rebuild_tensor_v3 in a way that torch does not")
    dtype = args[6].name.removeprefix("torch.")
    if dtype not in DTYPES:
        raise Refused(f"holds a tensor of type {printable(dtype)}, which is not read here")
    return view(*args[:4], dtype)


def rebuild_parameter(args: tuple) -> View:
    if len(args) not in (3, 4) or not isinstance(args[0], View):
        raise Refused("calls torch._utils._rebuild_parameter in a way that torch does not")
    return args[0]


def make_size(args: tuple) -> tuple[int, ...]:
    if len(args) != 1 or type(args[0]) not in (tuple, list) or not is_shape(args[0]):
        raise Refused("calls torch.Size for something that is not a shape")
    return tuple(args[0])


def make_device(args: tuple) -> Plain:
    if not args or type(args[0]) is not str:
        raise Refused("calls torch.device for something that is not a name")
    return Plain(args[0])


def tagged(args: tuple) -> list | dict | tuple:
    """TorchScript's way to write a list or dictionary with the type of its elements."""
    if len(args) not in (1, 2) or type(args[0]) not in (list, dict, tuple):
        raise Refused("calls a constructor of torch.jit._pickle in a way that torch does not")
    return args[0]


class TorchGlobal(Global):
    """A global of torch that is a value, not a function: a storage class or a type."""


KNOWN = {
    ("torch._utils", "_rebuild_tensor"): Global("torch._utils._rebuild_tensor", rebuild_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): Global("torch._utils._rebuild_tensor_v2", rebuild_tensor),
    ("torch._utils", "_rebuild_tensor_v3"): Global("torch._utils._rebuild_tensor_v3", rebuild_typed),
    ("torch._utils", "_rebuild_parameter"): Global("torch._utils._rebuild_parameter", rebuild_parameter),
    ("torch._utils", "_rebuild_parameter_with_state"): Global("torch._utils._rebuild_parameter", rebuild_parameter),
    ("collections", "OrderedDict"): Global("collections.OrderedDict", ordered_dict),
    ("_codecs", "encode"): Global("_codecs.encode", encode_latin1),
    ("torch", "Size"): Global("torch.Size", make_size),
    ("torch", "device"): Global("torch.device", make_device),
}
for name in STORAGES:
    for module in ("torch", "torch.storage", "torch.cuda"):
        KNOWN[module, name] = TorchGlobal(f"torch.{name}")
for name in (
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "float",
    "double",
    "half",
    "long",
    "int",
    "short",
    "uint16",
    "uint32",
    "uint64",
    "complex64",
    "complex128",
    "float8_e4m3fn",
    "float8_e5m2",
):
    KNOWN["torch", name] = Plain(f"torch.{name}")
for name in ("restore_type_tag", "build_intlist", "build_tensorlist", "build_doublelist", "build_boollist"):
    KNOWN["torch.jit._pickle", name] = Global(f"torch.jit._pickle.{name}", tagged)
