"""An index of real files of every kind: pictures in folders, a video, tables, tars, drawn scenes and vectors."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from ernie_vil2.search.query.view import View
from ernie_vil2.search.scan.places import EMBEDDINGS, Place
from ernie_vil2.search.store.snapshot import open_snapshot
from ernie_vil2.serving.media.row_pictures import RowPictures
from ernie_vil2.serving.media.rows import picture_rows
from tests.data.videos.drawn import write_video
from tests.search.scan.conftest import WIDTH, Indexed, draw


def colours(seed, sides=(30, 40)):
    """RGB uint8 [*sides, 3]: four areas of one colour each."""
    areas = np.random.default_rng(seed).integers(0, 256, (2, 2, 3), np.uint8)
    return areas.repeat(sides[0] // 2, 0).repeat(sides[1] // 2, 1)


def encoded(pixels, kind, **options):
    """The bytes of a file of pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


class Shown(Indexed):
    """An Indexed, and its rows as media take them."""

    @property
    def view(self):
        return View(open_snapshot(self.place))

    def row(self, key):
        """The PictureRow of a key."""
        return picture_rows(self.view, [self.ids()[key]])[0]

    def picture(self, key):
        return RowPictures().picture(self.row(key))


@pytest.fixture
def shown(tmp_path):
    """A Shown without an index yet."""
    return Shown(tmp_path)


@pytest.fixture
def photos(tmp_path):
    """A folder of six pictures in two folders, one of them with a name that is no text, and of a video."""
    folder = tmp_path / "photos"
    for seed in range(5):
        draw(folder / ("上海" if seed % 2 else "b") / f"{seed}.jpg", seed)
    (folder / "b" / "odd\udcff\n.png").write_bytes(encoded(colours(9), "PNG"))
    write_video(folder / "clip.mp4")
    return folder


@pytest.fixture
def table(tmp_path):
    """A table whose rows hold their pictures themselves; {id: bytes}."""
    pictures = {f"row {seed}": encoded(colours(seed), "PNG") for seed in range(5)}
    lines = [
        json.dumps({"id": key, "image_base64": base64.b64encode(data).decode(), "text": f"第 {key}"})
        for key, data in pictures.items()
    ]
    (tmp_path / "rows.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return pictures


@pytest.fixture
def vectors(tmp_path):
    """The Place of three vectors that have no picture."""
    np.save(tmp_path / "own.npy", np.random.default_rng(3).normal(size=(3, WIDTH)).astype(np.float32))
    (tmp_path / "own_ids.txt").write_text("v0\nv1\nv2\n")
    return Place(EMBEDDINGS, str(tmp_path / "own.npy"), str(tmp_path / "own.npy"))
