"""Ranks share the pictures out, and their embeddings are those that one process computes."""

import json

import pytest
import yaml

from ernie_vil2.config.run import RunConfig
from ernie_vil2.data.batches.image_embeddings import ImageEmbeddings
from ernie_vil2.data.sources.open import open_pairs
from ernie_vil2.data.sources.pictures import content_digest
from ernie_vil2.data.sources.scenes.vocabulary import build_vocab
from ernie_vil2.errors import UserError
from ernie_vil2.schema import build
from ernie_vil2.training.locked import filling
from ernie_vil2.training.trainer import Trainer
from tests.training.runs import fork_jobs, run_code, write_config

SIZES = {"width": 32, "depth": 2, "heads": 2, "activation": "relu", "dropout": 0.0}
TOWERS = {"image": {"image_size": 32, "patch_size": 8}, "text": {"vocab_size": 0, "positions": 64}}
SOURCE = {"kind": "scenes", "size": 50, "image_size": 32, "languages": ["zh"]}


def trainer_of(folder, cached=True):
    """The Trainer of a run that keeps embeddings, or does not, in this process."""
    folder.mkdir(exist_ok=True)
    path = write_config(
        folder,
        model__image_tower={**SIZES, **TOWERS["image"]},
        model__text_tower={**SIZES, **TOWERS["text"]},
        data={"train": SOURCE, "workers": 0, "cache_locked": cached},
        objective={"pairs": [["image", "caption"], ["image", "tags"]]},
        optimizer={"lr": 1e-3, "warmup": 2, "freeze": [{"match": r"visual\..*"}]},
        train={"steps": 5, "batch_size": 12, "log_every": 1},
    )
    return Trainer(build(RunConfig, yaml.safe_load(path.read_text(encoding="utf-8")), "run.yaml"))


def job(folder):
    """The run of a rank."""
    trainer = trainer_of(folder)
    trainer.run()
    trainer.leave()


def jobs(folder):
    """`job` on two ranks and in one process."""
    fork_jobs(job, folder, (2, 1))


def losses(folder):
    """The losses in the log of a run."""
    lines = map(json.loads, (folder / "run/log.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if line["kind"] == "train"]


def test_two_ranks_keep_what_one_process_keeps_and_learn_the_same(tmp_path):
    build_vocab(tmp_path / "vocab.txt", scenes=50)
    code = "import pathlib, sys, ernie_vil2; from tests.training.locked import test_locked_ranks as here; "
    run_code(code + "here.jobs(pathlib.Path(sys.argv[1]))", tmp_path)
    trainer_of(tmp_path / "plain", False).run()
    assert losses(tmp_path / "2") == pytest.approx(losses(tmp_path / "plain"), abs=1e-4)
    kept, shared = (ImageEmbeddings(next((tmp_path / name / "image_embeddings").iterdir()), 32) for name in "12")
    assert kept.folder.name == shared.folder.name and len(shared.blocks) == 2 and len(kept.blocks) == 1
    for sample in open_pairs(SOURCE):
        digest = content_digest(sample)
        assert kept.find(digest).tobytes() == shared.find(digest).tobytes()


class Seen:
    """Ranks of which this is one of three; the others find the images whose marks are `marks`, one pair a look."""

    rank, size, main = 0, 3, True

    def __init__(self, own, marks):
        self.own, self.marks = own, list(marks)

    def wait(self):
        """Nobody else is there."""

    def sum(self, values):
        return [values[0] + sum(self.marks.pop(0))]

    def any(self, *flags):
        return [bool(flag) for flag in flags]


def test_a_disk_that_shows_late_what_others_wrote_is_waited_for(tmp_path, monkeypatch):
    paused = []
    monkeypatch.setattr(filling.time, "sleep", paused.append)
    trainer = trainer_of(tmp_path / "run")
    images, kept = trainer.locked, trainer.locked.kept
    kept.write(["01" * 16], [[0.0] * 32])
    kept.read()
    own = kept.mark
    images.ranks = Seen(own, [(own, 0.0), (own, own)])
    assert images._agreed() and paused == list(filling.PAUSES[:2])
    images.ranks = Seen(own, [(own, 0.0)] * len(filling.PAUSES))
    assert not images._agreed()
    monkeypatch.setattr(images, "_agreed", lambda: False)
    monkeypatch.setattr(images, "_encode", lambda *given: None)
    with pytest.raises(UserError, match="not the same folder to all ranks"):
        images.fill(filling.np.arange(1), trainer._log(), lambda: False)
    trainer.close()
