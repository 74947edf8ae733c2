"""`index build` that comes to nothing: it says why, and leaves nothing."""

import errno
import os

import numpy as np
import pytest

from ernie_vil2.cli.index import build as module
from ernie_vil2.cli.index import main as tool
from ernie_vil2.errors import ConfigError, DataError
from ernie_vil2.search.scan.ledger import Ledger


@pytest.fixture
def embeddings(tmp_path):
    """Three vectors with their ids, which need no model."""
    np.save(tmp_path / "image.npy", np.eye(3, 8, dtype=np.float32))
    (tmp_path / "image_ids.txt").write_text("a\nb\nc\n")
    return str(tmp_path)


def test_the_reason_is_told_where_the_folder_is_a_mounted_disk(embeddings, tmp_path, monkeypatch):
    def refuse(ledger):
        raise DataError("the disk is full")

    def busy(path, **options):
        if os.path.basename(path) == "index":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)
        return real(path, **options)

    real = os.rmdir
    (tmp_path / "index").mkdir()
    monkeypatch.setattr(Ledger, "commit", refuse)
    monkeypatch.setattr(os, "rmdir", busy)
    with pytest.raises(DataError, match="the disk is full"):
        tool.main(["build", str(tmp_path / "index"), "--embeddings", embeddings])
    assert os.listdir(tmp_path / "index") == []


def test_an_index_behind_a_link_is_rebuilt_beside_it(embeddings, tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk/index")
    tool.main(["build", str(tmp_path / "disk/index"), "--embeddings", embeddings])
    begun = []
    real = module.build
    monkeypatch.setattr(module, "build", lambda place, *rest: (begun.append(place), real(place, *rest)))
    tool.main(["build", str(tmp_path / "link"), "--rebuild"])
    assert begun == [tmp_path / "disk/index.rebuild"]
    assert (tmp_path / "link").is_symlink() and os.listdir(tmp_path / "disk") == ["index"]


def test_a_mounted_disk_is_not_rebuilt_and_says_so_at_once(embeddings, tmp_path, monkeypatch):
    tool.main(["build", str(tmp_path / "index"), "--embeddings", embeddings])
    monkeypatch.setattr(os.path, "ismount", lambda path: True)
    with pytest.raises(ConfigError, match="is a mounted disk"):
        tool.main(["build", str(tmp_path / "index"), "--rebuild"])
    assert not (tmp_path / "index.rebuild").exists()
