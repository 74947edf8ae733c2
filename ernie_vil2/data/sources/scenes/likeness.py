"""What two scenes have in common: how alike they are, and the labels that images share."""

import itertools
import math

import numpy as np

from .scene import Group, Scene
from .words import COLOURS, SHAPES

WEIGHTS = {"shape": 3, "colour": 3, "size": 1, "material": 1, "count": 1}
PLACES, BACKGROUND = 1, 5
GROUP = sum(WEIGHTS.values()) + PLACES
HIGHEST = 5.0


def likeness(first: Scene, second: Scene) -> float:
    """How alike two scenes are, in [0, 5] as in the STS benchmark: 5 for one scene alone, 0 for nothing in common.

    Groups are matched one to one so that most is shared. A matched group shares its shape and colour (3 points each),
    size, material and count (1 each) and its places (1 for all, else the share of cells in common); one that is left
    over shares nothing; the background counts 5. The share of all points is squared, because unrelated scenes have
    about a third of them in common by chance. The order of groups and of cells is no fact, so it changes nothing; the
    two scenes may be exchanged.
    """
    few, many = sorted((first.groups, second.groups), key=len)
    shared = max(
        math.fsum(common(*two) for two in zip(few, some, strict=True))
        for some in itertools.permutations(many, len(few))
    )
    points = shared + BACKGROUND * (first.background == second.background)
    return HIGHEST * (points / (GROUP * len(many) + BACKGROUND)) ** 2


def common(first: Group, second: Group) -> float:
    """Points that two groups share, GROUP at most."""
    equal = sum(points for fact, points in WEIGHTS.items() if getattr(first, fact) == getattr(second, fact))
    cells, others = set(first.cells), set(second.cells)
    return equal + PLACES * len(cells & others) / len(cells | others)


def shown_kinds(scene: Scene) -> np.ndarray:
    """bool [64]: which combinations of shape and colour a scene shows, the labels of its image."""
    marks = np.zeros((len(SHAPES), len(COLOURS)), bool)
    for group in scene.groups:
        marks[list(SHAPES).index(group.shape), list(COLOURS).index(group.colour)] = True
    return marks.ravel()
