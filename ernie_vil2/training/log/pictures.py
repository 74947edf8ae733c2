"""What an evaluation shows: text queries with their best images, and labelled points for the embedding projector."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from ...config.model import PixelProfile
from ...data.images.decode import decode
from ...data.sources.base import Source
from ...errors import DataError
from ...evaluation.embeddings import Embeddings
from ...inference.model import Model

Places = tuple[list[int], list[tuple[int, int]]]
"""(index in the source of each image row, (index, number of the text) of each text row)"""
TILE, GAP, FRAME, LABEL, FONT_SIZE, LINES = 104, 3, 4, 300, 16, 4
RIGHT, WRONG, PAPER, INK, GREY = (30, 150, 60), (225, 225, 225), (255, 255, 255), (20, 20, 20), (120, 120, 120)
CHINESE_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansSC-Regular.otf",
    "SourceHanSansSC-Regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "PingFang.ttc",
    "msyh.ttc",
)
NO_CHARACTER = "\U0010ffff"


def query_grid(
    model: Model, source: Source, embeddings: Embeddings, queries: int = 8, best: int = 5, places: Places | None = None
) -> np.ndarray | None:
    """uint8 RGB [H, W, 3]: one row per query, its text and the rank of its image at the left, then the best images,
    with a green frame around the right one.

    model: the `inference.model.Model` and source: the source that `embeddings`, an `evaluation.embeddings.Embeddings`,
    come from. Queries are evenly spaced over all texts, so they are the same ones at every evaluation. A text whose
    characters no installed font has is replaced by the place of its row. places: what `places_of` gives, where it is
    known. Returns None when the rows of the embeddings cannot be told, as for a source that changed meanwhile.
    """
    profile = model.config.pixels
    places = places or places_of(source, embeddings, profile)
    if places is None:
        return None
    images, texts = places
    rows = np.unique(np.linspace(0, len(texts) - 1, min(queries, len(texts))).astype(int))
    canvas = Image.new("RGB", (LABEL + best * TILE, len(rows) * TILE), PAPER)
    for line, row in enumerate(rows):
        scores = embeddings.image @ embeddings.text[row]
        own = int(embeddings.text_image[row])
        index, number = texts[row]
        sample = source[index]
        draw_label(canvas, line, sample.texts[number], sample.where, int((scores > scores[own]).sum()) + 1)
        for column, found in enumerate(np.argsort(-scores, kind="stable")[:best]):
            rgb = decode(source[images[found]].image, profile)
            draw_tile(canvas, LABEL + column * TILE, line * TILE, rgb, RIGHT if found == own else WRONG)
    return np.asarray(canvas)


def projection(
    model: Model, source: Source, embeddings: Embeddings, points: int = 500, places: Places | None = None
) -> tuple[np.ndarray, dict[str, list[str]]] | None:
    """(embeds [N, D], {"kind": [N], "text": [N]}) for `RunLog.projector`: evenly spaced texts and the images they are
    of, at most `points` together; images are labelled with their id. None as in `query_grid`."""
    places = places or places_of(source, embeddings, model.config.pixels)
    if places is None:
        return None
    images, texts = places
    rows = np.unique(np.linspace(0, len(texts) - 1, min(points // 2, len(texts))).astype(int))
    owners = np.unique(np.asarray(embeddings.text_image)[rows])
    labels = [source[texts[row][0]].texts[texts[row][1]] for row in rows]
    labels += [source.key(images[row]) for row in owners]
    kinds = ["text"] * len(rows) + ["image"] * len(owners)
    return np.concatenate([embeddings.text[rows], embeddings.image[owners]]), {"kind": kinds, "text": labels}


def places_of(source: Source, embeddings: Embeddings, profile: PixelProfile) -> Places | None:
    """(index in the source of each image row, (index, number of the text) of each text row), or None.

    Follows `encode_source`. Images are decoded, to find those that it left out, only if the counts do not agree.
    """
    wanted = len(embeddings.image), len(embeddings.text)
    for decoding in (None, profile):
        images, texts = walk(source, decoding)
        if (len(images), len(texts)) == wanted:
            return images, texts
    return None


def walk(source: Source, decoding: PixelProfile | None, window: int = 256) -> Places:
    """The places of images and texts in the order of `encode_source`; decoding: a pixel profile to try images with."""
    rows, texts = {}, []
    for start in range(0, len(source), window):
        samples, broken = [], set()
        for index in range(start, min(start + window, len(source))):
            try:
                samples.append((index, source[index]))
            except DataError:
                continue
        for index, sample in samples:
            if sample.id in rows or sample.id in broken:
                continue
            if decoding is None or decodes(sample.image, decoding):
                rows[sample.id] = index
            else:
                broken.add(sample.id)
        texts += [
            (index, number) for index, sample in samples if sample.id in rows for number in range(len(sample.texts))
        ]
    return list(rows.values()), texts


def decodes(image: Any, profile: PixelProfile) -> bool:
    try:
        decode(image, profile)
    except DataError:
        return False
    return True


def draw_tile(canvas: Image.Image, left: int, top: int, rgb: np.ndarray, colour: tuple[int, int, int]) -> None:
    """An image, fitted into its tile, in a frame."""
    ImageDraw.Draw(canvas).rectangle((left + GAP, top + GAP, left + TILE - 1, top + TILE - 1), fill=colour)
    image = ImageOps.contain(Image.fromarray(rgb), (TILE - GAP - 2 * FRAME, TILE - GAP - 2 * FRAME))
    canvas.paste(image, (left + (TILE + GAP - image.width) // 2, top + (TILE + GAP - image.height) // 2))


def draw_label(canvas: Image.Image, line: int, text: str, where: str, rank: int) -> None:
    """The query's text, or its place, and the rank of its image."""
    draw, top = ImageDraw.Draw(canvas), line * TILE + FRAME
    for part in wrapped(readable(text, where), LABEL - 2 * FRAME):
        draw.text((FRAME, top), part, fill=INK, font=font())
        top += FONT_SIZE + 3
    draw.text((FRAME, (line + 1) * TILE - FONT_SIZE - 2 * FRAME), f"rank {rank}", fill=GREY, font=font())


@lru_cache(maxsize=1)
def font() -> Any:
    """A font that has Chinese characters where one is installed, else Pillow's own."""
    for name in CHINESE_FONTS:
        try:
            return ImageFont.truetype(name, FONT_SIZE)
        except OSError:
            continue
    return ImageFont.load_default(FONT_SIZE)


@lru_cache(maxsize=4096)
def drawable(character: str) -> bool:
    """Whether the font has the character."""
    if character.isspace():
        return True
    mask, nothing = font().getmask(character), font().getmask(NO_CHARACTER)
    return mask.size != nothing.size or bytes(mask) != bytes(nothing)


def readable(text: str, where: str) -> str:
    """The text without what cannot be drawn, or the place of its row when that is most of it."""
    letters = [character for character in text if not character.isspace()]
    kept = "".join(character for character in " ".join(text.split()) if drawable(character))
    if 2 * sum(map(drawable, letters)) > len(letters):
        return kept
    return "".join(character if drawable(character) else "?" for character in Path(where).name)


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` pixels, broken at blanks where there are some; the last of too many ends in dots."""
    lines, line = [], ""
    for character in text:
        if font().getlength(line + character) > width:
            head, blank, tail = line.rpartition(" ")
            lines.append(head if blank else line)
            line = tail if blank else ""
        line += character
    lines.append(line)
    return lines if len(lines) <= LINES else [*lines[: LINES - 1], lines[LINES - 1][:-3] + "..."]
