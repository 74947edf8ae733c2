"""Paths with braces, `::` and globs are those that webdataset and bash name, wherever a source is taken; those of
Windows and of the network are known for what they are."""

import io
import os
import subprocess
import tarfile
import time

import pytest
from PIL import Image

from ernie_vil2.cli.main import dispatch
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import ConfigError, DataError, UserError
from ernie_vil2.files.claim import Claims
from ernie_vil2.files.paths.patterns import MOST, expanded, is_braces
from ernie_vil2.inference.model import load


def tars(folder, *names):
    for shade, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w") as tar:
            buffer = io.BytesIO()
            Image.new("RGB", (32, 32), (shade, 0, 0)).save(buffer, "PNG")
            for suffix, content in ((".png", buffer.getvalue()), (".txt", "猫".encode())):
                about = tarfile.TarInfo(path.stem + suffix)
                about.size = len(content)
                tar.addfile(about, io.BytesIO(content))


TEXTS = (
    "plain a{b,c}d {a,b}{c,d} x{00..03}.tar x{8..11} x{08..11} {3..1} {0..10..5} {10..0..5} {a..e} {-1..1} {001..3} "
    "{a,{b,c}d,{1..2}}e {a} a{ }a{b,c} {a{b,c} {,a}b a{1..2 {{1..2}} {1..x}"
).split()


@pytest.mark.parametrize("text", TEXTS)
def test_braces_are_expanded_as_bash_does(text):
    said = subprocess.run(["bash", "-c", f"printf '%s\\n' {text}"], capture_output=True, text=True, check=True).stdout
    assert expanded(text) == said.splitlines()


@pytest.mark.parametrize(
    "text", ["{0..999999999}", "{0..999999999999999999}", "{0..9999}{0..9999}", "{a,b}" * 16, "{" * 2000 + "}" * 2000]
)
def test_no_braces_take_all_memory_or_time(text):
    began = time.monotonic()
    try:
        assert expanded(text) == [text] or len(expanded(text)) == 2**16
    except ConfigError as error:
        assert f"stands for over {MOST:,} names" in str(error)
    assert time.monotonic() - began < 30


def test_every_place_that_takes_a_source_takes_shards_in_braces(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = [f"shards/{number:05d}.tar" for number in range(3)] + ["more/b.tar"]
    tars(tmp_path, *names)
    for spec, count in (
        ("shards/{00000..00002}.tar", 3),
        ("shards/0000{0,2}.tar", 2),
        ("{shards,more}/*.tar", 4),
        ("{shards/{00000..00001},more/b}.tar", 3),
        ("shards/{00000..00001}.tar::more/b.tar", 3),
        ("{shards,more}", 4),
        ("{kind: tar, path: 'shards/{00000..00002}.tar'}", 3),
        (["shards/{00000..00001}.tar", "more/b.tar"], 3),
    ):
        source = open_source(spec)
        assert len(source) == count == len({sample.id for sample in source}), spec
    assert is_braces("{shards,more}") and not is_braces("{kind: tar}") and not is_braces('{"kind":"tar"}')
    assert dispatch(["data", "check", "shards/{00000..00002}.tar"]) == 0
    with pytest.raises(ConfigError, match="shards/00001.tar is an input of this command"):
        Claims("data check", ["shards/{00000..00002}.tar"]).file("shards/00001.tar")
    (tmp_path / "{a,b}.tar").write_bytes((tmp_path / "more/b.tar").read_bytes())
    assert len(open_source("{a,b}.tar")) == 1  # a file of that very name


def test_the_first_shard_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tars(tmp_path, "s/00000.tar", "s/00002.tar")
    with pytest.raises(DataError, match=r"s/00001.tar: no such file .*, the first missing of .*\{00000..00009\}.tar"):
        open_source("s/{00000..00009}.tar")
    with pytest.raises(DataError, match="no file matches t/"):
        open_source("{s,t}/*.tar")
    for spec in ("s/00000.tar::", "::s/00000.tar", "s/00000.tar::::s/00002.tar"):
        with pytest.raises(DataError, match=f"on one side of :: in {spec}; leave :: out or add the name"):
            open_source(spec)
    with pytest.raises(ConfigError, match="stands for over"):
        open_source("s/{0..999999999}.tar")
    os.symlink("gone", "link.tar")
    with pytest.raises(DataError, match="link.tar: is a link to gone, which is not there"):
        open_source("link.tar")


@pytest.mark.parametrize(
    "path, words",
    [
        (r"C:\data\a.jsonl", "path of Windows: give the one on this machine"),
        ("C:/data/a.jsonl", "path of Windows: give the one on this machine"),
        (r"data\a.jsonl", "path of Windows: did you mean data/a.jsonl?"),
        (r"\\server\share\a.tsv", "path of Windows"),
        (r"D:\shards\*.tar", "path of Windows"),
        ("https://host/a.tar", "this is an address, and only files are read: download it first"),
        ("s3://bucket/{000..009}.tar", "this is an address"),
        ("pipe:cat a.tar", "this is a command, and none is run"),
    ],
)
def test_a_path_that_means_something_elsewhere_is_known(tmp_path, monkeypatch, path, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.jsonl").write_text("{}")
    for opener, error in ((open_source, DataError), (load, UserError)):
        with pytest.raises(error) as caught:
            opener(path)
        assert words in str(caught.value)


def test_a_folder_that_was_removed_is_told(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    with pytest.raises(DataError, match="the folder in which the command runs was removed"):
        open_source("*.tar")
    with pytest.raises(DataError, match="a.tar: the folder in which the command runs was removed"):
        open_source("a.tar")
    monkeypatch.chdir(tmp_path)


def test_what_the_system_does_not_follow_is_told_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink("round.jsonl", "round.jsonl")
    (tmp_path / "a.jsonl").write_text("{}")
    for name, words in (
        ("round.jsonl", "remove the circle of links"),
        ("a.jsonl/x", "correct the path, a part of which is no folder"),
        ("n" * 300, "choose a shorter name"),
    ):
        with pytest.raises(DataError, match=words):
            open_source(name)
        with pytest.raises((UserError, OSError)):
            dispatch(["interpolate", name, name, "out"])
