"""The state dict in what a torch pickle describes, whatever it is wrapped in."""

import os
from typing import Any

from ...errors import CheckpointError
from .lazy_tensors import printable
from .torch_constructors import View
from .torch_pickle import Record

CONTAINERS = ("state_dict", "model_state_dict", "learnable", "model", "module", "net", "network", "params", "weights")
MAX_CONTAINERS = 4
MAX_DEPTH = 30  # objects of a TorchScript archive within each other
MAX_OBJECTS = 100_000  # and their attributes
MAX_NAME = 200


def named_views(tree: Any, path: str | os.PathLike) -> tuple[dict[str, View], list[str]]:
    """({name: View}, notes) of the state dict in what a pickle describes, whatever it is wrapped in."""
    notes, entered, beside = [], [], 0
    if isinstance(tree, Record):
        views = {}
        add_attributes(tree, path, views)
        notes.append("a TorchScript archive: its tensors are read, its code is not")
        tree = {}
    else:
        while len(entered) < MAX_CONTAINERS and (name := container(tree)) is not None:
            entered.append(name)
            beside += len(tree) - 1
            tree = tree[name]
        views = {key: value for key, value in tree.items() if isinstance(value, View)} if type(tree) is dict else {}
    if not views:
        inside = ", ".join(printable(str(key), 40) for key in list(tree)[:5]) if type(tree) is dict and tree else "none"
        raise CheckpointError(f"{path} holds no named tensors (its entries: {inside}); save a model's state_dict()")
    for key in views:
        tensor_name(key, path)
    if entered:
        others = "; the other entries are left out" if beside else ""
        notes.append(f"taken from its entry {'.'.join(map(printable, entered))}{others}")
    if len(tree) > len(views):
        others = [printable(str(key), 40) for key, value in tree.items() if not isinstance(value, View)]
        notes.append(f"{len(others)} entries that are no tensors are left out ({', '.join(others[:5])})")
    return views, notes


def tensor_name(key: Any, path: str | os.PathLike) -> str:
    """A key as it is; CheckpointError where no tensor has such a name."""
    if type(key) is not str or not key.isprintable() or len(key) > MAX_NAME:
        raise CheckpointError(
            f"{path}: the key '{printable(str(key))}' is not a tensor's name; "
            "take the file again from a source that you trust"
        )
    return key


def container(tree: Any) -> str | None:
    """The entry of a dictionary that holds the state dict, or None where the dictionary is one."""
    if type(tree) is not dict:
        return None
    counted = {}
    direct = count_views(tree, 0, counted)
    holders = [key for key, value in tree.items() if type(key) is str and count_views(value, 2, counted) > direct]
    preferred = [name for name in CONTAINERS if name in holders]
    return (preferred or holders or [None])[0]


def count_views(tree: Any, depth: int, counted: dict[tuple[int, int], int]) -> int:
    """Tensors in a dictionary keyed by text, or in the fullest of those in it: those of an optimiser have numbers.

    counted: what was counted before, since a file may put one dictionary into many places.
    """
    if type(tree) is not dict:
        return 0
    if (id(tree), depth) not in counted:
        named = tree.values() if all(type(key) is str for key in tree) else ()
        inner = [count_views(value, depth - 1, counted) for value in named] if depth else []
        counted[id(tree), depth] = max([sum(isinstance(value, View) for value in named), *inner])
    return counted[id(tree), depth]


def add_attributes(root: Record, path: str | os.PathLike, views: dict[str, View]) -> None:
    """Add {dotted name: View} of the tensors of a TorchScript object and of those in it."""
    waiting, seen = [("", root, 0)], 0
    while waiting:
        prefix, record, depth = waiting.pop()
        seen += 1 + len(record.attributes)
        if depth > MAX_DEPTH or seen > MAX_OBJECTS:
            raise CheckpointError(f"{path} nests objects too deep or too often; give a file of a model's state_dict()")
        for name, value in record.attributes.items():
            if isinstance(value, View):
                views[tensor_name(f"{prefix}{name}", path)] = value
            elif isinstance(value, Record):
                waiting.append((tensor_name(f"{prefix}{name}.", path), value, depth + 1))
