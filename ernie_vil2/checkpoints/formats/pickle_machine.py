"""A machine for pickle instructions that imports nothing and calls nothing but the functions it is given.

It reads what protocols 2 to 5 need for dictionaries of arrays. Large strings are not read but remembered as pieces
of the file, so a run gives a plan of a few kilobytes: no tensor exists yet when the last instruction is checked.
The standard unpickler is not used: it lets a file choose attributes, sizes and memo slots before anybody can look.
"""

import os
import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

from ...errors import CheckpointError
from .lazy_tensors import Piece, printable

MAX_INSTRUCTIONS = 1_000_000  # a state dict takes about 45 a tensor
MAX_TEXT = 4096  # longer strings are data, not names
MAX_NAME = 512
MAX_KEY = 2**60  # of a number as a key: up to here no two have one hash
SIZES = {str: 1, tuple: 8, list: 8, dict: 8}  # type -> bytes of an element that is copied
COPIES, MOST_COPIED = 16, 1 << 27
"""Bytes that constructors may copy for a byte of the file, and in all: true files copy less than they have"""

LENGTHS = {  # instruction -> (format of its length, what it holds)
    b"\x8c": ("<B", "text"),
    b"X": ("<I", "text"),
    b"\x8d": ("<Q", "text"),
    b"C": ("<B", "bytes"),
    b"B": ("<I", "bytes"),
    b"\x8e": ("<Q", "bytes"),
    b"\x96": ("<Q", "bytes"),
    b"U": ("<B", "latin1"),
    b"T": ("<I", "latin1"),  # the byte strings of Python 2, which wrote Paddle 2.0 files too
}
NUMBERS = {b"K": "<B", b"M": "<H", b"J": "<i", b"G": ">d"}
CONSTANTS = {b"N": None, b"\x88": True, b"\x89": False}
TUPLES = {b"\x85": 1, b"\x86": 2, b"\x87": 3}
GETS = {b"h": "<B", b"j": "<I"}
PUTS = {b"q": "<B", b"r": "<I"}


class Refused(Exception):
    """A reason, from the functions of a `Global`, why a file cannot be taken."""


@dataclass(frozen=True)
class Global:
    """A name that a pickle may ask for, and the function of ours (tuple of arguments -> value) that stands for it."""

    name: str
    call: Callable | None = None


class Buildable:
    """Base of the values that a BUILD instruction may set the state of, through their method `build(state)`."""


