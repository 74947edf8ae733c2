"""The embedded data set: drawn scenes with captions and tags, any size, streamed, deterministic by seed.

A scene has two or three groups of objects (shape, colour, size, material, count, position) on a textured background,
under uneven light, a colour cast, sensor noise and partial occlusion: neither colours nor single words identify it.
The `test` split shows combinations of shape, colour and size that no scene of `train` or `valid` holds.
"""

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from ....errors import ConfigError, nearest
from ...tokenizer import write_vocab
from ..base import Sample, Source
from . import words as wording
from .words import BACKGROUNDS, COLOURS, LANGUAGES, MATERIALS, SHAPES, SIZES

SPLITS = ("train", "valid", "test")
RGB = {
    "red": (208, 38, 40),
    "orange": (240, 136, 26),
    "yellow": (236, 214, 48),
    "green": (40, 150, 62),
    "blue": (42, 84, 206),
    "purple": (138, 56, 170),
    "white": (240, 240, 238),
    "black": (30, 30, 34),
}
GROUND = {
    "grass": (112, 142, 88),
    "sand": (196, 176, 138),
    "water": (112, 146, 168),
    "wood": (150, 116, 86),
    "snow": (204, 212, 220),
}
SUBPIXEL = 4


def held_out(shape, colour, size):
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
    def count(self):
        return len(self.cells)


@dataclass(frozen=True)
class Scene:
    """What is drawn and described."""

    groups: tuple
    background: str


def pick(rng, names):
    names = list(names)
    return names[int(rng.integers(len(names)))]


def sample_scene(rng, split):
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


@functools.cache
def outline(shape):
    """Polygons of a shape in the unit square around 0; a second polygon is a hole."""
    turn = np.linspace(0, 2 * np.pi, 25)[:-1]
    circle = np.stack([np.cos(turn), np.sin(turn)], 1)
    if shape == "circle":
        return [circle]
    if shape == "square":
        return [np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 0.88]
    if shape == "triangle":
        return [np.array([[0, -1.05], [1.05, 0.85], [-1.05, 0.85]])]
    if shape == "star":
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        return [np.stack([np.cos(angles), np.sin(angles)], 1) * np.where(np.arange(10) % 2, 0.45, 1.15)[:, None]]
    if shape == "cross":
        arm, end = 0.34, 1.05
        return [
            np.array(
                [
                    [-arm, -end],
                    [arm, -end],
                    [arm, -arm],
                    [end, -arm],
                    [end, arm],
                    [arm, arm],
                    [arm, end],
                    [-arm, end],
                    [-arm, arm],
                    [-end, arm],
                    [-end, -arm],
                    [-arm, -arm],
                ]
            )
        ]
    if shape == "heart":
        x = 16 * np.sin(turn) ** 3
        y = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
        return [np.stack([x, -y], 1) / 16]
    if shape == "ring":
        return [circle * 1.05, circle * 0.55]
    outer = circle[np.cos(turn) < 0.35]
    inner = np.stack([0.55 + 0.85 * np.cos(turn), 0.85 * np.sin(turn)], 1)[np.cos(turn) < -0.15]
    order = np.argsort(np.arctan2(outer[:, 1], -outer[:, 0]))
    back = np.argsort(-np.arctan2(inner[:, 1], 0.55 - inner[:, 0]))
    return [np.concatenate([outer[order], inner[back]]) * 1.1 + [0.25, 0]]


def draw_mask(shape, centre, radius, angle, height, width):
    """Coverage [H, W] float32 in [0, 1] of one object, anti-aliased; `centre` is (x, y) in pixels."""
    mask = np.zeros((height, width), np.uint8)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    for index, polygon in enumerate(outline(shape)):
        points = (polygon @ turn) * radius + centre
        cv2.fillPoly(
            mask, [np.round(points * 2**SUBPIXEL).astype(np.int32)], 255 if index == 0 else 0, cv2.LINE_AA, SUBPIXEL
        )
    return mask.astype(np.float32) / 255


def smooth_noise(rng, cells, size):
    """[S, S] float32, low-frequency noise of about unit spread."""
    return cv2.resize(
        rng.standard_normal((cells, cells), dtype=np.float32), (size, size), interpolation=cv2.INTER_CUBIC
    )


