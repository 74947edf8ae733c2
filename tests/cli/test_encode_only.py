"""`encode --only`: one side of a source, of sources that have one, by models that have one tower."""

import base64
import dataclasses
import json

import numpy as np
import pytest

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.cli.main import main as cli
from ernie_vil2.inference.model import Model
from ernie_vil2.inference.writer import CHUNK

IMAGE_FILES, TEXT_FILES = {"image.npy", "image_ids.txt"}, {"text.npy", "text_ids.txt", "text_keys.npy"}


@pytest.fixture
def save(tiny_config, tiny_vocab, tmp_path):
    """Function (name, changes of the configuration) -> path of a model directory."""

    def made(name, **changes):
        config, rng = dataclasses.replace(tiny_config, **changes), np.random.default_rng(0)
        state = {key: rng.normal(0, 0.3, shape).astype(np.float32) for key, shape in manifest(config).items()}
        save_model(tmp_path / name, state, config, tiny_vocab if config.text_tower else None)
        return tmp_path / name

    return made


@pytest.fixture
def table(tmp_path, random_image, image_bytes):
    """A file in the release's format: six rows of three images, the fourth of them with a picture that is none."""
    photos = [image_bytes(random_image(30, 40, seed), "JPEG") for seed in range(3)]
    rows = [(f"{'猫狗圆'[row % 3]}", f"图{row // 2}", photos[row // 2]) for row in range(6)]
    rows[3] = ("红", "坏", b"no picture")
    path = tmp_path / "rows.tsv"
    path.write_text("".join(f"{text}\t{key}\t{base64.b64encode(data).decode()}\n" for text, key, data in rows))
    return path


@pytest.fixture
def photos(tmp_path, random_image, image_bytes):
    """A folder of three pictures."""
    (tmp_path / "photos/deep").mkdir(parents=True)
    for seed, name in enumerate(("a.png", "b.png", "deep/c.png")):
        (tmp_path / "photos" / name).write_bytes(image_bytes(random_image(30, 40, seed)))
    return tmp_path / "photos"


@pytest.fixture
def encode(capsys, tmp_path):
    """Function (model, source, *options, out="out") -> (status, stdout, last line of stderr, names of files)."""

    def run(model, source, *options, out="out"):
        with pytest.raises(SystemExit) as leaving:
            cli(["encode", "--model", str(model), "--input", str(source), "--output", str(tmp_path / out), *options])
        told, err = capsys.readouterr()
        names = {path.name for path in (tmp_path / out).iterdir()} if (tmp_path / out).is_dir() else set()
        return leaving.value.code or 0, told, err.splitlines()[-1], names

    return run


def lines(tmp_path, name):
    return (tmp_path / "out" / name).read_text(encoding="utf-8").split()


def test_each_side_alone_is_what_both_together_have(save, table, encode, tmp_path):
    model = save("model")
    assert encode(model, table, out="both")[3] == IMAGE_FILES | TEXT_FILES | {"bad.jsonl", "run.json"}
    status, told, _, names = encode(model, table, "--only", "image")
    assert status == 0 and f"{tmp_path / 'out'}: 3 images of 6 rows; 1 bad row was left out" in told
    assert names == IMAGE_FILES | {"bad.jsonl", "run.json"}
    for name in IMAGE_FILES:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "both" / name).read_bytes()
    status, told, _, names = encode(model, table, "--only", "text", "--replace")
    assert (status, told) == (0, f"wrote {tmp_path / 'out'}: 6 texts of 6 rows\n") and names == TEXT_FILES | {
        "run.json"
    }
    kept = [0, 1, 2, 4, 5]  # the row with a picture that is none has a text that can be read
    for name in ("text.npy", "text_keys.npy"):
        alone, both = (np.load(tmp_path / folder / name) for folder in ("out", "both"))
        np.testing.assert_allclose(alone[kept], both, atol=1e-6)
    assert lines(tmp_path, "text_ids.txt") == ["图0", "图0", "图1", "坏", "图2", "图2"]


def test_no_side_but_the_one_that_is_asked_for_is_computed(save, table, encode, monkeypatch):
    model = save("model")

    def refused(*_, **__):
        raise AssertionError("the other side was encoded")

    with monkeypatch.context() as patched:
        patched.setattr(Model, "encode_image", refused)
        patched.setattr("ernie_vil2.inference.rows.picture_of", refused)
        assert encode(model, table, "--only", "text", out="texts")[0] == 0
    monkeypatch.setattr(Model, "encode_text", refused)
    assert encode(model, table, "--only", "image", out="images")[0] == 0


def test_a_source_of_one_side_needs_no_option(save, photos, encode, tmp_path):
    model = save("model")
    status, told, _, names = encode(model, photos)
    assert status == 0 and "3 images of 3 rows" in told and names == IMAGE_FILES | {"run.json"}
    assert lines(tmp_path, "image_ids.txt") == ["a.png", "b.png", "deep/c.png"]
    wanted = ernie_vil2.load(model).encode_image([photos / key for key in lines(tmp_path, "image_ids.txt")])
    np.testing.assert_allclose(np.load(tmp_path / "out/image.npy"), wanted, atol=1e-5)
    assert encode(model, photos, "--only", "image")[0] == 0  # the same run, which is done
    (tmp_path / "queries.txt").write_text("猫\n\n红的圆\n", encoding="utf-8")
    for options in ((), ("--only", "text")):
        status, told, _, names = encode(model, tmp_path / "queries.txt", "--replace", *options)
        assert status == 0 and "2 texts of 2 rows" in told and names == TEXT_FILES | {"run.json"}
    assert lines(tmp_path, "text_ids.txt") == ["1", "3"]
    wanted = ernie_vil2.load(model).encode_text(["猫", "红的圆"])
    np.testing.assert_allclose(np.load(tmp_path / "out/text.npy"), wanted, atol=1e-5)


def test_a_join_with_pictures_alone_has_their_images_too(save, photos, encode, capsys, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"image": "photos/a.png", "text": "猫"}\n', encoding="utf-8")
    parts = [{"source": str(tmp_path / "rows.jsonl")}, {"source": str(photos), "weight": 3}]
    model, joined = save("model"), json.dumps({"kind": "mix", "sources": parts})
    status, told, _, _ = encode(model, joined)  # one of the pictures is that of the row
    assert status == 0 and "3 images and 1 text of 4 rows" in told
    status, told, _, names = encode(model, joined, "--only", "text", out="texts")
    assert status == 0 and "1 text of 4 rows" in told and names == TEXT_FILES | {"run.json"}
    with pytest.raises(SystemExit) as leaving:
        cli(["eval", "--model", str(model), "--input", joined, "--protocol", "standard"])
    assert not leaving.value.code and "2 images have no text; they are candidates" in capsys.readouterr().out


def test_another_side_does_not_go_on_with_a_run(save, table, encode, tmp_path, monkeypatch):
    model, many = save("model"), tmp_path / "many.tsv"
    many.write_text(table.read_text().splitlines(keepends=True)[0] * (CHUNK + 9))

    class Killed(BaseException):
        pass

    def killed(self, *_):
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr("ernie_vil2.inference.outputs.Arrays.complete", killed)
        encode(model, many, "--only", "text")
    for options in ((), ("--only", "image")):
        status, _, said, _ = encode(model, many, *options)
        assert status == 1 and "was begun with another " in said and " only; repeat the command that began it" in said
    assert encode(model, many, "--only", "text")[0] == 0
    status, _, said, _ = encode(model, many)
    assert status == 1 and "was written with another " in said and " only; delete it or choose" in said


@pytest.mark.parametrize("side, other", [("image", "text"), ("text", "image")])
def test_a_model_of_one_tower_encodes_what_it_has(save, table, photos, encode, tmp_path, side, other):
    model = save("half", **{f"{other}_tower": None})
    assert encode(model, table)[::2] == (1, f"error: this model has no {other} tower; give --only {side}")
    assert encode(model, table, "--only", other)[0] == 1 and not (tmp_path / "out").exists()
    assert encode(model, table, "--only", side)[0] == 0
    assert np.isfinite(np.load(tmp_path / "out" / f"{side}.npy")).all()
    if side == "text":
        status, _, said, _ = encode(model, photos, out="none")
        assert status == 1 and "no image tower; load one that has it, or give a source of texts" in said


def test_what_cannot_be_is_one_sentence(save, table, photos, encode, capsys, tmp_path):
    model = save("model")
    (tmp_path / "queries.txt").write_text("猫\n", encoding="utf-8")
    for source, options, words in (
        (photos, ("--only", "text"), "photos has no captions, which --only text needs; give a source that has them"),
        (tmp_path / "queries.txt", ("--only", "image"), "queries.txt has no images, which --only image needs"),
        (f"{table}::{tmp_path / 'queries.txt'}", (), "has no images, which encoding without --only text needs"),
        (photos, ("--format", "release"), "the format release has both sides in every line"),
    ):
        status, _, said, _ = encode(model, source, *options)
        assert status == 1 and said.startswith("error: ") and words in said
    status, _, said, _ = encode(model, table, "--only", "text", "--format", "release")
    assert status == 2 and "--only does not go with --format release" in said
    assert not list(tmp_path.glob("out*"))
    for side, held, lacked in (("image", "images", "texts"), ("text", "texts", "images")):
        encode(model, table, "--only", side, out=side)
        with pytest.raises(SystemExit) as leaving:
            cli(["eval", "--embeddings", str(tmp_path / side)])
        assert leaving.value.code == 1
        assert f"holds {held} alone, and retrieval needs {lacked} too" in capsys.readouterr().err
    for source in (photos, tmp_path / "queries.txt"):
        with pytest.raises(SystemExit) as leaving:
            cli(["eval", "--model", str(model), "--input", str(source)])
        assert leaving.value.code == 1 and ", which retrieval needs; " in capsys.readouterr().err