class Machine:
    """Run the pickle in `handle` (binary, seekable) with `known` {(module, name): Global}; it ends before byte `end`.

    Other writers' files have a subclass: `writer` is their name in errors, `actions` what they need beyond this.
    """

    writer = "Paddle"
    advice = "take the file again from a source that you trust"

    def __init__(self, handle: BinaryIO, known: dict, where: str | os.PathLike, end: int | None = None):
        self.handle, self.known, self.where = handle, known, where
        self.size = os.fstat(handle.fileno()).st_size if end is None else end
        self.actions = ACTIONS
        self.most_copied = min(MAX_TEXT + COPIES * (self.size - handle.tell()), MOST_COPIED)
        self.copied = 0
        self.stack, self.marks, self.memo = [], [], {}

    def run(self) -> Any:
        """The value that the pickle describes; CheckpointError when it is cut off or asks for anything unknown."""
        for _ in range(MAX_INSTRUCTIONS):
            try:
                code = self.take(1)
                if code == b".":
                    return self.pop()
                self.step(code)
            except Refused as reason:
                self.fail(str(reason))
        self.fail(f"holds over {MAX_INSTRUCTIONS:,} pickle instructions, which no weights file needs")

    def fail(self, reason: str) -> NoReturn:
        raise CheckpointError(f"{self.where}: {reason}; nothing of it was run: {self.advice}")

    def spend(self, *values: Any) -> None:
        """Count what a constructor may copy of its arguments: a file may hand it one long value again and again."""
        for value in values:
            self.copied += SIZES[type(value)] * len(value) if type(value) in SIZES else 0
        if self.copied > self.most_copied:
            raise Refused("copies its own values over and over, which no weights file needs")

    def step(self, code: bytes) -> None:
        if code in LENGTHS:
            self.push(self.string(*LENGTHS[code]))
        elif code in NUMBERS:
            self.push(self.number(NUMBERS[code]))
        elif code in CONSTANTS:
            self.push(CONSTANTS[code])
        elif code in TUPLES:
            self.push(tuple(self.pop_many(TUPLES[code])))
        elif code in GETS:
            self.push(self.recall(self.number(GETS[code])))
        elif code in PUTS:
            self.memo[self.number(PUTS[code])] = self.top()
        elif code in self.actions:
            self.actions[code](self)
        else:
            known = pickletools.code2op.get(code.decode("latin-1"))
            raise Refused(
                f"uses the pickle instruction {known.name if known else code.hex()}, which {self.writer} does not write"
            )

    def take(self, count: int) -> bytes:
        data = self.handle.read(count)
        if len(data) != count:
            raise self.cut()
        return data

    def cut(self) -> CheckpointError:
        return CheckpointError(f"{self.where} ends early, at byte {self.size:,}; copy or download it again")

    def number(self, layout: str) -> int | float:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> str:
        data = self.handle.readline(MAX_NAME)
        if len(data) == MAX_NAME:
            raise Refused(f"holds a name of over {MAX_NAME} bytes")
        if not data.endswith(b"\n"):
            raise self.cut()
        return data[:-1].decode("utf-8", "backslashreplace")

    def string(self, layout: str, kind: str) -> str | Piece:
        length = self.number(layout)
        start = self.handle.tell()
        if length > self.size - start:
            raise self.cut()
        if kind == "bytes" or length > MAX_TEXT:
            self.handle.seek(length, os.SEEK_CUR)
            return Piece(start, length, utf8=kind == "text")
        data = self.take(length)
        try:
            return data.decode("utf-8" if kind == "text" else "latin-1")
        except UnicodeDecodeError:
            raise Refused("holds text that is not UTF-8") from None

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def top(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise Refused("is not a well-formed pickle (the stack is empty)")
        return self.stack[-1]

    def pop(self) -> Any:
        self.top()
        return self.stack.pop()

    def pop_many(self, count: int) -> list:
        return [self.pop() for _ in range(count)][::-1]

    def pop_mark(self) -> list:
        if not self.marks:
            raise Refused("is not a well-formed pickle (a mark is missing)")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def recall(self, index: int) -> Any:
        if index not in self.memo:
            raise Refused("is not a well-formed pickle (a reference to nothing)")
        return self.memo[index]

    def frame(self) -> None:
        if self.number("<Q") > self.size - self.handle.tell():
            raise self.cut()

    def protocol(self) -> None:
        if (version := self.number("<B")) not in (2, 3, 4, 5):
            raise Refused(f"is a pickle of protocol {version}, while {self.writer} writes 2 to 4")

    def find(self, module: Any, name: Any) -> Any:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise Refused("asks for a global whose name is not text")
        if (module, name) not in self.known:
            raise Refused(f"asks for {printable(module)}.{printable(name)}, which no {self.writer} weights file needs")
        return self.known[module, name]

    def old_instance(self) -> NoReturn:
        found = self.find(self.line(), self.line())
        raise Refused(f"makes an instance of {found.name}, which {self.writer} does not write")

    def reduce(self) -> None:
        function, args = self.pop_many(2)
        if not isinstance(function, Global) or function.call is None or type(args) is not tuple:
            raise Refused(f"calls something that is not one of {self.writer}'s constructors")
        self.spend(*args)
        self.push(function.call(args))

    def build(self) -> None:
        state = self.pop()
        if not isinstance(self.top(), Buildable):
            raise Refused(f"sets the state of a {type(self.top()).__name__}, which {self.writer} does not write")
        if type(state) is tuple:
            self.spend(*state)
        self.top().build(state)

    def append(self, values: list) -> None:
        if type(self.top()) is not list:
            raise Refused("appends to something that is not a list")
        self.top().extend(values)

    def set_items(self, values: list) -> None:
        self.top_dict().update(self.pairs(values))

    def top_dict(self) -> dict:
        if type(self.top()) is not dict:
            raise Refused("sets an item of something that is not a dictionary")
        return self.top()

    def pairs(self, values: list) -> list[tuple[Any, Any]]:
        """[key, value, key, value, ...] as [(key, value), ...]; keys are text only."""
        if len(values) % 2 or any(type(key) is not str for key in values[::2]):
            raise Refused("holds a dictionary whose keys are not all text")
        return list(zip(values[::2], values[1::2], strict=True))


ACTIONS = {
    b"\x80": Machine.protocol,
    b"\x95": Machine.frame,
    b"(": lambda machine: machine.marks.append(len(machine.stack)),
    b"0": Machine.pop,
    b"1": Machine.pop_mark,
    b"2": lambda machine: machine.push(machine.top()),
    b"\x8a": lambda machine: machine.push(int.from_bytes(machine.take(machine.number("<B")), "little", signed=True)),
    b")": lambda machine: machine.push(()),
    b"t": lambda machine: machine.push(tuple(machine.pop_mark())),
    b"]": lambda machine: machine.push([]),
    b"l": lambda machine: machine.push(machine.pop_mark()),
    b"a": lambda machine: machine.append(machine.pop_many(1)),
    b"e": lambda machine: machine.append(machine.pop_mark()),
    b"}": lambda machine: machine.push({}),
    b"d": lambda machine: machine.push(dict(machine.pairs(machine.pop_mark()))),
    b"s": lambda machine: machine.set_items(machine.pop_many(2)),
    b"u": lambda machine: machine.set_items(machine.pop_mark()),
    b"\x94": lambda machine: machine.memo.__setitem__(len(machine.memo), machine.top()),
    b"c": lambda machine: machine.push(machine.find(machine.line(), machine.line())),
    b"\x93": lambda machine: machine.push(machine.find(*machine.pop_many(2))),
    b"i": Machine.old_instance,
    b"R": Machine.reduce,
    b"b": Machine.build,
}