def draw_background(background, rng, size):
    """[S, S, 3] float32: the ground's colour with its texture."""
    fine = rng.standard_normal((size, size), dtype=np.float32)
    if background == "water":
        texture = cv2.blur(fine, (9, 1)) * 22
    elif background == "wood":
        texture = cv2.blur(fine, (1, 15)) * 30
    elif background == "grass":
        texture = cv2.blur(fine, (1, 3)) * 20
    else:
        texture = fine * (9 if background == "sand" else 3)
    texture += smooth_noise(rng, 4, size) * 8
    tint = rng.normal(0, 20, 3).astype(np.float32)
    return np.float32(GROUND[background]) + tint + texture[:, :, None]


def surface(group, rng, centre, radius, height, width):
    """The object's colour, broadcast to [H, W, 3] float32, shaded by its material."""
    colour = np.clip(np.float32(RGB[group.colour]) + rng.normal(0, 9, 3).astype(np.float32), 0, 255)
    if group.material == "plain":
        return colour
    angle = rng.uniform(0, np.pi)
    rows, columns = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    along = (((columns - centre[0]) * np.cos(angle) + (rows - centre[1]) * np.sin(angle)) / radius)[:, :, None].astype(
        np.float32
    )
    if group.material == "striped":
        return np.where(np.floor(along * 2.6) % 2 == 0, colour, colour * 0.45 + 60)
    return colour * (0.75 + 0.2 * along) + 150 * np.exp(-((along + 0.2) ** 2) * 14)


