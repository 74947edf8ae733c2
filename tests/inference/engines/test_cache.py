"""Built engines: kept whole beside the model, used only when they are its own and as they were written."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ernie_vil2.errors import CheckpointError
from ernie_vil2.files.leftovers import ASIDE, place
from ernie_vil2.files.paths.place import user_cache_folder
from ernie_vil2.inference.engines import cache as caches
from ernie_vil2.inference.engines.cache import EngineCache, NoRoom
from ernie_vil2.inference.identity import model_digest

NAME = "image-fp32"


class Builder:
    """A build that counts itself, and writes its number, a file of weights and one in a folder."""

    def __init__(self, fault=None):
        self.count, self.fault, self.folders = 0, fault, []

    def __call__(self, folder):
        assert list(folder.iterdir()) == []
        self.count += 1
        self.folders.append(folder)
        (folder / "inner").mkdir()
        (folder / "inner" / "weights.bin").write_bytes(bytes(10_000))
        (folder / "graph.xml").write_text(f"build {self.count}")
        if self.fault:
            raise self.fault


@pytest.fixture
def model(tmp_path):
    """A folder that is known by its config.json."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    return tmp_path / "model"


@pytest.fixture
def cache(model, tmp_path):
    return EngineCache(model, tmp_path / "user")


@pytest.fixture
def build():
    return Builder()


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_an_engine_is_built_once_and_found_by_another_object(cache, model, build, tmp_path):
    made = cache.entry(NAME, cache.facts(), build)
    assert made == model / "engines" / NAME
    assert names(made) == ["engine.json", "graph.xml", "inner"]
    assert EngineCache(model, tmp_path / "user").entry(NAME, cache.facts(), build) == made
    assert build.count == 1 and names(made.parent) == [NAME, f"{NAME}.lock"] and not (tmp_path / "user").exists()


def test_a_file_has_its_engines_beside_it(tmp_path, build, monkeypatch):
    (tmp_path / "weights.pdparams").write_bytes(b"weights")
    monkeypatch.chdir(tmp_path)
    cache = EngineCache("weights.pdparams", tmp_path / "user")
    monkeypatch.chdir("/")
    assert cache.entry(NAME, cache.facts(), build) == tmp_path / "weights.pdparams.engines" / NAME


def test_engines_of_other_facts_are_built_again(cache, model, build, caplog):
    cache.entry(NAME, cache.facts(tower="image"), build)
    other = cache.facts(tower="image") | {"openvino": "1.0"}
    made = cache.entry(NAME, other, build)
    assert build.count == 2 and (made / "graph.xml").read_text() == "build 2"
    assert "was made with openvino" in caplog.text and "and now it is '1.0'" in caplog.text
    (model / "config.json").write_text('{"other": 1}')
    again = EngineCache(model)
    assert again.entry(NAME, again.facts(tower="image"), build) == made
    assert build.count == 3 and "is of another model; it is built again" in caplog.text


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def to_link(path, beside):
    path.rename(beside)
    path.symlink_to(beside)


def not_an_object(path):
    path.write_text("[]")


def other_facts_in_the_text(path):
    content = json.loads(path.read_text())
    content["files"]["graph.xml"]["bytes"] += 1
    path.write_text(json.dumps(content))


