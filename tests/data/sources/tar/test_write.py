"""Writing shards: what goes in comes out, images bit for bit; a kill costs a tar at most; a changed tar is named."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile

import numpy as np
import pytest

from ernie_vil2.data.check.check import check
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.sources.tar.manifest import read_manifest
from ernie_vil2.data.sources.tar.write import parse_size, png, write_shards
from ernie_vil2.errors import ConfigError, DataError
from tests.conftest import ROOT


def picture(number):
    """A PNG of its own."""
    return png(np.full((2, 3, 3), number, np.uint8))


def rows(count):
    return [
        {
            "id": f"id{n}",
            "texts": [f"第{n}张", f"picture {n}"],
            "tags": ["猫"] * (n % 3),
            "image_base64": base64.b64encode(picture(n) + b"n" * (20 * n)).decode(),
        }
        for n in range(count)
    ]


def write(path, rows):
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def contents(source):
    return [(sample.id, sample.image, sample.texts, sample.tags) for sample in source]


def tars(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


def test_any_source_comes_back_with_its_bytes_ids_captions_and_tags(tmp_path):
    source = open_source(write(tmp_path / "a.jsonl", rows(25)))
    done = write_shards(source, tmp_path / "out", per_shard=10)
    again = open_source(tmp_path / "out")
    assert contents(again) == contents(source) and again.shard_sizes() == [10, 10, 5] and again.notes == []
    assert [again.key(index) for index in range(25)] == [source.key(index) for index in range(25)]
    assert (done["samples"], done["captions"], done["bad"], done["complete"]) == (25, 50, 0, True)
    for shard in done["shards"]:
        data = (tmp_path / "out" / shard["name"]).read_bytes()
        assert (shard["bytes"], shard["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    with tarfile.open(tmp_path / "out" / "00002.tar") as tar:
        assert tar.getnames() == [f"{n:09d}{suffix}" for n in range(20, 25) for suffix in (".png", ".json")]
    assert sorted(os.listdir(tmp_path / "out")) == [
        "00000.tar",
        "00000.tar.index",
        "00001.tar",
        "00001.tar.index",
        "00002.tar",
        "00002.tar.index",
        "index.json",
    ]


def test_drawn_images_and_files_become_bytes(tmp_path):
    scenes = open_source("scenes:size=3,split=test")
    write_shards(scenes, tmp_path / "out")
    from ernie_vil2.data.images.decode import decode
    from ernie_vil2.data.images.resize import OFFICIAL

    assert all(
        np.array_equal(decode(one.image, OFFICIAL), two.image)
        for one, two in zip(open_source(tmp_path / "out"), scenes, strict=True)
    )
    (tmp_path / "0.png").write_bytes(picture(7) + b"a tail")
    write(tmp_path / "captions.jsonl", [{"image": "0.png", "text": "x"}])
    write_shards(open_source(tmp_path / "captions.jsonl"), tmp_path / "two")
    assert open_source(tmp_path / "two")[0].image == (tmp_path / "0.png").read_bytes()


def test_a_size_limit_holds_and_a_larger_sample_has_a_tar_of_its_own(tmp_path):
    lines = rows(6)
    for row, size in zip(lines, (10, 20000, 20000, 90000, 10, 10), strict=True):
        row["image_base64"] = base64.b64encode(picture(0) + bytes(size)).decode()
    source = open_source(write(tmp_path / "a.jsonl", lines))
    done = write_shards(source, tmp_path / "out", size_limit=50_000)
    assert contents(open_source(tmp_path / "out")) == contents(source)
    sizes = [shard["bytes"] for shard in done["shards"]]
    assert [shard["samples"] for shard in done["shards"]] == [2, 1, 1, 2] and sorted(sizes)[-2] <= 50_000 < sizes[2]


def test_bad_rows_are_left_out_counted_and_listed(tmp_path):
    lines = rows(12)
    lines[0], lines[5], lines[11] = "{", {"image": "none.jpg", "text": "x"}, {"image_base64": "AAAA"}
    lines[7]["image_base64"] = base64.b64encode(picture(7)[:-12]).decode()
    source = open_source(write(tmp_path / "a.jsonl", lines))
    done = write_shards(source, tmp_path / "out", per_shard=4)
    assert (done["samples"], done["bad"]) == (8, 4) and len(open_source(tmp_path / "out")) == 8
    listed = (tmp_path / "out" / "bad.txt").read_text().splitlines()
    assert [line.split(": ")[0].rpartition(":")[2] for line in listed] == ["1", "6", "8", "12"]
    assert "truncated" in listed[2]
    with pytest.raises(DataError, match=r"not one of its 1 rows.*bad\.txt"):
        write_shards(open_source(write(tmp_path / "b.jsonl", ["{"])), tmp_path / "none")


KILLED = """
import os, signal, sys
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.sources.tar import write as shards
left = int(sys.argv[3])
class Watched(shards.HashingFile):
    def write(self, data):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().write(data)
