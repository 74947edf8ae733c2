"""What a scene holds, drawn at random; and which combinations no scene of `train` or `valid` shows."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .words import BACKGROUNDS, COLOURS, MATERIALS, SHAPES, SIZES


def held_out(shape: str, colour: str, size: str) -> bool:
    """Whether the combination is kept from `train` and `valid`.

    One in four is, spread evenly over shapes, colours and sizes, so that training knows each of the three, and each two
    of them together, but never these three.
    """
    place = (3 * list(SHAPES).index(shape) + list(COLOURS).index(colour)) % 4
    return place == (0 if size == "big" else 2)


@dataclass(frozen=True)
class Group:
    """`count` copies of one kind of object, each in a cell (row, column) of the 3 x 3 grid."""

    shape: str
    colour: str
    size: str
    material: str
    cells: tuple

    @property
    def count(self) -> int:
        return len(self.cells)


@dataclass(frozen=True)
class Scene:
    """What is drawn and described."""

    groups: tuple
    background: str


def pick(rng: np.random.Generator, names: Iterable[str]) -> str:
    names = list(names)
    return names[int(rng.integers(len(names)))]


def sample_scene(rng: np.random.Generator, split: str) -> Scene:
    """A random scene of the split; every test scene holds at least one combination unknown to training."""
    cells = [divmod(int(cell), 3) for cell in rng.permutation(9)]
    number = int(rng.integers(2, 4))
    groups = []
    for index in range(number):
        while True:
            shape, colour, size = pick(rng, SHAPES), pick(rng, COLOURS), pick(rng, SIZES)
            if split == "test" and index == 0 and not held_out(shape, colour, size):
                continue
            if split != "test" and held_out(shape, colour, size):
                continue
            if all((shape, colour) != (group.shape, group.colour) for group in groups):
                break
        count = int(rng.integers(2, 4)) if size == "small" and rng.random() < 0.3 else 1
        material = pick(rng, MATERIALS) if rng.random() < 0.6 else "plain"
        groups.append(Group(shape, colour, size, material, tuple(cells[:count])))
        cells = cells[count:]
    return Scene(tuple(groups), pick(rng, BACKGROUNDS))
