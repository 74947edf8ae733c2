"""The pickles inside torch files, run without torch: what they describe, and nothing else.

Objects of a TorchScript archive (`__torch__. ...` classes) become records of their attributes.
"""

import os
from typing import Any, BinaryIO

from .lazy_tensors import printable
from .pickle_machine import ACTIONS, MAX_KEY, Buildable, Global, Machine, Refused
from .torch_constructors import KNOWN, STORAGES, Storage, TorchGlobal, is_size


class RecordClass(Global):
    """A class of a TorchScript archive."""


class Record(Buildable):
    """An object of such a class: its attributes."""

    def __init__(self):
        self.attributes = {}

    def build(self, state: Any) -> None:
        if type(state) is not dict:
            raise Refused("sets the state of a TorchScript object to something that is not its attributes")
        self.attributes = state


def is_key(value: Any) -> bool:
    """Whether torch has such keys, of which not all can have one hash."""
    return type(value) in (str, float, bool) or (type(value) is int and abs(value) < MAX_KEY)


class TorchMachine(Machine):
    """The pickle machine with what torch writes besides: storages by persistent id, TorchScript objects, and
    dictionaries that are keyed by number (of an optimiser)."""

    writer = "torch"
    advice = "save the state_dict() of the model alone, or take the file from a source that you trust"

    def __init__(self, handle: BinaryIO, path: str | os.PathLike, end: int | None = None, known: dict = KNOWN):
        super().__init__(handle, known, path, end)
        self.storages = {}
        own = {b"Q": TorchMachine.persistent, b"\x81": TorchMachine.new_object, b"b": TorchMachine.build}
        self.actions = ACTIONS | own

    def run(self) -> Any:
        value = super().run()
        if self.handle.tell() > self.size:
            raise self.cut()
        return value

    def find(self, module: Any, name: Any) -> Any:
        if isinstance(module, str) and isinstance(name, str) and f"{module}.".startswith("__torch__."):
            return RecordClass(f"{module}.{name}")
        return super().find(module, name)

    def pairs(self, values: list) -> list[tuple[Any, Any]]:
        if len(values) % 2 or any(not is_key(key) for key in values[::2]):
            raise Refused("holds a dictionary whose keys are neither text nor numbers")
        return list(zip(values[::2], values[1::2], strict=True))

    def build(self) -> None:
        """The attributes of a state dict, its `_metadata`, are dropped; other states go to their records."""
        if len(self.stack) > 1 and type(self.stack[-2]) is dict and type(self.stack[-1]) is dict:
            self.pop()
        else:
            super().build()

    def new_object(self) -> None:
        kind, args = self.pop_many(2)
        if not isinstance(kind, RecordClass) or args != ():
            name = kind.name if isinstance(kind, Global) else type(kind).__name__
            raise Refused(f"makes an object of {printable(name)}, which no torch weights file needs")
        self.push(Record())

    def persistent(self) -> None:
        """A storage: ('storage', class, key, place, elements), in old files then (view key, first, count) or None."""
        about = self.pop()
        if (
            type(about) is not tuple
            or len(about) not in (5, 6)
            or about[0] != "storage"
            or not isinstance(about[1], TorchGlobal)
            or type(about[2]) is not str
            or not is_size(about[4])
        ):
            raise Refused("names a storage in a way that torch does not")
        first, whole = 0, about[4]
        if len(about) == 6 and about[5] is not None:
            part = about[5]
            if type(part) is not tuple or len(part) != 3 or not all(map(is_size, part[1:])):
                raise Refused("names a part of a storage in a way that torch does not")
            first, whole = part[1], part[2]
            if first + whole > about[4]:
                raise Refused("names a part of a storage that reaches over it")
        dtype = STORAGES[about[1].name.removeprefix("torch.")]
        root = Storage(about[2], dtype, about[4])
        if self.storages.setdefault(about[2], root) != root:
            raise Refused("names one storage with two types or sizes")
        self.push(Storage(about[2], dtype, whole, first))
