"""Ranks share the pictures out, and their embeddings are those that one process computes."""

import json

import pytest

from ernie_vil2.data.batches.image_embeddings import ImageEmbeddings
from ernie_vil2.data.sources.open import open_pairs
from ernie_vil2.data.sources.pictures import content_digest
from tests.training.runs import train, write_config

SIZES = {"width": 32, "depth": 2, "heads": 2, "activation": "relu", "dropout": 0.0}
TOWERS = {"image": {"image_size": 32, "patch_size": 8}, "text": {"vocab_size": 0, "positions": 64}}
SOURCE = {"kind": "scenes", "size": 50, "image_size": 32, "languages": ["zh"]}


def run(folder, processes, cached):
    """The losses of a run that keeps embeddings, or does not."""
    folder.mkdir()
    path = write_config(
        folder,
        model__image_tower={**SIZES, **TOWERS["image"]},
        model__text_tower={**SIZES, **TOWERS["text"]},
        data={"train": SOURCE, "workers": 1, "cache_locked": cached},
        objective={"pairs": [["image", "caption"], ["image", "tags"]]},
        optimizer={"lr": 1e-3, "warmup": 2, "freeze": [{"match": r"visual\..*"}]},
        train={"steps": 5, "batch_size": 12, "log_every": 1},
    )
    done = train("-c", path, processes=processes, log_dir=folder / "launch")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    lines = map(json.loads, (folder / "run/log.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if line["kind"] == "train"]


def test_two_ranks_keep_what_one_process_keeps_and_learn_the_same(tmp_path):
    one, two = run(tmp_path / "one", 1, False), run(tmp_path / "two", 2, True)
    assert two == pytest.approx(one, abs=1e-4)
    run(tmp_path / "kept", 1, True)
    kept, shared = (
        ImageEmbeddings(next((tmp_path / name / "image_embeddings").iterdir()), 32) for name in ("kept", "two")
    )
    assert kept.folder.name == shared.folder.name and len(shared.blocks) == 2 and len(kept.blocks) == 1
    for sample in open_pairs(SOURCE):
        digest = content_digest(sample)
        assert kept.find(digest).tobytes() == shared.find(digest).tobytes()