DAMAGES = {
    "a byte": lambda made, away: flip(made / "inner" / "weights.bin"),
    "cut": lambda made, away: os.truncate(made / "graph.xml", 3),
    "a file is gone": lambda made, away: (made / "graph.xml").unlink(),
    "a file more": lambda made, away: (made / "more").write_text("x"),
    "the record is gone": lambda made, away: (made / "engine.json").unlink(),
    "the record is cut": lambda made, away: os.truncate(made / "engine.json", 40),
    "the record is no object": lambda made, away: not_an_object(made / "engine.json"),
    "the record was changed": lambda made, away: other_facts_in_the_text(made / "engine.json"),
    "a file is a link": lambda made, away: to_link(made / "graph.xml", away),
    "a folder is a link": lambda made, away: to_link(made / "inner", away),
    "the record is a link": lambda made, away: to_link(made / "engine.json", away),
    "empty": lambda made, away: (shutil.rmtree(made), made.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_damaged_is_never_used(cache, build, damage, tmp_path, caplog):
    made = cache.entry(NAME, cache.facts(), build)
    damage(made, tmp_path / "away")
    with pytest.raises(CheckpointError, match=r"fp32 is damaged; quantize the model again with ernie-vil2 quantize"):
        cache.read(NAME, cache.facts())
    assert cache.entry(NAME, cache.facts(), build) == made and build.count == 2
    assert "is damaged; it is built again" in caplog.text
    assert cache.read(NAME, cache.facts()) == made and (made / "graph.xml").read_text() == "build 2"
    assert names(made.parent) == [NAME, f"{NAME}.lock"]


def test_an_engine_whose_record_was_made_to_fit_is_damaged(cache, build):
    made = cache.entry(NAME, cache.facts(openvino="1"), build)
    record = made / "engine.json"
    record.write_text(record.read_text().replace('"1"', '"2"'))
    assert cache.entry(NAME, cache.facts(openvino="2"), build) == made and build.count == 2


def test_a_link_to_a_whole_engine_is_not_followed(cache, model, build, tmp_path):
    made = cache.entry(NAME, cache.facts(), build)
    to_link(made, tmp_path / "away")
    with pytest.raises(CheckpointError, match="is a link, which is not followed; quantize the model again"):
        cache.read(NAME, cache.facts())
    assert tmp_path / "user" in cache.entry(NAME, cache.facts(), build).parents and build.count == 2
    assert made.is_symlink() and names(tmp_path / "away") == ["engine.json", "graph.xml", "inner"]


def test_a_build_that_fails_leaves_nothing_and_the_older_engine(cache, model, build):
    made = cache.entry(NAME, cache.facts(), build)
    for fault in (RuntimeError("no kernel"), FileNotFoundError(errno.ENOENT, "gone"), KeyboardInterrupt()):
        wrong = Builder(fault)
        with pytest.raises(type(fault)):
            cache.entry(NAME, cache.facts(more="x"), wrong)
        assert wrong.count == 1
    assert names(made.parent) == [NAME, f"{NAME}.lock"] and cache.entry(NAME, cache.facts(), build) == made
    assert build.count == 1


@pytest.mark.parametrize("what", ["link", "file", "entry link"])
def test_where_the_model_s_folder_is_not_ours_the_user_s_cache_is_used(cache, model, build, what, tmp_path, caplog):
    (elsewhere := tmp_path / "elsewhere").mkdir()
    place = model / "engines"
    if what == "link":
        place.symlink_to(elsewhere)
    elif what == "file":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / NAME).symlink_to(elsewhere)
    made = cache.entry(NAME, cache.facts(), build)
    assert made == tmp_path / "user" / "engines" / model_digest(model) / NAME
    assert cache.entry(NAME, cache.facts(), build) == cache.read(NAME, cache.facts()) == made and build.count == 1
    assert names(elsewhere) == [] and caplog.text == ""
    assert (tmp_path / "user" / "engines" / model_digest(model)).stat().st_mode & 0o077 == 0


def refused_everywhere(model, tmp_path):
    """A cache of which neither the model's folder nor the user's takes a file."""
    (model / "engines").write_text("")
    (tmp_path / "no-folder").write_text("")
    return EngineCache(model, tmp_path / "no-folder")


def test_where_no_place_keeps_it_an_engine_lasts_as_long_as_its_cache(model, build, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cache = refused_everywhere(model, tmp_path)
    made = cache.entry(NAME, cache.facts(), build)
    cache.entry("text-fp32", cache.facts(), build)
    assert cache.entry(NAME, cache.facts(), build) == made and build.count == 2
    assert caplog.text.count("for this process alone and not kept") == 1 and "File exists" in caplog.text
    with pytest.raises(NoRoom, match=r"no place takes the engine int8 \(.*; .*\); free some space"):
        cache.write("int8", cache.facts(), build)
    assert made.is_dir()
    del cache
    assert not made.exists() and list(tmp_path.glob("ernie-vil2-*")) == []


def test_a_model_in_memory_keeps_nothing_and_says_nothing(build, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cache = EngineCache(None, tmp_path / "user")
    assert cache.entry(NAME, cache.facts(), build) == cache.entry(NAME, cache.facts(), build)
    assert cache.read("int8", cache.facts()) is None and build.count == 1 and caplog.text == ""
    with pytest.raises(NoRoom, match="the model has no file"):
        cache.write("int8", cache.facts(), build)
    del cache
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_another_place_s_chance(cache, model, tmp_path, monkeypatch):
    full = [model]

    def build(folder):
        (folder / "graph.xml").write_text("x")
        if any(place in folder.parents for place in full):
            raise RuntimeError("cannot serialize")  # as libraries in C++ say it

    def synced(path):
        if any(place in path.parents for place in full):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(path)

    original = caches.synced_file
    monkeypatch.setattr(caches, "synced_file", synced)
    made = cache.entry(NAME, cache.facts(), build)
    assert tmp_path / "user" in made.parents and names(made) == ["engine.json", "graph.xml"]
    full.append(Path("/"))
    with pytest.raises(NoRoom, match=r"image-bf16 \(.*No space left on device.*temporary files: No space"):
        cache.entry("image-bf16", cache.facts(), build)
    assert names(model / "engines") == ["image-bf16.lock", f"{NAME}.lock"]


def test_what_is_built_of_replaced_weights_is_not_kept(cache, model, build, caplog):
    kept = cache.entry(NAME, cache.facts(), build)
    (model / "config.json").write_text('{"new": 1}')
    assert cache.entry(NAME, cache.facts(), build) == kept  # of the weights that this cache is of
    made = cache.entry("text-fp32", cache.facts(), build)
    assert model not in made.parents and "was replaced after it was loaded" in caplog.text
    with pytest.raises(CheckpointError, match="was replaced after it was loaded"):
        cache.write("int8", cache.facts(), build)
    shutil.rmtree(model)
    cache.entry("text-bf16", cache.facts(), build)
    assert not model.exists()  # a checkpoint that was removed does not come back


def test_only_writing_makes_what_is_read(cache, model, build):
    assert cache.read("int8", cache.facts()) is None
    made = cache.write("int8", cache.facts(), build)
    assert cache.read("int8", cache.facts()) == made == cache.write("int8", cache.facts(), build)
    assert build.count == 2 and (made / "graph.xml").read_text() == "build 2"
    (model / "config.json").write_text('{"new": 1}')
    other = EngineCache(model)
    with pytest.raises(CheckpointError, match="int8 is of another model; quantize the model again"):
        other.read("int8", other.facts())


def test_an_engine_that_a_killed_writer_set_aside_comes_back(cache, build):
    made = cache.write("int8", cache.facts(), build)
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    made.rename(made.with_name(f"int8{ASIDE}{process.pid}-{place()}"))
    assert cache.read("int8", cache.facts()) == made and (made / "graph.xml").read_text() == "build 1"


def test_of_many_threads_one_builds(cache):
    began, go, found = [], threading.Event(), []

    def slow(folder):
        began.append(folder)
        go.wait(10)
        (folder / "graph.xml").write_text("x")

    threads = [threading.Thread(target=lambda: found.append(cache.entry(NAME, cache.facts(), slow))) for _ in range(8)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(10)
    assert len(began) == 1 and len(found) == 8 and len(set(found)) == 1


def test_digests_tell_weights_apart_whatever_form_they_have(tmp_path):
    folder = tmp_path / "nlp"
    folder.mkdir()
    digests = []
    for name, text in (("model_state.pdparams", "1"), ("config.json", "{}"), ("model_state.pdparams", "2")):
        (folder / name).write_text(text)
        digests.append(model_digest(folder))
        assert digests[-1] == model_digest(folder / "model_state.pdparams")
    (folder / "vocab.txt").write_text("words are no weights")
    (folder / "engines").mkdir()
    assert len(set(digests)) == 3 and model_digest(folder) == digests[-1]
    shutil.copytree(folder, tmp_path / "copy")
    assert model_digest(tmp_path / "copy") == digests[-1]


def test_a_user_without_a_home_has_no_cache(monkeypatch, model, build):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert user_cache_folder() is None
    cache = EngineCache(model)
    assert cache.entry(NAME, cache.facts(), build) == model / "engines" / NAME
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert user_cache_folder() == Path("/xdg/ernie-vil2")
