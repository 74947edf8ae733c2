"""A scan that SIGKILL ends at any moment: the same command ends at the same rows as one that nobody disturbed."""

import json
import os
import shutil

import numpy as np
import pytest

from ernie_vil2.search.scan.folder import folder_scan
from ernie_vil2.search.scan.run import Silent
from ernie_vil2.search.store.snapshot import open_snapshot
from ernie_vil2.search.store.writer import open_writer
from ernie_vil2.stop import Stopped
from tests.search.scan.conftest import Indexed, draw
from tests.search.store.faults import count_of, killed

MOMENTS = 8
"""At which each job is ended"""
OFTEN = {"ledger": {"commit_rows": 3}}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(folder_scan, "CHUNK_FILES", 3)


def change(photos):
    """Move, rename, edit, delete, copy and damage some pictures."""
    os.rename(photos / "a", photos / "c")
    os.rename(photos / "b/002.png", photos / "renamed.png")
    shutil.copy(photos / "b/004.png", photos / "copy.png")
    os.unlink(photos / "b/006.png")
    draw(photos / "b/000.png", 90)
    (photos / "b/008.png").write_bytes(b"")
    draw(photos / "new.png", 91)


def captioned(folder):
    """A table of six pictures, two of which have two rows, with captions and tags."""
    lines = []
    for row in range(8):
        draw(folder / f"{row % 6}.png", 200 + row % 6)
        lines.append({"image": f"{row % 6}.png", "text": f"caption {row}", "tags": ["tag", f"tag {row % 3}"]})
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "rows.jsonl"


@pytest.fixture(params=["build", "update", "captions"])
def begun(request, tmp_path):
    """(function that brings a folder back to how it was, the job to be done in it)."""
    work, kept = tmp_path / "work", tmp_path / "kept"
    indexed, photos = Indexed(work), work / "photos"
    for seed in range(12):
        draw(photos / ("a" if seed % 2 else "b") / f"{seed:03d}.png", seed)
    source = captioned(work / "captions") if request.param == "captions" else photos
    if request.param == "update":
        indexed.scan(photos)
        change(photos)
    shutil.copytree(work, kept)

    def restore():
        shutil.rmtree(work)
        shutil.copytree(kept, work)

    return indexed, restore, lambda: indexed.scan(source, **OFTEN)


def test_whatever_is_killed_ends_as_if_nobody_had(begun):
    indexed, restore, job = begun
    count = count_of(job)
    wanted, said = indexed.state(), texts(indexed)
    hit = 0
    for moment in np.unique(np.linspace(1, count - 1, MOMENTS).astype(int)):
        restore()
        hit += killed(job, moment)
        if (indexed.place / "manifest.json").exists():
            open_snapshot(indexed.place)
        job()
        assert (indexed.state(), texts(indexed)) == (wanted, said), moment
    assert hit >= MOMENTS - 2


def texts(indexed):
    """{key: the texts of a picture, in order}."""
    part = open_snapshot(indexed.place).texts
    found = dict(zip(part.live_ids().tolist(), part.take(part.live_ids()).column("text").to_pylist(), strict=True))
    return {key: [found[number] for number in row["texts"]] for key, row in indexed.rows().items()}


class Asked:
    """A request to stop that comes after some looks."""

    signal = 2

    def __init__(self, looks):
        self.looks = looks

    @property
    def asked(self):
        self.looks -= 1
        return self.looks < 0


def test_a_polite_end_keeps_what_is_done(indexed, photos):
    ended = []
    progress = Silent()
    progress.end = lambda: ended.append(True)  # the bar makes room for the sentence that follows
    with pytest.raises(Stopped):
        indexed.scan(photos, stop=Asked(3), progress=progress)
    assert ended
    done = len(indexed.rows())
    assert 0 < done < 12
    report = indexed.scan(photos)
    assert report.counts["new"] == 12 - done and report.encoded == 12 - done and len(indexed.rows()) == 12


def test_a_second_scan_is_refused_at_once(indexed, photos):
    from ernie_vil2.errors import DataError

    indexed.scan(photos)
    with open_writer(indexed.place), pytest.raises(DataError, match="another process is writing"):
        indexed.scan(photos)
