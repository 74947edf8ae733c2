"""The picture of queries: the right images in the right places, and texts that no font can draw."""

from types import SimpleNamespace

import numpy as np
import pytest

from ernie_vil2.config.model import PixelProfile
from ernie_vil2.data.images.decode import decode
from ernie_vil2.data.sources.base import Sample, Source
from ernie_vil2.errors import DataError
from ernie_vil2.evaluation.encoding import encode_source
from ernie_vil2.training.log import pictures
from ernie_vil2.training.log.pictures import FRAME, GAP, LABEL, RIGHT, TILE, projection, query_grid

MODEL = SimpleNamespace(config=SimpleNamespace(pixels=PixelProfile(size=32)))
COUNT = 6


class Plain(Source):
    """Images of one grey each, two texts an image; row 2 is a second row of image 1, some rows are broken."""

    name = "plain"

    def __init__(self, broken=(), damaged=()):
        self.broken, self.damaged = broken, damaged

    def __len__(self):
        return COUNT + 1

    def load(self, index):
        if index in self.broken:
            raise DataError(f"row {index} is broken; repair it")
        image = index - (index >= 2)
        pixels = b"no image" if index in self.damaged else np.full((20, 30, 3), 20 + 30 * image, np.uint8)
        return Sample(f"i{image}", pixels, (f"a cat {image}", f"cats {image}"), (), f"rows.tsv:{index + 1}")


class Knowing:
    """Stands for a model that finds every image at once: grey levels and the last word of a text tell the image."""

    def encode_image(self, images, on_error):
        rows, failures = np.zeros((len(images), COUNT), np.float32), []
        for row, image in enumerate(images):
            try:
                rows[row, (int(decode(image, PixelProfile())[0, 0, 0]) - 20) // 30] = 1
            except DataError as error:
                failures.append((row, str(error)))
        return rows, failures

    def encode_text(self, texts, on_error):
        return np.eye(COUNT, dtype=np.float32)[[int(text.split()[-1]) for text in texts]], []


def encoded(source):
    return encode_source(Knowing(), source, skip_broken=True)


def tile(grid, row, column):
    return grid[row * TILE : (row + 1) * TILE, LABEL + column * TILE : LABEL + (column + 1) * TILE]


@pytest.mark.parametrize("broken, damaged", [((), ()), ((0,), ()), ((), (4,)), ((3,), (0, 1))])
def test_the_right_image_is_found_framed_and_stands_first(broken, damaged):
    source = Plain(broken=broken, damaged=damaged)
    embeddings = encoded(source)
    grid = query_grid(MODEL, source, embeddings, queries=100, best=3)
    assert grid.dtype == np.uint8 and grid.shape == (len(embeddings.text) * TILE, LABEL + 3 * TILE, 3)
    for row, image in enumerate(embeddings.text.argmax(1)):
        first = tile(grid, row, 0)
        assert tuple(first[GAP, GAP]) == RIGHT and tuple(tile(grid, row, 1)[GAP, GAP]) != RIGHT
        assert abs(int(first[TILE // 2, TILE // 2, 0]) - (20 + 30 * int(image))) <= 1
        assert (grid[row * TILE : (row + 1) * TILE, FRAME:LABEL] < 128).any()


def test_a_wrong_answer_has_no_green_frame():
    source = Plain()
    embeddings = encoded(source)
    embeddings.text = -embeddings.text
    grid = query_grid(MODEL, source, embeddings, queries=3, best=2)
    assert not (grid[:, LABEL:] == RIGHT).all(-1).any() and grid.shape[0] == 3 * TILE


def test_images_with_an_equal_text_are_right_too():
    source = Plain()
    embeddings = encoded(source)
    embeddings.text_keys[:] = 7
    grid = query_grid(MODEL, source, embeddings, queries=2, best=COUNT)
    frames = [tuple(tile(grid, row, column)[GAP, GAP]) for row in range(2) for column in range(COUNT)]
    assert frames == [RIGHT] * (2 * COUNT)


def test_embeddings_of_another_source_give_no_picture():
    embeddings = encoded(Plain())
    embeddings.text = embeddings.text[:-1]
    assert query_grid(MODEL, Plain(), embeddings) is None and projection(MODEL, Plain(), embeddings) is None


@pytest.mark.parametrize("points", [6, 1000])
def test_points_of_the_projector_carry_the_label_of_their_row(points):
    source = Plain(damaged=(4,))
    embeds, labels = projection(MODEL, source, encoded(source), points)
    assert len(embeds) == len(labels["kind"]) == len(labels["text"]) <= points
    assert set(labels["kind"]) == {"text", "image"}
    for row, kind, text in zip(embeds, labels["kind"], labels["text"], strict=True):
        assert int(text.split()[-1] if kind == "text" else text[1:]) == row.argmax()


def test_a_text_without_characters_of_the_font_becomes_its_place(monkeypatch):
    monkeypatch.setattr(pictures, "drawable", lambda character: character.isascii())
    assert pictures.readable("一只小猫", "folder/rows.tsv:7") == "rows.tsv:7"
    assert pictures.readable("a cat 猫\nsits", "rows.tsv:7") == "a cat  sits"
    assert pictures.readable("", "图.tsv:7") == "?.tsv:7"


def test_texts_that_the_font_cannot_draw_are_told_beside_the_picture(monkeypatch):
    source = Plain()
    embeddings = encoded(source)
    assert pictures.query_texts(source, embeddings, queries=2) is None
    monkeypatch.setattr(pictures, "drawable", lambda character: character != "a")
    assert pictures.query_texts(source, embeddings, queries=2) == "rows.tsv:1: a cat 0\nrows.tsv:7: cats 5"


def test_the_default_font_knows_what_it_lacks(monkeypatch):
    monkeypatch.setattr(pictures, "CHINESE_FONTS", ())
    pictures.font.cache_clear(), pictures.drawable.cache_clear()
    assert pictures.drawable("a") and not pictures.drawable("猫")
    pictures.font.cache_clear(), pictures.drawable.cache_clear()


def test_long_texts_are_broken_into_lines_that_fit():
    lines = pictures.wrapped("a quick brown fox " * 20, 200)
    assert len(lines) == pictures.LINES and lines[-1].endswith("...")
    assert all(pictures.font().getlength(line) <= 200 for line in lines[:-1])
    assert pictures.wrapped("短", 200) == ["短"]
