"""A scene made from another by a number of changes, each of which takes something away that the two had in common."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .likeness import likeness
from .scene import Group, Scene, pick
from .words import BACKGROUNDS, COLOURS, MATERIALS, PLACES, SHAPES, SIZES

FACTS = {"colour": COLOURS, "shape": SHAPES, "size": SIZES, "material": MATERIALS}
MOST_COPIES = 3
TRIES = 100


def changed(scene: Scene, number: int, rng: np.random.Generator) -> Scene:
    """A scene that `number` changes lead to, each of a kind drawn from CHANGES, and none of them undoing another.

    Fewer where nothing is left to change. What a caption never tells is not changed: the places of several objects.
    """
    result = scene
    for _ in range(number):
        for _ in range(TRIES):
            candidate = CHANGES[int(rng.integers(len(CHANGES)))](result, rng)
            if is_drawable(candidate) and likeness(scene, candidate) < likeness(scene, result):
                result = candidate
                break
    return result


def is_drawable(scene: Scene) -> bool:
    """Whether a scene keeps the rules of those that are drawn: no two groups of one shape and colour, and nothing big
    more than once."""
    kinds = {(group.shape, group.colour) for group in scene.groups}
    return len(kinds) == len(scene.groups) and all(group.size == "small" or group.count == 1 for group in scene.groups)


def exchanged(scene: Scene, group: Group, **facts: Any) -> Scene:
    """The scene with other facts of one of its groups."""
    return replace(scene, groups=tuple(replace(one, **facts) if one is group else one for one in scene.groups))


def any_group(scene: Scene, rng: np.random.Generator) -> Group:
    """One of the groups."""
    return scene.groups[int(rng.integers(len(scene.groups)))]


def two_groups(scene: Scene, rng: np.random.Generator) -> tuple[Group, Group]:
    """Two different ones of the groups."""
    first, second = rng.permutation(len(scene.groups))[:2]
    return scene.groups[first], scene.groups[second]


def free_cells(scene: Scene, rng: np.random.Generator) -> list[tuple[int, int]]:
    """The cells where nothing is, in a random order."""
    taken = {cell for group in scene.groups for cell in group.cells}
    free = [cell for cell in PLACES if cell not in taken]
    return [free[index] for index in rng.permutation(len(free))]


def other_fact(name: str, values: Sequence[str], scene: Scene, rng: np.random.Generator) -> Scene:
    """Another value of one fact of a group."""
    return exchanged(scene, any_group(scene, rng), **{name: pick(rng, values)})


def other_count(scene: Scene, rng: np.random.Generator) -> Scene:
    """More or fewer copies in a group."""
    group = any_group(scene, rng)
    cells = (*group.cells, *free_cells(scene, rng))
    return exchanged(scene, group, cells=cells[: int(rng.integers(1, MOST_COPIES + 1))])


def other_place(scene: Scene, rng: np.random.Generator) -> Scene:
    """A single object somewhere else."""
    group, free = any_group(scene, rng), free_cells(scene, rng)
    return exchanged(scene, group, cells=tuple(free[:1])) if group.count == 1 and free else scene


def other_background(scene: Scene, rng: np.random.Generator) -> Scene:
    """Another background."""
    return replace(scene, background=pick(rng, BACKGROUNDS))


def other_group(scene: Scene, rng: np.random.Generator) -> Scene:
    """Another group in the place of one."""
    old = any_group(scene, rng)
    return exchanged(scene, old, cells=old.cells[:1], **{name: pick(rng, values) for name, values in FACTS.items()})


def colours_of_two(scene: Scene, rng: np.random.Generator) -> Scene:
    """The colours of two groups swapped: the same words of another scene."""
    first, second = two_groups(scene, rng)
    return exchanged(exchanged(scene, first, colour=second.colour), second, colour=first.colour)


def places_of_two(scene: Scene, rng: np.random.Generator) -> Scene:
    """The places of two single objects swapped: the same words of another scene."""
    first, second = two_groups(scene, rng)
    if first.count > 1 or second.count > 1:
        return scene
    return exchanged(exchanged(scene, first, cells=second.cells), second, cells=first.cells)


CHANGES = (
    *(functools.partial(other_fact, name, tuple(values)) for name, values in FACTS.items()),
    other_count,
    other_place,
    other_background,
    other_group,
    colours_of_two,
    places_of_two,
)
