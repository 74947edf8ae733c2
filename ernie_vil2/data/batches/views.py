"""From samples to the views of a batch: pixels, captions and tags, drawn by key so that they can be drawn again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...config.augmentation import AugmentationConfig
from ...config.model import PixelProfile
from ...errors import ConfigError, ImageError
from ...keys import generator, stable_hash
from ..boxes import network_boxes
from ..images.augment import draw_short, vary
from ..images.decode import applied_orientation, decode_for
from ..images.limits import DEFAULT_LIMITS, Limits
from ..images.placement import Placement
from ..images.resize import centre, crop, resize_short
from ..sources.base import RowError, Sample
from ..sources.pictures import content_digest, probe
from ..sources.usable import row_error
from ..tag_prompts import tag_prompt
from ..tokenizer import Tokenizer
from .image_embeddings import ImageEmbeddings


@dataclass
class Batch:
    """The views of B samples.

    pixels: {image view: [B, S, S, 3] RGB}, uint8, or float32 in [0, 1] where `crop` gives that; tokens: {text view:
    int64 [B, L], padded with 0}; image_ids: int64 [B] hashes of the image ids with their pictures, so that two pictures
    under one id are two images; text_ids: {text view: int64 [B] hashes of the texts}; present: {view: bool [B]}, where
    a sample may lack a view (no tags); index: int64 [B] positions in the source; where: B places for messages. For a
    model that takes boxes, boxes: {image view: float32 [B, most + 1, 4] as network_boxes gives them} and box_counts:
    {image view: int64 [B]}; else both are empty. embeds: {image view: float32 [B, D]} of images whose embeddings are
    kept, before they are normalised; those views have no pixels.
    """

    pixels: dict
    tokens: dict
    image_ids: np.ndarray
    text_ids: dict
    present: dict
    index: np.ndarray
    where: list
    boxes: dict = field(default_factory=dict)
    box_counts: dict = field(default_factory=dict)
    embeds: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.image_ids)

    def rows(self, part: slice, trim: bool = True) -> "Batch":
        """The Batch of a slice of the samples: views on the same arrays, texts cut to the longest of them.

        The width of a text array then depends on its own rows alone, whoever else is in the batch; without `trim` it
        stays.
        """
        return Batch(
            pixels={view: array[part] for view, array in self.pixels.items()},
            tokens={view: trimmed(array[part]) if trim else array[part] for view, array in self.tokens.items()},
            image_ids=self.image_ids[part],
            text_ids={view: array[part] for view, array in self.text_ids.items()},
            present={view: array[part] for view, array in self.present.items()},
            index=self.index[part],
            where=self.where[part],
            boxes={view: array[part] for view, array in self.boxes.items()},
            box_counts={view: array[part] for view, array in self.box_counts.items()},
            embeds={view: array[part] for view, array in self.embeds.items()},
        )


def trimmed(tokens: np.ndarray) -> np.ndarray:
    """[n, L] token ids without the columns at the end that are padding in every row."""
    used = np.flatnonzero(tokens.any(0))
    return tokens[:, : used[-1] + 1 if len(used) else 1]


@dataclass
class Views:
    """The views of one sample, before tokenisation: {image view: [S, S, 3]} and {text view: str}; boxes: {image view:
    what network_boxes gives}, or {}; embeds: {image view: float32 [D]} instead of pixels, or {}."""

    pixels: dict
    texts: dict
    image_id: str
    picture: str
    index: int
    where: str
    boxes: dict
    embeds: dict


def join(batches: Sequence[Batch]) -> Batch:
    """One Batch of several whose samples follow each other; tokens are padded to the longest."""
    first = batches[0]

    def joined(field):
        return {
            view: np.concatenate([getattr(batch, field)[view] for batch in batches]) for view in getattr(first, field)
        }

    length = {view: max(batch.tokens[view].shape[1] for batch in batches) for view in first.tokens}
    return Batch(
        pixels=joined("pixels"),
        tokens={
            view: np.concatenate(
                [np.pad(batch.tokens[view], ((0, 0), (0, longest - batch.tokens[view].shape[1]))) for batch in batches]
            )
            for view, longest in length.items()
        },
        image_ids=np.concatenate([batch.image_ids for batch in batches]),
        text_ids=joined("text_ids"),
        present=joined("present"),
        index=np.concatenate([batch.index for batch in batches]),
        where=[place for batch in batches for place in batch.where],
        boxes=joined("boxes"),
        box_counts=joined("box_counts"),
        embeds=joined("embeds"),
    )


def check_views(views: Collection[str], augmentation: AugmentationConfig | None) -> None:
    """ConfigError where two views would be one and the same picture."""
    if {"image", "image'"} <= set(views) and augmentation is None:
        raise ConfigError(
            "objective.pairs uses both image and image', which are the same pixels without augmentation; "
            "set data.augmentation: {}"
        )


class ViewMaker:
    """Makes the views that an objective needs; what it draws depends on (seed, epoch, index, view) alone.

    views: names out of image, image', caption, caption', tags, tags'; profile: the model's pixel profile; augmentation:
    AugmentationConfig or None for the evaluation pixels; reduced: with augmentation, decode JPEGs only as finely as the
    views need (decode_for). limits: what pictures are refused. The views of an image share one decode. boxes: the most
    of an image that the model takes beside the whole, 0 where it takes none; they move with the pixels of each view.
    second_caption: whether caption' is "another" caption of the image where there is one, and else the same, told apart
    by dropout only; or always the "same", as tags' are.
    """

    def __init__(
        self,
        views: Collection[str],
        tokenizer: Tokenizer | None,
        profile: PixelProfile,
        augmentation: AugmentationConfig | None = None,
        tag_language: str = "zh",
        seed: int = 0,
        reduced: bool = True,
        limits: Limits = DEFAULT_LIMITS,
        boxes: int = 0,
        second_caption: str = "another",
    ):
        check_views(views, augmentation)
        self.views, self.tokenizer, self.profile = tuple(views), tokenizer, profile
        self.augmentation, self.tag_language, self.seed = augmentation, tag_language, seed
        self.limits, self.reduced, self.boxes = limits, reduced and augmentation is not None, boxes
        self.second = int(second_caption == "another")
        self.image_views = [view for view in self.views if view.startswith("image")]
        self.kept: ImageEmbeddings | None = None

    def make(self, sample: Sample, epoch: int, index: int) -> Views:
        """Views of one sample; RowError when its image cannot be used, or is not among the kept ones."""
        texts = {}
        order = generator(self.seed, epoch, index, "caption").permutation(len(sample.texts))
        for view in self.views:
            if view.startswith("caption"):
                texts[view] = sample.texts[order[self.second * (view == "caption'") % len(order)]]
            elif view.startswith("tags"):
                texts[view] = tag_prompt(sample.tags, self.tag_language)
        try:
            embeds = self._embeds(sample)
            plain = self.image_views and not embeds
            crops, places = self._crops(sample.image, epoch, index) if plain else ({}, {})
            picture = probe(sample) if self.image_views else ""
        except ImageError as error:
            raise row_error(sample.where, error) from None
        boxes = {}
        if self.boxes:
            turn = applied_orientation(sample.image, self.profile) if sample.boxes else 1
            boxes = {view: network_boxes(sample.boxes, self.boxes, placed, turn) for view, placed in places.items()}
        return Views(crops, texts, sample.id, picture, index, sample.where, boxes, embeds)

    def _embeds(self, sample):
        """{image view: the kept embedding}, {} where none are kept."""
        if self.kept is None:
            return {}
        found = self.kept.find(content_digest(sample))
        if found is None:
            self._crops(sample.image, 0, 0)  # says what is wrong with a picture that was left out as bad
            raise RowError(
                sample.where,
                "changed picture",
                "the picture has changed since the run looked at it",
                "go on with --resume auto, which encodes it again",
            )
        return dict.fromkeys(self.image_views, found)

    def _crops(self, image, epoch, index):
        """({image view: pixels [S, S, 3]}, {image view: their Placement}); decoded once, and resized once per scale
        that the views draw."""
        size, recipe = self.profile.size, self.augmentation
        if recipe is None:
            rgb, sides = decode_for(image, None, self.profile, self.limits)
            pixels, placed = crop(rgb, self.profile, sides=sides), centre(sides, self.profile)
            return dict.fromkeys(self.image_views, pixels), dict.fromkeys(self.image_views, placed)
        keys = {view: generator(self.seed, epoch, index, view) for view in self.image_views}
        shorts = {view: draw_short(self.profile.resized, key, recipe.crop_scale) for view, key in keys.items()}
        rgb, sides = decode_for(image, max(shorts.values()) if self.reduced else None, self.profile, self.limits)
        resized = {short: resize_short(rgb, short, self.profile, sides=sides) for short in set(shorts.values())}
        pixels, places = {}, {}
        for view, key in keys.items():
            source = resized[shorts[view]]
            pixels[view], cut = vary(source, size, key, recipe)
            places[view] = Placement(sides, source.shape[:2], size, cut)
        return pixels, places

    def pixel_shapes(self, count: int) -> dict[str, tuple[int, ...]]:
        """{image view: shape} of the pixels of `count` samples, {} where embeddings are kept."""
        if self.kept is not None:
            return {}
        return dict.fromkeys(self.image_views, (count, self.profile.size, self.profile.size, 3))

    @property
    def pixel_type(self) -> np.dtype:
        """The type of all pixels; training varies uint8 under every profile."""
        floats = self.augmentation is None and self.profile.interpolation == "tensor"
        return np.dtype(np.float32 if floats else np.uint8)

    def collate(self, samples: Sequence[Views]) -> Batch:
        """A Batch of a list of Views."""
        texts = {view: [sample.texts[view] for sample in samples] for view in samples[0].texts}
        return Batch(
            pixels={view: np.stack([sample.pixels[view] for sample in samples]) for view in samples[0].pixels},
            tokens={view: self.tokenizer.encode(items) for view, items in texts.items()},
            image_ids=np.array([stable_hash(sample.image_id, sample.picture) for sample in samples], np.int64),
            text_ids={view: np.array([stable_hash(item) for item in items], np.int64) for view, items in texts.items()},
            present={view: np.array([bool(item) for item in items]) for view, items in texts.items()},
            index=np.array([sample.index for sample in samples], np.int64),
            where=[sample.where for sample in samples],
            boxes={view: np.stack([sample.boxes[view][0] for sample in samples]) for view in samples[0].boxes},
            box_counts={
                view: np.array([sample.boxes[view][1] for sample in samples], np.int64) for view in samples[0].boxes
            },
            embeds={view: np.stack([sample.embeds[view] for sample in samples]) for view in samples[0].embeds},
        )
