"""Where an output cannot be written, every command says so in one sentence, before any work, and nothing changes."""

import errno
import os
import re

import pytest

from ernie_vil2.cli.main import dispatch
from ernie_vil2.errors import ADVICE, UserError
from ernie_vil2.evaluation.runs.records import Outcome, Result
from ernie_vil2.evaluation.runs.results import write_run
from ernie_vil2.files.paths import place
from ernie_vil2.files.paths.place import check_file, check_folder
from tests.cli.commands import FILES, FOLDERS, call, content
from tests.conftest import ROOT

PLACES = {
    "": "the name of the output is empty",
    " ": "the name of the output is empty",
    ".": "folder in which the command runs|is a folder",
    "..": "the folder in which the command runs|is a folder",
    "/": "the folder in which the command runs|is a folder",
    "new/..": "is no name of a new folder|is a folder",
    "a\0b": "has a zero byte",
    "n" * 300: "name of 300 bytes, and at most .* choose a shorter name",
    "n" * 250: "name of 250 bytes, and at most .* choose a shorter name",
    "图" * 84: "name of 252 bytes",
    "det.jsonl/out": "det.jsonl is a file and no folder",
    "det.jsonl/new/out": "det.jsonl is a file and no folder|the folder of .* does not exist",
    "nowhere": "nowhere is a link to gone/away, which is not there",
    "nowhere/out": "nowhere is a link to nothing and no folder",
    "/dev/null": "is no plain file|is not a",
    "/dev/null/x": "/dev/null is a file and no folder",
    "/proc/x": "no file can be made in /proc",
    "round": "Too many levels of symbolic links; remove the circle of links",
}


def refused(function, *arguments):
    with pytest.raises(UserError) as caught:
        function(*arguments)
    return str(caught.value)


JOBS = [(FILES, name) for name in FILES if name != "convert"] + [(FOLDERS, name) for name in FOLDERS]


@pytest.mark.parametrize("cases, name", JOBS, ids=[name for _, name in JOBS])
def test_no_command_begins_what_it_cannot_write(here, cases, name):
    os.symlink("gone/away", "nowhere")
    os.symlink("round", "round")
    before, beside = content(here), os.listdir("..")
    for target, words in PLACES.items():
        for options in ([], ["--replace"]):
            said = refused(call, cases, name, target, *options)
            assert "\n" not in said and "; " in said and re.search(words, said), (target, said)
    assert content(here) == before
    assert os.listdir("..") == beside


def test_a_file_of_weights_is_refused_as_early(here):
    before = content(here)
    for target in ("det.jsonl/w.pdparams", "no/w.pdparams", "n" * 250 + ".pdparams", "/proc/w.pdparams"):
        assert re.search("no folder|does not exist|name of|no file can", refused(dispatch, ["convert", "a", target]))
    assert content(here) == before


@pytest.mark.parametrize(
    "command, name",
    [
        ("train -c {root}/configs/demo.yaml -o output={place}", "det.jsonl/out"),
        ("demo -c {root}/configs/demo.yaml -o output={place}", "det.jsonl/out"),
        ("demo -c {root}/configs/demo.yaml -o output={place}", "."),
        ("download ernie-vil2-base-vit-zh --output {place}", "det.jsonl/out"),
        ("download ernie-vil2-base-vit-zh --output {place}", "/proc/x"),
        ("bench ablation --configs {root}/configs/ablation --output {place} --write new.md", "det.jsonl/out"),
        ("bench ablation --configs {root}/configs/ablation --output new --write {place}", "det.jsonl/out"),
        ("bench systems --configs {root}/configs/systems --output {place} --write new.md", "det.jsonl/out"),
        ("bench scale --measure --measured {place}", "det.jsonl/out"),
        ("eval compare run --output {place}", "det.jsonl/out"),
    ],
)
def test_what_takes_long_is_refused_at_once(here, command, name, monkeypatch):
    write_run(here / "run", Outcome([Result("x", "sts", {"spearman": 0.5}, {}, provenance={})], "ab"), {})
    before = content(here)
    words = [word.format(root=ROOT, place=name) for word in command.split()]
    for place_ in (name, "n" * 300):
        words = [word.format(root=ROOT, place=place_) for word in command.split()]
        said = refused(dispatch, words)
        assert re.search("no folder|no file can be made|cannot be replaced|a name of 300 bytes", said), said
    assert content(here) == before


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EMFILE, errno.EIO])
def test_the_systems_refusal_is_told_with_what_to_do(tmp_path, monkeypatch, number):
    real = os.open

    def refuse(path, flags, *mode, **more):
        if flags & os.O_WRONLY:
            raise OSError(number, os.strerror(number), path)
        return real(path, flags, *mode, **more)

    monkeypatch.setattr(place.os, "open", refuse)
    for ask in (check_file, check_folder):
        said = refused(ask, tmp_path / "out")
        assert os.strerror(number) in said and ADVICE[number] in said and str(tmp_path / "out") in said


def test_where_a_disk_is_mounted_nothing_is_replaced(tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    os.symlink("disk", tmp_path / "link")
    monkeypatch.setattr(place.os.path, "ismount", lambda path: path == str(tmp_path / "disk"))
    for name in ("disk", "link"):
        said = refused(check_folder, tmp_path / name, True)
        assert said == f"{tmp_path / name} is where a disk is mounted, so it cannot be replaced; name a folder in it"
        check_folder(tmp_path / name / "new", replaced=True)
    check_folder(tmp_path / "disk")


def test_asking_leaves_nothing_and_refuses_nothing_that_can_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    os.symlink("in", "link")
    for folder in ("new", "new/", "a/b/c", "in", "in/", "link", "link/x", "./x", "in/../x", "猫", os.fsdecode(b"\xff")):
        check_folder(folder, replaced=True)
        check_folder(folder)
    check_folder(".")
    for file in ("new", "in/new", "link/new", "./new", "in/../new", "猫.json", str(tmp_path / "new")):
        check_file(file)
    check_file("a/b/new", parents=True)
    assert sorted(os.listdir()) == ["in", "link"] and not os.listdir("in")
    monkeypatch.setattr(place.os, "O_TMPFILE", os.O_DIRECTORY, raising=False)  # as where no file is without a name
    check_folder("new")
    assert sorted(os.listdir()) == ["in", "link"]


def test_a_folder_that_was_removed_is_named(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    for ask in (check_file, check_folder):
        assert "the folder in which the command runs was removed; change to another" in refused(ask, "out")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_link_to_a_folder_stays_a_link_and_nothing_is_left_beside_it(here, name):
    (here / "real").mkdir()
    for _ in range(2):
        (here / "real/out").mkdir(exist_ok=True)
        if not os.path.lexists("link"):
            os.symlink("real/out", "link")
        call(
            FOLDERS,
            name,
            "link",
            *(["--per-shard", "1"] if name == "shard" and os.listdir("real/out") else []),
            "--replace",
        )
        assert os.path.islink("link") and os.listdir("link")
        assert os.listdir("real") == ["out"] and not [one for one in os.listdir() if re.search("tmp-|partial", one)]