def draw_object(canvas, group, row, column, rng):
    """Draw one object with its shadow into its cell of `canvas` [S, S, 3], in place."""
    size = len(canvas)
    radius = size * (rng.uniform(0.19, 0.215) if group.size == "big" else rng.uniform(0.125, 0.145))
    centre = (np.array([column, row]) + 0.5 + rng.uniform(-0.16, 0.16, 2)) * size / 3
    centre = np.clip(centre, 0.75 * radius, size - 0.75 * radius)
    shift = max(1, size // 48)
    left, top = np.maximum(np.floor(centre - 1.5 * radius).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(centre + 1.5 * radius).astype(int) + shift + 1, size)
    patch = canvas[top:bottom, left:right]
    centre = centre - (left, top)
    mask = draw_mask(group.shape, centre, radius, rng.uniform(-0.3, 0.3), *patch.shape[:2])
    shadow = np.zeros_like(mask)
    shadow[shift:, shift:] = mask[:-shift, :-shift]
    patch *= 1 - 0.3 * shadow[:, :, None]
    patch += mask[:, :, None] * (surface(group, rng, centre, radius, *patch.shape[:2]) - patch)


def render(scene, rng, size):
    """The scene as uint8 RGB [S, S, 3]."""
    canvas = draw_background(scene.background, rng, size)
    objects = [(group, cell) for group in scene.groups for cell in group.cells]
    for index in rng.permutation(len(objects)):
        group, (row, column) = objects[index]
        draw_object(canvas, group, row, column, rng)
    if rng.random() < 0.3:
        ends = np.round(rng.uniform(0, size, (2, 2))).astype(int)
        grey = float(rng.uniform(60, 190))
        cv2.line(
            canvas,
            tuple(map(int, ends[0])),
            tuple(map(int, ends[1])),
            (grey, grey, grey),
            max(1, size // 32),
            cv2.LINE_AA,
        )
    light = 1 + 0.08 * smooth_noise(rng, 2, size) + np.float32(rng.uniform(-0.15, 0.15))
    cast = 1 + rng.normal(0, 0.07, 3)
    canvas *= light[:, :, None] * cast.astype(np.float32)
    if rng.random() < 0.5:
        canvas = cv2.GaussianBlur(canvas, (3, 3), float(rng.uniform(0.3, 0.8)))
    canvas += rng.standard_normal(canvas.shape, dtype=np.float32) * np.float32(rng.uniform(2, 7))
    return np.clip(canvas, 0, 255).astype(np.uint8)


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
        languages=("zh", "en"),
        captions: int = 2,
        cache: bool = False,
        noise: float = 0.0,
        wrong: float = 0.0,
    ):
        if split not in SPLITS:
            raise ConfigError(f"scenes: unknown split {split!r}; did you mean {nearest(split, SPLITS) or SPLITS[0]!r}?")
        languages = [languages] if isinstance(languages, str) else languages
        if not isinstance(languages, (list, tuple)) or not languages:
            raise ConfigError(f"scenes: languages {languages!r} must be a list of {', '.join(LANGUAGES)}")
        if any(language not in LANGUAGES for language in languages):
            raise ConfigError(f"scenes: languages {languages!r} must be a list of {', '.join(LANGUAGES)}")
        if min(size, image_size, captions) < 1 or seed < 0:
            raise ConfigError("scenes: size, image_size and captions must be at least 1, and seed at least 0")
        check_shares(split, noise, wrong)
        languages = tuple(dict.fromkeys(languages))
        self.noise, self.wrong = noise, wrong
        self.split, self.size, self.seed = split, int(size), int(seed)
        self.image_size, self.languages, self.captions = int(image_size), languages, int(captions)
        self.name = f"scenes:{split}"
        self.cached = {} if cache else None

    def __len__(self):
        return self.size

    def _rng(self, index, purpose):
        return np.random.default_rng([self.seed, SPLITS.index(self.split), index, purpose])

    def scene(self, index):
        """The Scene behind sample `index`."""
        return sample_scene(self._rng(index, 0), self.split)

    def key(self, index):
        return f"{self.split}-{self.seed}-{self.position(index)}"

    def load(self, index):
        if self.cached is None:
            return self.draw(index)
        if index not in self.cached:
            self.cached[index] = self.draw(index)
        return self.cached[index]

    def draw(self, index):
        """The Sample at `index`, drawn anew."""
        scene = self.scene(index)
        words = self._rng(index, 1)
        texts = tuple(
            wording.caption(scene, language, words) for language in self.languages for _ in range(self.captions)
        )
        tags = wording.tags(scene, self.languages[0], words)
        if self.noise or self.wrong:
            texts = self.spoil(index, texts)
        image = render(scene, self._rng(index, 2), self.image_size)
        return Sample(id=self.key(index), image=image, texts=texts, tags=tags, where=self.where(index))

    def spoil(self, index, texts):
        """The captions of a scene with the shares `noise` and `wrong` of them exchanged, each by its own chance."""
        rng, spoilt = self._rng(index, 3), []
        for place, text in enumerate(texts):
            language, chance = self.languages[place // self.captions], float(rng.random())
            if chance < self.wrong / 2:
                text = wording.chatter(language, rng)
            elif chance < self.wrong:
                text = wording.caption(self.scene(int(rng.integers(2**31))), language, rng)
            elif chance < self.wrong + self.noise:
                text = wording.incomplete_caption(self.scene(index), language, rng)
            spoilt.append(text)
        return tuple(spoilt)

    def describe(self):
        captions = len(self.languages) * self.captions
        noisy = f", {self.noise:.0%} incomplete and {self.wrong:.0%} wrong" if self.noise or self.wrong else ""
        return f"{self.name}: {self.size:,} drawn scenes of {self.image_size} px, {captions} captions each{noisy}"


def check_shares(split, noise, wrong):
    """ConfigError unless `noise` and `wrong` are shares that fit together, of a split that is trained on."""
    for name, share in (("noise", noise), ("wrong", wrong)):
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ConfigError(f"scenes: {name} is {share!r}, but it must be a share of the captions in [0, 1]")
    if noise + wrong > 1:
        raise ConfigError(f"scenes: noise {noise} and wrong {wrong} are over 1 together; lower one of them")
    if (noise or wrong) and split != "train":
        raise ConfigError(f"scenes: the split {split!r} measures, so its captions stay clean; drop noise and wrong")


def build_vocab(path, seed=0, scenes=4000):
    """Write the vocabulary of the scenes' words: every character and whole English word that captions and tags use."""
    source = SceneSource("train", scenes, seed)
    characters, words = set(), set()
    for index in range(scenes):
        scene, rng = source.scene(index), source._rng(index, 1)
        for language in LANGUAGES:
            texts = [wording.caption(scene, language, rng), *wording.tags(scene, language, rng)]
            for text in texts:
                if language == "zh":
                    characters.update(text)
                else:
                    words.update(text.replace(",", " , ").replace(":", " : ").split())
    extra = "该图片包含、，。.,:the picture contains"
    characters.update(character for character in extra if not character.isspace())
    words.update(("the", "picture", "contains"))
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)] + list("0123456789")
    tokens = (
        ["[PAD]", "[CLS]", "[SEP]", "[MASK]"]
        + sorted(characters | words | set(letters))
        + ["##" + letter for letter in letters]
    )
    write_vocab(tokens + ["[UNK]"], path)
