"""An index in memory: rows of a random library of pictures, for tests of what is asked of one."""

import numpy as np
import pyarrow as pa
import pytest

from ernie_vil2.search.store.columns import ImageRow, columns_of

FOLDERS = ("", "2021", "2021/上海", "2021/上海/外滩", "2021/上海外", "2022")
TAGS = ("猫", "狗", "cat", "big cat", "a|b")


class Rows:
    """What filters need of a Part: a table in two pieces, ids, and which rows are alive."""

    def __init__(self, rows, live):
        half = len(rows) // 2
        pieces = [
            columns_of("image", list(range(len(rows)))[part], rows[part]) for part in (slice(half), slice(half, None))
        ]
        self.table, self.rows, self.live = pa.concat_tables(pieces), rows, np.asarray(live)
        self.ids = self.table["id"].to_numpy()

    def ids_where(self, condition):
        return [number for number, row in enumerate(self.rows) if self.live[number] and condition(row)]


def random_row(rng):
    folder = str(rng.choice(FOLDERS))
    name = str(rng.choice(["IMG_1.JPG", "海.png", "100%.png", "clip.mp4@12.5s"]))
    root, key = int(rng.integers(1, 3)), f"{folder}/{name}".lstrip("/")
    return ImageRow(
        root=root,
        key=key,
        path=(f"/more/{key}" if root == 2 else key).partition("@")[0].encode(),
        folder=folder,
        width=int(rng.integers(900, 1100)),
        size=int(rng.integers(0, 4_000_000)),
        date=None if rng.random() < 0.2 else int(rng.integers(1_600_000_000, 1_650_000_000)),
        time=int(rng.integers(0, 100_000)) if ".mp4@" in name else None,
        caption=str(rng.choice(["", "一只猫", "A red BOAT", "100% wool"])),
        tags=tuple(str(tag) for tag in rng.choice(TAGS, rng.integers(0, 3), replace=False)),
    )


@pytest.fixture(scope="session")
def library():
    """200 rows, a tenth of them gone."""
    rng = np.random.default_rng(0)
    return Rows([random_row(rng) for _ in range(200)], rng.random(200) > 0.1)


@pytest.fixture(scope="session")
def roots():
    """Two places that rows come from."""
    return {1: {"spec": "photos", "folder": "/data/photos", "kind": "folder"}, 2: {"spec": "more.tar", "folder": ""}}
