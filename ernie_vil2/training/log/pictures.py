"""What an evaluation shows: text queries with their best images, and labelled points for the embedding projector."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from ...data.images.decode import decode
from ...data.sources.base import Source
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
    with a green frame around the right ones.

    model: the `inference.model.Model` and source: the source that `embeddings`, an `evaluation.embeddings.Embeddings`,
    come from. Queries are evenly spaced over all texts, so they are the same ones at every evaluation. A text whose
    characters no installed font has is replaced by the place of its row. places: what `places_of` gives, where it is
    known. Returns None when the rows of the embeddings cannot be told.
    """
    profile = model.config.pixels
    places = places or places_of(embeddings)
    if places is None:
        return None
    images, texts = places
    rows = shown_rows(len(texts), queries)
    canvas = Image.new("RGB", (LABEL + best * TILE, len(rows) * TILE), PAPER)
    for line, row in enumerate(rows):
        scores = embeddings.image @ embeddings.text[row]
        right = right_images(embeddings, row)
        index, number = texts[row]
        sample = source[index]
        draw_label(canvas, line, sample.texts[number], sample.where, int((scores > scores[right].max()).sum()) + 1)
        for column, found in enumerate(np.argsort(-scores, kind="stable")[:best]):
            rgb = decode(source[images[found]].image, profile)
            draw_tile(canvas, LABEL + column * TILE, line * TILE, rgb, RIGHT if found in right else WRONG)
    return np.asarray(canvas)


def query_texts(source: Source, embeddings: Embeddings, queries: int = 8, places: Places | None = None) -> str | None:
    """The texts of the rows of `query_grid` as lines `place: text`; None where the installed font draws all of them, or
    as in `query_grid`."""
    places = places or places_of(embeddings)
    if places is None:
        return None
    lines, drawn = [], True
    for row in shown_rows(len(places[1]), queries):
        index, number = places[1][row]
        sample = source[index]
        drawn = drawn and all(map(drawable, sample.texts[number]))
        lines.append(f"{Path(sample.where).name}: {' '.join(sample.texts[number].split())}")
    return None if drawn else "\n".join(lines)


def shown_rows(texts: int, queries: int) -> np.ndarray:
    """Evenly spaced rows of texts."""
    return np.unique(np.linspace(0, texts - 1, min(queries, texts)).astype(int))


def projection(
    model: Model, source: Source, embeddings: Embeddings, points: int = 500, places: Places | None = None
) -> tuple[np.ndarray, dict[str, list[str]]] | None:
    """(embeds [N, D], {"kind": [N], "text": [N]}) for `RunLog.projector`: evenly spaced texts and the images they are
    of, at most `points` together; images are labelled with their id. None as in `query_grid`."""
    places = places or places_of(embeddings)
    if places is None:
        return None
    images, texts = places
    rows = np.unique(np.linspace(0, len(texts) - 1, min(points // 2, len(texts))).astype(int))
    owners = np.unique(np.asarray(embeddings.text_image)[rows])
    labels = [source[texts[row][0]].texts[texts[row][1]] for row in rows]
    labels += [source.key(images[row]) for row in owners]
    kinds = ["text"] * len(rows) + ["image"] * len(owners)
    return np.concatenate([embeddings.text[rows], embeddings.image[owners]]), {"kind": kinds, "text": labels}


def right_images(embeddings: Embeddings, row: int) -> np.ndarray:
    """The rows of the images that a text is right for: its own, and those of equal texts where they are known."""
    keys = embeddings.text_keys
    return np.unique(embeddings.text_image[[row] if keys is None else keys == keys[row]])


def places_of(embeddings: Embeddings) -> Places | None:
    """(index in the source of each image row, (index, number of the text) of each text row), or None."""
    images, texts = embeddings.image_rows, embeddings.text_rows
    if images is None or texts is None or (len(images), len(texts)) != (len(embeddings.image), len(embeddings.text)):
        return None
    return images.tolist(), [(row, number) for row, number in texts.tolist()]


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
