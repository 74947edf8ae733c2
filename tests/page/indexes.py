"""A folder of indexes of every kind that the page has to show, built by the commands that a person would give."""

import contextlib
import io
import os
import shutil
from pathlib import Path

import numpy as np

from ernie_vil2.cli.main import dispatch
from ernie_vil2.files.locks import exclusive
from tests.page.models import train_model
from tests.page.pictures import labelled_pairs, write_album, write_shapes

SHAPES, AGAIN, VECTORS, EMPTY, BROKEN = "shapes", "again", "vectors", "empty", "broken"
"""With texts and a video; the same pictures by another model; of no known model; without a row; damaged."""
FITS, SAME = "fits", "same"
"""Thresholds of a sentence and a picture, and of two pictures, calibrated on SHAPES."""


def corpus(folder):
    """Fill a folder with pictures, two models and `indexes`, unless an earlier run or another process has; its path."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(folder.with_name(f"{folder.name}.lock"), lambda: None):
        if not (folder / "indexes").is_dir():
            shutil.rmtree(folder, ignore_errors=True)
            fill(folder)
    return folder


def fill(folder):
    """Make the pictures, the models and the indexes; `indexes` appears when all of it is done."""
    rows = write_shapes(folder / "shapes")
    write_album(folder / "album")
    models = [train_model(folder / name, rows, seed) for seed, name in enumerate(("model", "model2"))]
    unfinished = folder / "indexes.unfinished"
    for name, model in zip((SHAPES, AGAIN), models, strict=True):
        build(unfinished / name, rows, folder / "album", "--model", model)
    for of, name in (("text-image", FITS), ("image-image", SAME)):
        pairs = folder / f"{name}.tsv"
        pairs.write_text("".join(f"{a}\t{b}\t{label:d}\n" for a, b, label in labelled_pairs(of)), encoding="utf-8")
        run("eval", "calibrate", unfinished / SHAPES, "--pairs", pairs, "--of", of, "--name", name)
    vectors = np.random.default_rng(0).standard_normal((12, 16)).astype(np.float32)
    np.save(folder / "vectors.npy", vectors)
    (folder / "vectors.txt").write_text("".join(f"picture {number}\n" for number in range(len(vectors))))
    build(unfinished / VECTORS, "--embeddings", folder / "vectors.npy")
    (folder / "one").mkdir()
    shutil.copy(folder / "album" / "first.jpg", folder / "one")
    build(unfinished / EMPTY, folder / "one", "--model", models[0])
    run("index", "remove", unfinished / EMPTY, "--path", "*")
    shutil.copytree(unfinished / AGAIN, unfinished / BROKEN)
    (unfinished / BROKEN / "manifest.json").write_text("{")
    unfinished.rename(folder / "indexes")


def build(index, *arguments):
    """Run `index build`."""
    run("index", "build", index, *arguments)


def run(*arguments):
    """Run a command of ernie-vil2 in this process, silently; AssertionError where it fails."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        status = dispatch([str(argument) for argument in arguments])
    assert not status, told.getvalue()


def kept_folder(temporary):
    """Where the corpus lies: PAGE_KEPT, so that further runs need not make it, or else a temporary folder."""
    named = os.environ.get("PAGE_KEPT")
    return Path(named).resolve() if named else temporary
