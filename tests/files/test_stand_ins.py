"""A pointer of Git LFS, or a web page, where a file should be: whoever opens it says so."""

import os

import numpy as np
import pytest

from ernie_vil2.checkpoints.formats.paddle_file import open_pdparams
from ernie_vil2.checkpoints.formats.safetensors_file import open_safetensors
from ernie_vil2.checkpoints.formats.torch_file import open_torch
from ernie_vil2.checkpoints.layouts.any_source import open_source as open_weights
from ernie_vil2.checkpoints.model_directory import open_model, save_model
from ernie_vil2.data.images.decode import decode
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.vocabulary_file import read_vocab
from ernie_vil2.errors import UserError
from ernie_vil2.evaluation.embeddings import read_embeddings
from ernie_vil2.files.json_files import read_json
from ernie_vil2.files.stand_ins import stand_in, stand_in_at
from ernie_vil2.files.yaml_files import read_yaml

HEADS = {
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 815000000\n",
    "page": b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n",
    "page with a mark": b"\xef\xbb\xbf\r\n<HTML lang='zh'>\n",
    "answer": b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
}
SAID = {"pointer": "is a Git LFS pointer, not the file itself; fetch it with git lfs pull"}
PAGE = "is a web page, which a server may have sent in place of the file; download it again"


def lmdb(path):
    for name in ("imgs", "pairs"):
        (path.parent / name).mkdir()
        (path.parent / name / "data.mdb").write_bytes(path.read_bytes())
    open_source({"kind": "lmdb", "path": str(path.parent)})


def embeddings(path):
    for name in ("image", "text"):
        (path.parent / f"{name}_ids.txt").write_text("a\n")
        np.save(path.parent / f"{name}.npy", np.eye(1, dtype="float32"))
    (path.parent / "text.npy").write_bytes(path.read_bytes())
    read_embeddings(path.parent)


def source(path):
    return list(open_source(str(path)))


READERS = {
    "Paddle's weights": ("a.pdparams", open_pdparams),
    "torch's weights": ("a.pt", open_torch),
    "weights in safetensors": ("a.safetensors", open_safetensors),
    "weights of any kind": ("pytorch_model.bin", open_weights),
    "weights in a folder": ("model.safetensors", lambda path: open_weights(path.parent)),
    "an index of weights": ("pytorch_model.bin.index.json", open_weights),
    "a vocabulary": ("vocab.txt", read_vocab),
    "JSON": ("a.json", read_json),
    "YAML": ("a.yaml", read_yaml),
    "an image": ("a.jpg", decode),
    "a tar": ("a.tar", source),
    "a table": ("a.tsv", source),
    "a table of commas": ("a.csv", source),
    "JSON lines": ("a.jsonl", source),
    "an lmdb": ("data", lmdb),
    "embeddings": ("data", embeddings),
    "embeddings as text": ("a.txt", read_embeddings),
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", READERS)
def test_every_reader_says_what_it_met(tmp_path, name, head):
    file, read = READERS[name]
    (tmp_path / file).write_bytes(HEADS[head])
    with pytest.raises(UserError) as caught:
        read(tmp_path / file)
    assert str(tmp_path) in str(caught.value)
    reason, fix = SAID.get(head, PAGE).split("; ")
    assert reason in str(caught.value)
    assert fix in str(caught.value) or name == "YAML"


@pytest.mark.parametrize("name", ("model.safetensors", "vocab.txt", "config.json"))
def test_a_model_directory_that_git_left_without_its_files(tmp_path, tiny_state, tiny_config, tiny_vocab, name):
    save_model(tmp_path / "model", tiny_state, tiny_config, tiny_vocab)
    (tmp_path / "model" / name).write_bytes(HEADS["pointer"])
    with pytest.raises(UserError, match=f"{name}.* is a Git LFS pointer, not the file itself"):
        open_model(tmp_path / "model")


def test_what_only_looks_alike_is_no_stand_in(tmp_path):
    drawing = b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>"
    for head in (b"", b"version 2\n", b"<a>1</a>\n", b"text <html>", drawing):
        assert stand_in(head) is None
    os.mkfifo(tmp_path / "pipe")
    assert stand_in_at(tmp_path / "pipe") is stand_in_at(tmp_path / "absent") is stand_in_at(tmp_path) is None
