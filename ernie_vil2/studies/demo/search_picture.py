"""The picture of README: captions of unseen scenes as queries, and the five best images of each, right ones framed."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...data.sources.base import Source
from ...evaluation.embeddings import Embeddings
from ...files.atomic import LOG, atomic_file, reported
from ...training.log.pictures import CHINESE_FONTS

PICTURE = "search.png"
QUERIES, BEST = 2, 5
TILE, FRAME, MARGIN, TEXT, BAR, CORNER = 156, 5, 24, 24, 52, 14
COLOURS = 256
PAPER, INK, GREY, LINE, RIGHT = (255, 255, 255), (28, 30, 33), (110, 115, 120), (214, 218, 222), (22, 140, 60)


def write_search_picture(path: str | Path, embeddings: Embeddings, source: Source) -> bool:
    """Draw the first captions of the first scenes whose own image is among the five best; False, and a note, where no
    font with Chinese letters is installed.

    embeddings: of the source, whose images are arrays uint8 RGB [H, W, 3]. Raises CheckpointError where it cannot be
    written.
    """
    if font(TEXT) is None:
        LOG.warning("note: no font with Chinese letters is installed, so %s is not drawn", path)
        return False
    rows = list(found_queries(embeddings))[:QUERIES]
    line = BAR + 12 + TILE + 44
    canvas = Image.new("RGB", (2 * MARGIN + BEST * (TILE + 12) - 12, 2 * MARGIN + len(rows) * line - 20), PAPER)
    for place, (row, best) in enumerate(rows):
        owner = int(embeddings.text_image[row])
        draw_query(canvas, MARGIN + place * line, source[owner].texts[0])
        draw_images(canvas, MARGIN + place * line + BAR + 12, source, best, owner)
    path = Path(path)
    with reported(path), atomic_file(path) as handle:
        canvas.quantize(COLOURS, dither=Image.Dither.NONE).save(handle, "png", optimize=True)
    return True


def found_queries(embeddings: Embeddings) -> Iterator[tuple[int, list[tuple[int, float]]]]:
    """(row of the first text of an image, [(image, score)] best first) where that image is among the best."""
    owners = np.asarray(embeddings.text_image)
    for owner in range(len(embeddings.image)):
        row = int(np.argmax(owners == owner))
        scores = embeddings.image @ embeddings.text[row]
        best = np.argsort(-scores, kind="stable")[:BEST]
        if owner in best:
            yield row, [(int(image), float(scores[image])) for image in best]


@lru_cache
def font(size: int) -> Any:
    """A font with Chinese letters, or None."""
    for name in CHINESE_FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return None


def draw_query(canvas: Image.Image, top: int, text: str) -> None:
    """A search field over the whole width, with the query in it."""
    draw, right = ImageDraw.Draw(canvas), canvas.width - MARGIN
    draw.rounded_rectangle((MARGIN, top, right, top + BAR), BAR // 2, PAPER, LINE, 2)
    draw.ellipse((MARGIN + 20, top + 16, MARGIN + 35, top + 31), outline=GREY, width=3)
    draw.line((MARGIN + 34, top + 30, MARGIN + 41, top + 37), fill=GREY, width=3)
    left = MARGIN + 54
    size = next(size for size in range(TEXT, 0, -1) if font(size).getlength(text) < right - left - 20 or size == 1)
    draw.text((left, top + BAR // 2), text, INK, font(size), anchor="lm")


def draw_images(canvas: Image.Image, top: int, source: Source, best: Sequence[tuple[int, float]], owner: int) -> None:
    """The best images with their scores; that of `owner` is framed and ticked."""
    draw = ImageDraw.Draw(canvas)
    for place, (image, score) in enumerate(best):
        left, right = MARGIN + place * (TILE + 12), image == owner
        pixels = cv2.resize(source[image].image, (TILE, TILE), interpolation=cv2.INTER_CUBIC)
        mask = Image.new("L", (TILE, TILE), 0)
        ImageDraw.Draw(mask).rounded_rectangle((0, 0, TILE - 1, TILE - 1), CORNER, 255)
        canvas.paste(Image.fromarray(pixels), (left, top), mask)
        if right:
            draw.rounded_rectangle((left, top, left + TILE - 1, top + TILE - 1), CORNER, None, RIGHT, FRAME)
        told, colour = (f"✓ {score:.3f}", RIGHT) if right else (f"{score:.3f}", GREY)
        draw.text((left + TILE // 2, top + TILE + 17), told, colour, font(17), anchor="mm")
