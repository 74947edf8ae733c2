"""Pairs of captions with the likeness of what they tell of, for the task of text matching."""

import numpy as np

from ....errors import ConfigError
from .captions import caption
from .changes import changed
from .likeness import likeness
from .scene import Scene, sample_scene
from .source import SPLITS
from .words import LANGUAGES

MOST_CHANGES = 6
SCENES, WORDS = 4, 5
"""Purposes of random numbers, beside those of SceneSource."""


def stream(seed: int, index: int, purpose: int) -> np.random.Generator:
    """The random numbers of a pair for one purpose."""
    return np.random.default_rng([seed, SPLITS.index("test"), index, purpose])


def scene_pair(seed: int, index: int) -> tuple[Scene, Scene, int]:
    """(scene, scene, changes): a scene of the unseen split, and one that so many changes make of it.

    From 0 changes, which leave one scene, to MOST_CHANGES; MOST_CHANGES + 1 stands for another scene altogether.
    """
    rng = stream(seed, index, SCENES)
    first, changes = sample_scene(rng, "test"), int(rng.integers(MOST_CHANGES + 2))
    second = sample_scene(rng, "test") if changes > MOST_CHANGES else changed(first, changes, rng)
    return first, second, changes


def graded_pair(seed: int, index: int, language: str = "zh") -> tuple[str, str, float]:
    """(text, text, label): a caption of either scene of `scene_pair`, and their `likeness` in [0, 5].

    It depends on (seed, index) alone, and is of the same scenes in every language. The label is of all facts, while
    captions leave out sizes, materials, places and backgrounds at times: that is the noise of the task, so no model of
    texts reaches 100. Raises ConfigError for an unknown language.
    """
    if language not in LANGUAGES:
        raise ConfigError(f"scenes: language {language!r} is none of captions; take one of {', '.join(LANGUAGES)}")
    first, second, _ = scene_pair(seed, index)
    rng = stream(seed, index, WORDS)
    return caption(first, language, rng), caption(second, language, rng), likeness(first, second)
