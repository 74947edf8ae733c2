"""`sample`: the same files each time, in every form that a user may have, and nothing of a user replaced."""

import subprocess

import pytest

from ernie_vil2.cli import sample
from ernie_vil2.data.check.check import check
from ernie_vil2.data.sample_folder import FILES
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.errors import ConfigError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "mine"
    sample.main([str(path)])
    return path


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_files_are_written_each_time(folder, tmp_path):
    sample.main([str(tmp_path / "again")])
    assert contents(folder) == contents(tmp_path / "again")
    assert {path.name for path in folder.iterdir()} == {*FILES, "sample.json"}


def test_every_form_holds_the_same_pictures_and_captions(folder):
    lines = open_source(folder / "photos.jsonl")
    assert len(lines) == 12 and all(len(row.texts) == 3 and row.tags for row in lines)
    for name in ("table.csv", "pairs.tsv"):
        rows = list(open_source(folder / name))
        assert [row.texts[0] for row in rows] == [row.texts[0] for row in lines]
    assert [row.id for row in open_source(folder / "pairs.tsv")] == [row.id for row in lines]
    assert "图片,描述\r\n".encode("gbk") in (folder / "table.csv").read_bytes()
    ids = [[row.id for row in open_source(folder / f"{part}.jsonl")] for part in ("train", "valid")]
    assert sorted(ids[0] + ids[1]) == [row.id for row in lines] and (len(ids[0]), len(ids[1])) == (8, 4)


def test_its_vocabulary_knows_every_caption(folder):
    tokenizer = Tokenizer(folder / "vocab.txt")
    texts = [text for row in open_source(folder / "photos.jsonl") for text in row.texts]
    assert not any(tokenizer.unk_id in ids for ids in tokenizer.encode(texts).tolist())


def test_the_check_finds_nothing_wrong(folder):
    report = check(open_source(folder / "photos.jsonl"))
    assert report.bad == 0 and report.rows == 12


def test_a_folder_with_other_things_is_left_alone(tmp_path, capsys):
    sample.main([str(tmp_path / "mine")])
    told = capsys.readouterr().out
    assert "12 pictures" in told and f"cd {tmp_path}/mine" in told
    sample.main([str(tmp_path / "mine")])  # its own alone is replaced
    (tmp_path / "mine/notes.txt").write_text("mine")
    for more in ([], ["--replace"]):
        with pytest.raises(ConfigError, match="not a sample with nothing else in it, so it is not replaced"):
            sample.main([str(tmp_path / "mine"), *more])
    assert (tmp_path / "mine/notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["我的 图片", "-x", "it's $HOME"])
def test_the_printed_lines_lead_into_the_folder_whatever_its_name(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sample.main(["--", name])
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("cd "))
    done = subprocess.run(["sh", "-c", f"{line} && ls"], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {*FILES, "sample.json"}


def test_what_a_user_put_into_a_sample_is_no_loss(tmp_path):
    target = tmp_path / "mine"
    sample.main([str(target)])
    (target / "photos/my own.jpg").write_bytes(b"mine")
    for more in ([], ["--replace"]):
        with pytest.raises(ConfigError, match="not a sample with nothing else in it"):
            sample.main([str(target), *more])
    (target / "photos/my own.jpg").unlink()
    before = (target / "train.jsonl").read_bytes()
    (target / "train.jsonl").write_bytes(b"mine")
    with pytest.raises(ConfigError, match="in which train.jsonl was changed, .* --replace"):
        sample.main([str(target)])
    assert (target / "train.jsonl").read_bytes() == b"mine"
    sample.main([str(target), "--replace"])
    assert (target / "train.jsonl").read_bytes() == before
    next((target / "photos").iterdir()).unlink()
    sample.main([str(target)])  # what is gone is no loss
    assert len(list((target / "photos").iterdir())) == 12
