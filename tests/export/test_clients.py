"""Each client in a process that has neither this project nor, but for its own runtime, Paddle: embeddings are ours."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ernie_vil2.config.model import PIXEL_PROFILES, PixelProfile
from ernie_vil2.export.client_process import client_embeddings
from ernie_vil2.export.description import description, write_description
from ernie_vil2.export.exported_model import AVERAGE, exported_model
from ernie_vil2.export.parity_inputs import drawn_items
from ernie_vil2.export.targets import TARGETS
from tests.inference.engines.towers import BRIVL, PLAIN

ABSENT = {"paddle": ("ernie_vil2",), "openvino": ("ernie_vil2", "paddle")}
BOXED = replace(BRIVL, pixels=replace(PIXEL_PROFILES["brivl"], size=32))
PILLOW = replace(PLAIN, pixels=PixelProfile(decoder="pil", interpolation="bicubic", resize="short_side", size=32))


@pytest.fixture
def exported(directory, tmp_path):
    """Function (config, target) -> (model, the folder of an export that nobody has tried)."""

    def make(config, target):
        model, folder, form = exported_model(directory(config)), tmp_path / "exported", TARGETS[target]
        folder.mkdir()
        form.write(model, folder)
        write_description(folder, description(model, form, AVERAGE, []))
        return model, folder

    return make


@pytest.mark.parametrize(
    "target, config", [("openvino", PLAIN), ("openvino", BOXED), ("paddle", BOXED), ("paddle", PILLOW)]
)
def test_embeddings_are_ours(target, config, exported, tmp_path):
    model, folder = exported(config, target)
    items = drawn_items(tmp_path)
    items = replace(items, texts=(*items.texts, "Un CAFÉ, 猫！", "αΣ"))
    found = client_embeddings(folder, items, ABSENT[target])
    wanted = {"image": model.encode_image(list(items.pictures)), "text": model.encode_text(list(items.texts))}
    for side, rows in wanted.items():
        assert np.ptp(rows, axis=0).max() > 1e-2, "inputs are told apart"
        np.testing.assert_allclose(found[side], rows, rtol=0, atol=2e-6)


def test_modules_in_the_working_directory_are_not_taken_for_what_it_imports(exported, tmp_path, monkeypatch):
    folder = exported(PLAIN, "openvino")[1]
    (tmp_path / "openvino.py").write_text("raise SystemExit('a program of the user')")
    monkeypatch.chdir(tmp_path)
    assert len(client_embeddings(folder, drawn_items(tmp_path))["image"]) == 8


def test_its_command_ranks_pictures_for_sentences(exported, tmp_path):
    model, folder = exported(PLAIN, "openvino")
    pictures = [str(path) for path in drawn_items(tmp_path).pictures[:3]]
    sentences = ["红色的猫", "a dog"]
    scores = model.encode_text(sentences) @ model.encode_image(pictures).T
    wanted = []
    for sentence, cosines in zip(sentences, scores, strict=True):
        wanted += [sentence, *(f"{cosines[at]:.4f}  {pictures[at]}" for at in np.argsort(-cosines))]
    done = command(folder, *pictures, "--", *sentences)
    assert done.returncode == 0, done.stderr
    assert [line.strip() for line in done.stdout.splitlines()] == wanted


def test_a_client_of_paddle_prints_what_it_found_and_no_passes(exported, tmp_path):
    folder = exported(PLAIN, "paddle")[1]
    done = command(folder, str(drawn_items(tmp_path).pictures[0]), "--", "红色的猫")
    assert done.returncode == 0 and done.stdout.splitlines()[0] == "红色的猫"
    assert "pass" not in done.stderr and "subgraphs" not in done.stderr


def test_its_command_says_what_it_takes(exported):
    folder = exported(PLAIN, "openvino")[1]
    for arguments in (["a.jpg"], ["--", "a"], ["a.jpg", "--"]):
        done = command(folder, *arguments)
        assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith("usage: python client.py PICTURE")


def command(folder, *arguments):
    """The client run by its file's name, from another folder and without PYTHONPATH."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PYTHONUTF8": "1"}
    return subprocess.run(
        [sys.executable, str(folder / "client.py"), *arguments],
        env=environment,
        cwd=folder.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_requirements_pin_what_the_client_imports(exported):
    folder = exported(PILLOW, "openvino")[1]
    names = [line.partition("==")[0] for line in (folder / "requirements.txt").read_text().splitlines()]
    assert names == ["numpy", "openvino", "pillow", "tokenizers"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["client.py", "export.json", "image.bin", "image.xml", "requirements.txt", "text.bin", "text.xml"]
    )
