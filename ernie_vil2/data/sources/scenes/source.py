"""The embedded data set: drawn scenes with captions, tags and boxes, any size, streamed, deterministic by seed.

A scene has two or three groups of objects (shape, colour, size, material, count, position) on a textured background,
under uneven light, a colour cast, sensor noise and partial occlusion: neither colours nor single words identify it.
The `test` split shows combinations of shape, colour and size that no scene of `train` or `valid` holds.
"""

from collections.abc import Sequence
from typing import SupportsIndex

import numpy as np

from ....errors import ConfigError, nearest
from ....messages import quoted
from ..base import Sample, Source, without_front
from . import captions
from .drawing import render
from .scene import Scene, sample_scene
from .words import LANGUAGES

SPLITS = ("train", "valid", "test")
BOUNDS = {"size": (1, 10**9), "seed": (0, (1 << 64) - 1), "image_size": (2, 4096), "captions": (1, 1000)}


class SceneSource(Source):
    """Samples drawn on demand: sample i depends on (seed, split, i) alone.

    split: train, valid or test; size: number of samples; languages: of captions and tags; captions: per language;
    cache: keep drawn samples in memory (3 * image_size^2 bytes each). noise, wrong: shares of the training captions
    that are incomplete, and that belong to another scene or to none; images, tags and other captions stay the same.
    Raises ConfigError for an unknown split or language, and for shares that are none.
    """

    def __init__(
        self,
        split: str = "train",
        size: int = 20000,
        seed: int = 0,
        image_size: int = 60,
        languages: str | Sequence[str] = ("zh", "en"),
        captions: int = 2,
        cache: bool = False,
        noise: float = 0.0,
        wrong: float = 0.0,
    ):
        if split not in SPLITS:
            raise ConfigError(
                f"scenes: unknown split {quoted(split)}; did you mean {nearest(split, SPLITS) or SPLITS[0]!r}?"
            )
        languages = [languages] if isinstance(languages, str) else languages
        if not isinstance(languages, (list, tuple)) or not languages:
            raise ConfigError(f"scenes: languages {quoted(languages)} must be a list of {', '.join(LANGUAGES)}")
        if any(language not in LANGUAGES for language in languages):
            raise ConfigError(f"scenes: languages {quoted(languages)} must be a list of {', '.join(LANGUAGES)}")
        for name, value, (least, most) in zip(BOUNDS, (size, seed, image_size, captions), BOUNDS.values(), strict=True):
            if not least <= value <= most:
                raise ConfigError(f"scenes: {name} is {quoted(value)} but must be from {least} to {most}")
        check_shares(split, noise, wrong)
        languages = tuple(dict.fromkeys(languages))
        self.noise, self.wrong = noise, wrong
        self.split, self.size, self.seed = split, int(size), int(seed)
        self.image_size, self.languages, self.captions = int(image_size), languages, int(captions)
        self.name, self.prefix = f"scenes:{split}", ""
        self.cached = {} if cache else None

    def __len__(self):
        return self.size

    def _rng(self, index, purpose):
        return np.random.default_rng([self.seed, SPLITS.index(self.split), index, purpose])

    def scene(self, index: int) -> Scene:
        """The Scene behind sample `index`."""
        return sample_scene(self._rng(index, 0), self.split)

    def key(self, index: SupportsIndex) -> str:
        return f"{self.prefix}{self.split}-{self.seed}-{self.position(index)}"

    def qualify_ids(self, folders: bool = True) -> None:
        self.prefix = f"scenes of {self.image_size} px#"

    def own_id(self, index: int, key: str) -> str:
        return without_front(key, self.prefix)

    def load(self, index: int) -> Sample:
        if self.cached is None:
            return self.draw(index)
        if index not in self.cached:
            self.cached[index] = self.draw(index)
        return self.cached[index]

    def words(self, index: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(captions, tags) of the sample at `index`, of which nothing is drawn."""
        return self._words(index, self.scene(index))

    def _words(self, index, scene):
        rng = self._rng(index, 1)
        texts = tuple(
            captions.caption(scene, language, rng) for language in self.languages for _ in range(self.captions)
        )
        tags = captions.tags(scene, self.languages[0], rng)
        return self.spoil(index, texts) if self.noise or self.wrong else texts, tags

    def draw(self, index: int) -> Sample:
        """The Sample at `index`, drawn anew."""
        scene = self.scene(index)
        texts, tags = self._words(index, scene)
        image, boxes = render(scene, self._rng(index, 2), self.image_size)
        return Sample(self.key(index), image, texts, tags, self.where(index), boxes)

    def spoil(self, index: int, texts: tuple[str, ...]) -> tuple[str, ...]:
        """The captions of a scene with the shares `noise` and `wrong` of them exchanged, each by its own chance."""
        rng, spoilt = self._rng(index, 3), []
        for place, text in enumerate(texts):
            language, chance = self.languages[place // self.captions], float(rng.random())
            if chance < self.wrong / 2:
                text = captions.chatter(language, rng)
            elif chance < self.wrong:
                text = captions.caption(self.scene(int(rng.integers(2**31))), language, rng)
            elif chance < self.wrong + self.noise:
                text = captions.incomplete_caption(self.scene(index), language, rng)
            spoilt.append(text)
        return tuple(spoilt)

    def describe(self) -> str:
        captions = len(self.languages) * self.captions
        noisy = f", {self.noise:.0%} incomplete and {self.wrong:.0%} wrong" if self.noise or self.wrong else ""
        return f"{self.name}: {self.size:,} drawn scenes of {self.image_size} px, {captions} captions each{noisy}"


def check_shares(split: str, noise: float, wrong: float) -> None:
    """ConfigError unless `noise` and `wrong` are shares that fit together, of a split that is trained on."""
    for name, share in (("noise", noise), ("wrong", wrong)):
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ConfigError(f"scenes: {name} is {quoted(share)}, but it must be a share of the captions in [0, 1]")
    if noise + wrong > 1:
        raise ConfigError(f"scenes: noise {noise} and wrong {wrong} are over 1 together; lower one of them")
    if (noise or wrong) and split != "train":
        raise ConfigError(f"scenes: the split {split!r} measures, so its captions stay clean; drop noise and wrong")