shards.HashingFile = Watched
before = shards.write_manifest
def manifest(*arguments):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    before(*arguments)
shards.write_manifest = manifest
shards.write_shards(open_source(sys.argv[1]), sys.argv[2], per_shard=3)
"""


def test_a_kill_at_any_moment_is_gone_on_from(tmp_path):
    lines = rows(14)
    lines[4] = lines[8] = lines[13] = "{"
    lines[10]["id"] = lines[1]["id"]  # with another picture: what a run knew of row 1 is known after a kill
    path = write(tmp_path / "a.jsonl", lines)
    wanted = write_shards(open_source(path), tmp_path / "whole", per_shard=3)
    ended = False
    for steps in range(1, 40):
        run = subprocess.run(
            [sys.executable, "-c", KILLED, path, tmp_path / "out", str(steps)],
            cwd=ROOT,
            timeout=60,
            capture_output=True,
        )
        assert run.returncode in (0, -signal.SIGKILL), run.stderr
        if run.returncode == 0:
            ended = True
            break
        if (tmp_path / "out" / "index.json").exists() and list((tmp_path / "out").glob("*.tar")):
            assert any("broke off" in note for note in open_source(tmp_path / "out").notes)
            for index in (tmp_path / "out").glob("*.index"):
                index.unlink()
    assert ended and steps > 3
    assert tars(tmp_path / "out") == tars(tmp_path / "whole")
    assert (tmp_path / "out" / "bad.txt").read_text() == (tmp_path / "whole" / "bad.txt").read_text()
    assert read_manifest(tmp_path / "out") == wanted
    assert f"a.jsonl:11: the id '{lines[1]['id']}' has another picture at {path}:2;" in (
        tmp_path / "out" / "bad.txt"
    ).read_text(encoding="utf-8")
    assert not list((tmp_path / "out").glob("*.tmp-*")) + list((tmp_path / "out").glob("*.sqlite*"))


class Stop(Exception):
    pass


def stopping_at(last):
    """A `progress` that breaks writing off at row `last`."""

    def progress(numbers):
        for row in numbers:
            if row == last:
                raise Stop
            yield row

    return progress


def test_bad_bytes_are_what_the_list_holds_when_a_bad_row_was_repaired_between(tmp_path):
    lines = rows(14)
    good = lines[6]
    lines[1] = "{"
    path, out = tmp_path / "a.jsonl", tmp_path / "out"
    for row, stop in (("{", 7), (good, 11), (good, None)):
        lines[6] = row
        source = open_source(write(path, lines))
        if stop is None:
            write_shards(source, out, per_shard=3)
        else:
            with pytest.raises(Stop):
                write_shards(source, out, per_shard=3, progress=stopping_at(stop))
        listed, manifest = (out / "bad.txt").read_bytes(), json.loads((out / "index.json").read_text())
        assert b"\0" not in listed and manifest["bad_bytes"] <= len(listed)
    assert manifest["bad"] == len(listed.splitlines()) == 1 and manifest["bad_bytes"] == len(listed)


def test_shards_without_what_they_know_of_ids_are_not_gone_on_with(tmp_path):
    source = open_source(write(tmp_path / "a.jsonl", rows(9)))
    with pytest.raises(Stop):
        write_shards(source, tmp_path / "out", per_shard=3, progress=stopping_at(5))
    (tmp_path / "out" / "pictures.sqlite").write_bytes(b"no database" * 999)
    with pytest.raises(DataError, match="pictures.sqlite: cannot be used"):
        write_shards(source, tmp_path / "out", per_shard=3)
    (tmp_path / "out" / "pictures.sqlite").unlink()
    with pytest.raises(ConfigError, match="lacks pictures.sqlite.*name a new folder"):
        write_shards(source, tmp_path / "out", per_shard=3)


def test_a_finished_folder_is_left_alone_and_a_foreign_one_refused(tmp_path):
    source = open_source(write(tmp_path / "a.jsonl", rows(5)))
    done = write_shards(source, tmp_path / "out", per_shard=2)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert write_shards(source, tmp_path / "out", per_shard=2) == done
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before
    with pytest.raises(ConfigError, match="per_shard 2, not 3"):
        write_shards(source, tmp_path / "out", per_shard=3)
    with pytest.raises(ConfigError, match="not empty"):
        write_shards(source, tmp_path)
    with pytest.raises(ConfigError, match="raise --per-shard"):
        write_shards(source, tmp_path / "new", per_shard=0)


# The index of a folder


@pytest.fixture
def folder(tmp_path):
    write_shards(open_source(write(tmp_path / "a.jsonl", rows(9))), tmp_path / "out", per_shard=3)
    return tmp_path / "out"


def test_a_cut_tar_a_missing_tar_and_a_changed_byte_are_named(folder):
    assert list(open_source(folder).faults(checksums=True)) == []
    data = (folder / "00001.tar").read_bytes()
    (folder / "00001.tar").write_bytes(data[:3000])
    source = open_source(folder)
    assert source.shard_sizes() == [3, 1, 3] and len(source) == 7
    assert any("00001.tar: has 3,000 bytes" in note for note in source.notes)
    (folder / "00001.tar").unlink()
    assert any("00001.tar: is missing" in note for note in open_source(folder).notes)
    (folder / "00001.tar").write_bytes(data.replace(b"picture", b"PICTURE", 1))
    assert open_source(folder).notes == [] == list(open_source(folder).faults())
    assert ["00001.tar" in fault and "checksum" in fault for fault in open_source(folder).faults(True)] == [True]


def test_a_tar_of_the_right_size_with_other_samples_is_named_when_it_is_read(folder):
    data = (folder / "00001.tar").read_bytes()
    (folder / "00001.tar").write_bytes(data[:1024] + bytes(len(data) - 1024))
    source = open_source(folder)
    with pytest.raises(DataError, match=r"00001\.tar: holds 0 samples, index\.json says 3"):
        source[3]
    assert source[0].texts and source[8].texts and len(list(source.faults())) == 1
    report = check(source, decode_images=False)
    assert (report.samples, report.bad) == (6, 3) and report.bad_rows[0].where.endswith("00001.tar:sample 1")


def test_opening_a_written_folder_reads_no_tar(folder, monkeypatch):
    from ernie_vil2.data.sources.tar import source as tar_source

    monkeypatch.setattr(tar_source, "open_index", lambda path: pytest.fail("a tar is opened"))
    assert open_source(folder).shard_sizes() == [3, 3, 3]


@pytest.mark.parametrize("text", ["", "[]", '{"format": "other"}'])
def test_an_index_json_of_another_program_is_passed_over_or_named(folder, text):
    (folder / "index.json").write_text(text)
    if text:
        assert open_source(folder).shard_sizes() == [3, 3, 3]
    else:
        with pytest.raises(DataError, match=r"index\.json: cannot be read"):
            open_source(folder)


def changed(content, **shard):
    """An index.json with other values in its second entry, without the checksum, as release 0.1 wrote it."""
    content = {key: value for key, value in content.items() if key != "sha256"}
    shards = [dict(entry) for entry in content["shards"]]
    shards[1] |= shard
    return json.dumps({**content, "shards": shards})


WRONG = {
    "samples": (-1, 10**21, 2 * 10**9, 7, 2.0, "3", True, None, [3], float("inf")),
    "captions": (-1, 10**21, None),
    "bytes": (-1, 10**21, 2.5, None),
    "sha256": (None, 3),
    "name": ("../00001.tar", "/etc/passwd", "", "..", "a\0b", None, 3, []),
    "rows": (None, [], [1], [6, 3], [-1, 3], [0, 10**21], ["0", 3]),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_entry_of_index_json_that_cannot_be_is_refused(folder, name):
    content = json.loads((folder / "index.json").read_text())
    for value in WRONG[name]:
        (folder / "index.json").write_text(changed(content, **{name: value}))
        with pytest.raises(DataError, match=r"index\.json: the list of shards is damaged|index\.json: cannot be read"):
            open_source(folder)
    (folder / "index.json").write_text(changed(content))
    assert open_source(folder).shard_sizes() == [3, 3, 3]


def test_a_changed_letter_of_index_json_is_noticed(folder):
    text = (folder / "index.json").read_text()
    for wrong in (text.replace('"samples": 3', '"samples": 2', 1), text.replace("00001.tar", "00007.tar")):
        (folder / "index.json").write_text(wrong)
        with pytest.raises(
            DataError, match=r"index\.json: cannot be read \(its checksum is not that of what it says\)"
        ):
            open_source(folder)
    (folder / "index.json").write_text('{"a": ' * 100_000)
    with pytest.raises(DataError, match=r"index\.json: cannot be read"):
        open_source(folder)


def test_samples_are_compared_with_what_a_tar_is_known_to_hold(folder):
    content = json.loads((folder / "index.json").read_text())
    list(open_source(folder))  # which leaves an index beside every tar
    (folder / "index.json").write_text(changed(content, samples=2))
    source = open_source(folder)
    assert source.shard_sizes() == [3, 3, 3]
    assert any("00001.tar: has 3 samples, index.json says 2" in fault for fault in source.faults())


@pytest.mark.parametrize("text, size", [("1GB", 10**9), ("64 MiB", 64 << 20), ("1.5kb", 1500), ("77", 77)])
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "1 TB", "1e9", "many"])
def test_sizes_that_are_none(text):
    with pytest.raises(ConfigError, match="--size-limit"):
        parse_size(text)
