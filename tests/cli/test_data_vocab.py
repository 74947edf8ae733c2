"""tools/data.py vocab: what it writes and says, what it refuses, and a run from nothing on its file."""

import json
import re
import shlex
import signal
import subprocess
import sys

import pytest

from ernie_vil2.cli.data.main import main
from ernie_vil2.config.load import load_run
from ernie_vil2.config.run import RunConfig
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.data.vocabulary_file import UNK, read_vocab
from ernie_vil2.errors import ConfigError, run_tool
from ernie_vil2.schema import build
from tests.conftest import ROOT

CAPTIONS = ["一只猫在草地上", "a cat on the grass", "两只 cats 😀", "the cat"]


@pytest.fixture
def source(tmp_path, random_image, image_bytes):
    """JSON lines of four images with a caption each, and tags, and one row that is broken."""
    rows = []
    for index, text in enumerate(CAPTIONS):
        (tmp_path / f"{index}.png").write_bytes(image_bytes(random_image(32, 32, index)))
        rows.append({"image": f"{index}.png", "text": text, "tags": ["猫", "grass"]})
    rows.append({"image": "none.png", "text": "x"})
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_it_writes_what_the_tokenizer_reads_and_says_what_is_in_it(source, tmp_path, capsys):
    out = tmp_path / "vocab.txt"
    assert not main(["vocab", str(source), str(out), "--size", "500"])
    vocab, text = read_vocab(out), capsys.readouterr().out
    chinese = sum("\u4e00" <= token <= "\u9fff" for token in vocab)
    assert "captions         4\n" in text and f"tokens           {len(vocab)} of at most 500" in text
    assert f"Chinese          {chinese} characters\n" in text
    assert f" {sum(len(token.removeprefix('##')) > 1 for token in vocab) - 5} longer pieces\n" in text
    assert f"1 bad row was left out:\n{source}:5: the image file 'none.png' does not exist" in text
    assert text.endswith(f"wrote {out}; train with it by `-o data.vocab={out}`\n")
    pieces = [Tokenizer(out).tokens(caption) for caption in CAPTIONS]
    assert not any(UNK in found for found in pieces)
    assert f"[UNK]            0.00 % of {sum(map(len, pieces))} tokens of captions" in text


def test_options_reach_the_vocabulary(source, tmp_path, capsys):
    source.write_text(source.read_text().replace("a cat on", "A Cat on"))
    out = tmp_path / "vocab.txt"
    main(["vocab", str(source), str(out), "--size", "500", "--no-lower-case", "--coverage", "0.97"])
    text = capsys.readouterr().out
    assert "C" in read_vocab(out) and "-o model.lower_case=false`" in text and "left out by --coverage" in text


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["own.jsonl", "vocab.txt", "--size", "8"], r"--size 8 is too small .*; give at least --size \d+"),
        (["own.jsonl", "vocab.txt", "--size", "500", "--coverage", "2"], "--coverage is 2.0; give a share"),
        (["own.jsonl", "no/vocab.txt", "--size", "500"], "the folder of no/vocab.txt does not exist; create it first"),
        (["own.jsonl", ".", "--size", "500"], "is a folder; name the file"),
        (["won.jsonl", "vocab.txt", "--size", "500"], "did you mean own.jsonl"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_no_file(source, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(source.parent)
    before = sorted(source.parent.iterdir())
    with pytest.raises(SystemExit) as caught:
        run_tool(main, ["vocab", *arguments])
    err = capsys.readouterr().err
    assert caught.value.code == 1 and err.startswith("error: ") and err.count("\n") == 1 and re.search(words, err)
    assert sorted(source.parent.iterdir()) == before


@pytest.mark.parametrize("before", [None, b"as before"])
def test_a_kill_while_it_writes_leaves_no_half_file(source, tmp_path, before):
    out = tmp_path / "vocab.txt"
    if before is not None:
        out.write_bytes(before)
    code = (
        "import os, signal, sys; from ernie_vil2.cli.data.main import main;"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL);"
        "main(['vocab', sys.argv[1], sys.argv[2], '--size', '500', '--replace'])"
    )
    done = subprocess.run([sys.executable, "-c", code, source, out], cwd=ROOT, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert (out.read_bytes() if out.exists() else None) == before


def test_the_sentence_on_a_missing_vocabulary_names_a_command_that_works(source, tmp_path):
    from ernie_vil2.training.setup.vocabulary import prepare_vocab

    config = build(RunConfig, {"data": {"train": str(source)}}, "run.yaml")
    with pytest.raises(ConfigError, match="data.vocab is not set; name the vocabulary file") as caught:
        prepare_vocab(config, tmp_path)
    program, *arguments = shlex.split(re.search("`ernie-vil2 (.*)`", str(caught.value))[1])
    assert program == "data"
    places = {"SOURCE": str(source), "vocab.txt": str(tmp_path / "own.txt")}
    main([places.get(argument, argument) for argument in arguments])
    assert read_vocab(tmp_path / "own.txt")


def test_a_run_from_nothing_trains_with_it(source, tmp_path):
    from ernie_vil2.training.trainer import Trainer
    from tests.training.runs import write_config

    main(["vocab", str(source), str(tmp_path / "own.txt"), "--size", "120"])
    data = {"train": str(source), "vocab": str(tmp_path / "own.txt"), "max_bad": 1.0, "workers": 0}
    train = {"steps": 3, "batch_size": 4, "log_every": 1}
    pairs = {"pairs": [["image", "caption"], ["image", "tags"]]}
    trainer = Trainer(load_run(write_config(tmp_path, data=data, train=train, objective=pairs)))
    rows = max(read_vocab(tmp_path / "own.txt").values()) + 1
    assert trainer.config.model.text_tower.vocab_size == rows
    folder = trainer.run()
    assert (folder / "vocab.txt").read_bytes() == (tmp_path / "own.txt").read_bytes()
    log = (tmp_path / "run/log.jsonl").read_text().splitlines()
    assert [record["step"] for record in map(json.loads, log) if record["kind"] == "train"] == [1, 2, 3]
