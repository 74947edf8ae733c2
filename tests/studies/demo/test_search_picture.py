"""The picture of README: which queries it shows, which image is framed, and nothing where letters cannot be drawn."""

import numpy as np
import pytest
from PIL import Image, ImageFont

from ernie_vil2.data.sources.scenes.source import SceneSource
from ernie_vil2.evaluation.embeddings import Embeddings
from ernie_vil2.studies.demo import search_picture
from ernie_vil2.studies.demo.search_picture import BAR, MARGIN, RIGHT, TILE, found_queries, write_search_picture


@pytest.fixture
def source():
    return SceneSource("test", 9, image_size=16, languages="zh", captions=2)


def embeddings(best):
    """Those of nine images whose first texts find the images of `best`, in that order, before all others."""
    text = np.zeros((18, 9))
    for owner, order in enumerate(best):
        for place, image in enumerate(order):
            text[2 * owner, image] = 1 - place / 10
    return Embeddings(np.eye(9), text, np.repeat(np.arange(9), 2))


def orders():
    """Image 0 is not among the best five of its text, image 1 is the third, all others are the first."""
    return [[1, 2, 3, 4, 5, 0], [2, 3, 1, 4, 5], *([owner, 0, 1] for owner in range(2, 9))]


def test_the_queries_are_the_first_whose_own_image_is_among_the_best():
    rows = list(found_queries(embeddings(orders())))
    assert [row for row, _ in rows] == [2, 4, 6, 8, 10, 12, 14, 16]
    assert [image for image, _ in rows[0][1]] == [2, 3, 1, 4, 5]
    assert [score for _, score in rows[0][1]] == pytest.approx([1, 0.9, 0.8, 0.7, 0.6])


def test_the_right_image_alone_is_framed(source, tmp_path, monkeypatch):
    monkeypatch.setattr(search_picture, "font", ImageFont.load_default)  # a machine need not have Chinese letters
    assert write_search_picture(tmp_path / "search.png", embeddings(orders()), source)
    picture = np.asarray(Image.open(tmp_path / "search.png").convert("RGB")).astype(int)
    middle = MARGIN + BAR + 12 + TILE // 2  # of the first row of images: the left edges of the tiles there
    edges = [picture[middle, MARGIN + place * (TILE + 12) + 2] for place in range(5)]
    assert [bool(np.abs(edge - RIGHT).max() < 12) for edge in edges] == [False, False, True, False, False]


def test_without_a_font_nothing_is_drawn_and_it_is_said(source, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(search_picture, "font", lambda size: None)
    assert not write_search_picture(tmp_path / "search.png", embeddings(orders()), source)
    assert list(tmp_path.iterdir()) == [] and "no font with Chinese letters" in caplog.text
