"""Files that share a stem: img2dataset's `files` output is read; what lies outside or is no file is refused."""

import json
import os
import pickle

import numpy as np
import pytest

from ernie_vil2.data.sources.base import RowError
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.sources.tar.write import png, write_shards
from ernie_vil2.errors import DataError


@pytest.fixture
def tree(tmp_path):
    """Two shards of img2dataset's `files` with a failed download, beside its statistics."""
    root = tmp_path / "laion"
    for shard in range(2):
        folder = root / f"{shard:05d}"
        folder.mkdir(parents=True)
        for row in range(3):
            stem = f"{shard:05d}{row:04d}"
            if (shard, row) != (1, 1):
                (folder / f"{stem}.jpg").write_bytes(png(np.full((2, 2, 3), 7, np.uint8)) + stem.encode())
            (folder / f"{stem}.txt").write_text(f"字{stem}")
            (folder / f"{stem}.json").write_text(json.dumps({"caption": f"字{stem}", "key": stem}))
        (root / f"{shard:05d}_stats.json").write_text("{}")
        (root / f"{shard:05d}.parquet").write_bytes(b"PAR1")
    return root


def test_what_img2dataset_writes_as_files(tree, tmp_path):
    source = open_source(tree)
    stems = ["000000000", "000000001", "000000002", "000010000", "000010002"]
    assert [(sample.image.read_bytes()[-9:].decode(), sample.texts) for sample in source] == [
        (s, (f"字{s}",)) for s in stems
    ]
    assert [sample.id for sample in source] == [f"{s[:5]}/{s}" for s in stems] == [source.key(i) for i in range(5)]
    assert [sample.where for sample in source] == [source.where(i) for i in range(5)]
    assert len(source.notes) == 1 and "1 caption without an image" in source.notes[0] and "000010001" in source.notes[0]
    assert [sample.id for sample in pickle.loads(pickle.dumps(source))] == [sample.id for sample in source]
    write_shards(source, tmp_path / "tars")
    assert [(sample.id, sample.texts) for sample in open_source(tmp_path / "tars")] == [
        (sample.id, sample.texts) for sample in source
    ]


def test_a_flat_folder_and_images_without_captions(tmp_path):
    (tmp_path / "a.b.PNG").write_bytes(b"x")
    (tmp_path / "a.b.txt").write_text("cat\n")
    (tmp_path / "lone.jpg").write_bytes(b"x")
    source = open_source(tmp_path)
    assert [sample.texts for sample in source] == [("cat",)]
    assert len(source.notes) == 1 and "1 image without a caption" in source.notes[0]


def test_links_pipes_and_long_parts_cost_their_own_sample(tree, tmp_path):
    folder = tree / "00000"
    (tmp_path / "outside.txt").write_text("secret")
    (folder / "000000000.txt").unlink()
    (folder / "000000000.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "000000001.jpg").unlink()
    os.mkfifo(folder / "000000001.jpg")
    (folder / "000000002.json").write_text(" " * ((1 << 20) + 1))
    errors = []
    assert len(list(open_source(tree).samples("skip", errors))) == 2
    assert all(isinstance(error, RowError) for error in errors)
    assert ["not a regular file inside the folder" in str(error) for error in errors] == [True, True, False]


def test_a_folder_without_pairs_is_one_sentence(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="no image has a .txt or .json of its stem"):
        open_source({"kind": "files", "path": tmp_path})
    with pytest.raises(DataError, match="none of captions.csv"):
        open_source({"path": tmp_path, "columns": {"image": "file"}})


def test_captions_too_short_to_tell_are_what_the_others_are(tmp_path):
    texts = {"gbk": ["猫", "狗", "小猫", "红裙", "黑色的鞋"], "utf-8": ["猫", "狗", "è", "é", "红裙"]}
    for encoding, captions in texts.items():
        folder = tmp_path / encoding
        folder.mkdir()
        for row, text in enumerate(captions):
            (folder / f"{row}.jpg").write_bytes(b"x")
            (folder / f"{row}.{'json' if row == 1 else 'txt'}").write_bytes(
                (f'{{"caption": "{text}"}}' if row == 1 else text).encode(encoding)
            )
        source = open_source(folder)
        assert [sample.texts for sample in source] == [(text,) for text in captions]
        assert [source.key(row) for row in range(5)] == [sample.id for sample in source]
        assert len(source.notes) == (encoding == "gbk")


def test_captions_may_lie_in_any_of_the_first_folders(tmp_path):
    for name in ("docs", "00000/failed", "photos/2024/05"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "docs" / "read.me").write_text("x")
    (tmp_path / "photos/2024/05/a.jpg").write_bytes(b"x")
    (tmp_path / "photos/2024/05/a.txt").write_text("猫")
    assert [sample.texts for sample in open_source(tmp_path)] == [("猫",)]
