"""A run with kept embeddings is the plain run, bit for bit where that encodes images singly, and looks at each once."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from ernie_vil2.config.run import RunConfig
from ernie_vil2.config.towers import KINDS
from ernie_vil2.data.batches.views import ViewMaker
from ernie_vil2.errors import ConfigError, UserError
from ernie_vil2.schema import build
from ernie_vil2.training.distributed import Ranks
from ernie_vil2.training.locked import filling, tower
from ernie_vil2.training.locked.filling import LockedImages
from ernie_vil2.training.locked.tower import LockedTower
from ernie_vil2.training.trainer import Trainer
from tests.training.runs import arrays, different

TOWER = {"width": 32, "depth": 2, "heads": 2, "activation": "relu"}
WORDS = "红 黄 蓝 绿 圆 方 大 小 左 右 上 下".split()
FAILING = "torn.jpg"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 14 pictures with captions, one of which cannot be decoded, in rows.jsonl, and vocab.txt."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(3)
    rows = []
    for number in range(14):
        name = FAILING if number == 5 else f"{number}.jpg"
        cv2.imwrite(str(folder / name), rng.integers(0, 255, (40, 48, 3), np.uint8))
        text = " ".join(WORDS[place] for place in rng.permutation(12)[:4])
        rows.append(json.dumps({"image": name, "texts": [text]}))
    (folder / FAILING).write_bytes(b"no picture")
    (folder / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    tokens = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *dict.fromkeys("".join(WORDS))]
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return folder


def config_of(photos, folder, cached=True, **sections):
    data = {
        "output": str(folder / "run"),
        "model": {
            "max_length": 16,
            "pixels": {"size": 32},
            "image_tower": {**TOWER, "image_size": 32, "patch_size": 8, "dropout": 0.0},
            "text_tower": {**TOWER, "vocab_size": 0, "positions": 16, "dropout": 0.1},
        },
        "data": {
            "train": str(photos / "rows.jsonl"),
            "valid": str(photos / "rows.jsonl"),
            "vocab": str(photos / "vocab.txt"),
            "workers": 0,
            "cache_locked": cached,
        },
        "optimizer": {"lr": 1e-3, "warmup": 2, "freeze": [{"match": r"visual\..*"}]},
        "train": {
            "steps": 6,
            "batch_size": 6,
            "micro_batch": 1,  # as embeddings are computed: products of several rows may round otherwise
            "log_every": 1,
            "save_every": 3,
            "keep": 9,
            "ema": 0.9,
        },
    }
    for name, section in sections.items():
        data[name] = {**data.get(name, {}), **section}
    return build(RunConfig, data, "test.yaml")


@pytest.fixture(scope="module")
def plain(photos, tmp_path_factory):
    """The folder of the plain run."""
    folder = tmp_path_factory.mktemp("plain")
    Trainer(config_of(photos, folder, False)).run()
    return folder


@pytest.fixture
def decoded(monkeypatch):
    """A list that grows by every picture that is decoded for training."""
    seen, crops = [], ViewMaker._crops
    monkeypatch.setattr(ViewMaker, "_crops", lambda self, image, *key: seen.append(image) or crops(self, image, *key))
    return seen


def names(decoded):
    return sorted(Path(image).name for image in decoded if Path(image).name != FAILING)


def records(folder):
    lines = map(json.loads, (folder / "run/log.jsonl").read_text().splitlines())
    timed = {"reader_cost", "batch_cost", "ips", "eta", "time"}
    kept = [line for line in lines if line["kind"] in ("train", "valid")]
    return [
        {k: v for k, v in line.items() if isinstance(v, (int, float)) and k not in timed and not k.endswith("_mb")}
        for line in kept
    ]


def test_it_learns_what_the_plain_run_learns_and_a_picture_is_decoded_once(photos, plain, tmp_path, decoded):
    Trainer(config_of(photos, tmp_path)).run()
    assert len(names(decoded)) == 13 == len(set(names(decoded)))
    for step in (3, 6):
        assert different(arrays(plain, step), arrays(tmp_path, step)) == []
    assert records(plain) == records(tmp_path)
    decoded.clear()
    config = config_of(photos, tmp_path, optimizer={"lr": 1e-4, "warmup": 0})
    config.output = str(tmp_path / "again")
    Trainer(config).run()
    assert names(decoded) == []


def test_loader_processes_find_them_and_a_run_goes_on_bit_for_bit(photos, plain, tmp_path, decoded):
    config = config_of(photos, tmp_path, data={"workers": 1}, train={"steps": 6})
    Trainer(config).run()
    for path in (tmp_path / "run/checkpoints").glob("step-0000006*"):
        path.rename(tmp_path / path.name)
    decoded.clear()
    Trainer(config, "auto").run()
    assert names(decoded) == [] and different(arrays(plain, 6), arrays(tmp_path, 6)) == []


def test_rows_that_share_a_picture_have_it_encoded_once(photos, tmp_path, monkeypatch):
    rows = (photos / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    (photos / "thrice.jsonl").write_text("\n".join(row for row in rows for _ in range(3)), encoding="utf-8")
    encoded, encode = [], LockedTower.encode
    monkeypatch.setattr(LockedTower, "encode", lambda self, crops: encoded.extend(crops) or encode(self, crops))
    trainer = Trainer(config_of(photos, tmp_path, data={"train": str(photos / "thrice.jsonl")}))
    assert trainer.locked.fill(np.arange(42), trainer._log(), lambda: False)
    assert len(encoded) == 13 == len(trainer.locked.kept)
    trainer.close()


def fill(trainer, rows=14):
    """Whether the trainer had the embeddings of the first rows made."""
    return trainer.locked.fill(np.arange(rows), trainer._log(), lambda: False)


def test_a_picture_that_changed_is_encoded_again_and_the_others_are_not(photos, tmp_path, decoded):
    trainer = Trainer(config_of(photos, tmp_path))
    fill(trainer)
    decoded.clear()
    before = (photos / "3.jpg").read_bytes()
    cv2.imwrite(str(photos / "3.jpg"), np.full((40, 40, 3), 9, np.uint8))
    try:
        trainer.maker.kept = None
        assert fill(trainer) and names(decoded) == ["3.jpg"]
    finally:
        (photos / "3.jpg").write_bytes(before)
        trainer.close()


def test_a_picture_that_changes_while_the_run_goes_on_is_a_bad_row(photos, tmp_path):
    trainer = Trainer(config_of(photos, tmp_path))
    sample = trainer.source[2]
    trainer.locked.fill(np.arange(14), trainer._log(), lambda: False)
    assert trainer.maker.make(sample, 0, 2).embeds["image"].shape == (32,)
    before = (photos / "2.jpg").read_bytes()
    cv2.imwrite(str(photos / "2.jpg"), np.full((40, 40, 3), 9, np.uint8))
    try:
        with pytest.raises(UserError, match="has changed since"):
            trainer.maker.make(sample, 0, 2)
    finally:
        (photos / "2.jpg").write_bytes(before)
        trainer.close()


def test_what_a_kill_left_is_gone_on_with_and_damage_is_mended(photos, tmp_path, decoded, monkeypatch):
    monkeypatch.setattr(filling, "BLOCK_ROWS", 2)
    trainer = Trainer(config_of(photos, tmp_path))
    log, asked = trainer._log(), []
    assert not trainer.locked.fill(np.arange(14), log, lambda: asked.append(0) or len(asked) > 6)
    trainer.locked.kept.read()
    there = len(trainer.locked.kept)
    assert 0 < there < 13 and trainer.maker.kept is None
    decoded.clear()
    assert trainer.locked.fill(np.arange(14), log, lambda: False)
    assert len(names(decoded)) == 13 - there
    whole = {path.name for path in trainer.locked.kept.folder.glob("*.npy")}
    path = trainer.locked.kept.folder / sorted(whole)[0]
    path.write_bytes(path.read_bytes()[:-1])
    trainer.maker.kept = None
    decoded.clear()
    assert trainer.locked.fill(np.arange(14), log, lambda: False)
    assert 1 <= len(names(decoded)) <= 2 and len(trainer.locked.kept) == 13
    trainer.close()


class Two(Ranks):
    """The first of two ranks, whose other one sees another folder in its first `apart` looks."""

    def __init__(self, apart):
        super().__init__()
        self.size, self.apart = 2, apart

    def sum(self, values):
        if values[0] < 2:
            return np.asarray(values, np.float64)  # answers, which the other one gives as this one
        self.apart -= 1
        return 2.0 * np.asarray(values) + (self.apart >= 0)

    def meet(self):
        pass

    wait = meet


def test_another_run_may_write_while_ranks_look_at_the_folder_but_two_folders_are_refused(
    photos, tmp_path, monkeypatch
):
    trainer = Trainer(config_of(photos, tmp_path))
    trainer.locked.ranks = Two(1)
    assert trainer.locked.fill(np.arange(14), trainer._log(), lambda: False)
    trainer.locked.ranks = Two(9)
    monkeypatch.setattr(filling, "PAUSES", (0.0,) * 5)
    with pytest.raises(UserError, match="not the same folder to all ranks"):
        trainer.locked.fill(np.arange(14), trainer._log(), lambda: False)
    trainer.close()


def test_other_weights_or_other_pixels_have_embeddings_of_their_own(photos, tmp_path):
    folders = set()
    for number, sections in enumerate([{}, {"model": {"seed": 1}}, {"data": {"damaged": "keep"}}]):
        config = config_of(photos, tmp_path / str(number), **{k: v for k, v in sections.items() if k != "model"})
        config.seed = sections.get("model", {}).get("seed", 0)
        config.data.cache_folder = str(tmp_path / "kept")
        trainer = Trainer(config)
        folders.add(trainer.locked.kept.folder)
        trainer.close()
    assert len(folders) == 3 and {folder.parent for folder in folders} == {tmp_path / "kept"}


def test_a_tower_of_a_users_own_has_others_when_its_code_changes_and_none_where_rows_depend(
    photos, tmp_path, monkeypatch
):
    config, keys = config_of(photos, tmp_path), set()
    trainer = Trainer(config)
    for code in ("", "1", "2"):
        monkeypatch.setattr(tower, "code_digest", lambda what, name, code=code: f"{what} {name} {code}")
        keys.add(tower.tower_key(trainer.rig.model, config))
    trainer.close()
    assert len(keys) == 3
    monkeypatch.setitem(KINDS, "vit", replace(KINDS["vit"], keyed_masks=False))
    with pytest.raises(ConfigError, match="TowerKind.keyed_masks"):
        config_of(photos, tmp_path)


def test_a_disk_that_is_too_small_is_told_before_anything_is_encoded(photos, tmp_path, monkeypatch, decoded):
    trainer = Trainer(config_of(photos, tmp_path))
    fill(trainer, 5)
    decoded.clear()
    monkeypatch.setattr(filling, "row_bytes", lambda width: 1 << 60)
    assert fill(trainer, 5)  # what is there needs no room
    trainer.close()
    config = config_of(photos, tmp_path, data={"cache_folder": str(tmp_path / "other")})
    with pytest.raises(UserError, match=r"need [\d,]+\.\d MB, .* data.cache_folder"):
        config.output = str(tmp_path / "other run")
        Trainer(config).run()
    assert decoded == []


def test_a_file_in_the_place_of_the_folder_is_refused_before_anything_is_encoded(photos, tmp_path, decoded):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file is a file and no folder"):
        Trainer(config_of(photos, tmp_path, data={"cache_folder": str(tmp_path / "file")}))
    assert decoded == []


@pytest.mark.parametrize(
    "sections, words",
    [
        ({"data": {"augmentation": {}}}, "data.augmentation"),
        ({"objective": {"pairs": [["caption", "caption'"]]}}, "no view image"),
        ({"lora": {"rank": 2}}, "lora.towers"),
        ({"model": {"image_tower": {**TOWER, "image_size": 32, "patch_size": 8, "drop_path": 0.1}}}, "drop_path"),
        (
            {"model": {"image_tower": {**TOWER, "image_size": 32, "patch_size": 8, "patch_dropout": 0.1}}},
            "patch_dropout",
        ),
        ({"model": {"system": "cookie", "settings": {"layers": 0}}}, "the system cookie"),
        ({"objective": {"pairs": [["image", "caption"], ["image", "image'"]]}}, "image'"),
        ({"optimizer": {"freeze": []}}, "optimizer.freeze"),
        ({"optimizer": {"freeze": [{"match": r"visual\.blocks\..*"}]}}, "visual"),
        ({"optimizer": {"freeze": [{"match": r"visual\..*", "until": 3}]}}, "optimizer.freeze"),
    ],
)
def test_what_has_several_embeddings_of_an_image_is_refused(photos, tmp_path, sections, words):
    with pytest.raises(ConfigError, match="data.cache_locked") as caught:
        Trainer(config_of(photos, tmp_path, **sections))
    assert words in str(caught.value) and "cache_locked: false" in str(caught.value)


def test_keys_of_a_queue_come_from_them_too_unless_the_copy_has_another_tower(photos, tmp_path):
    queue = {"negatives": {"kind": "queue", "size": 12, "momentum": 0.9}}
    for name, cached in (("plain", False), ("kept", True)):
        Trainer(config_of(photos, tmp_path / name, cached, objective=queue, train={"steps": 3})).run()
    assert different(arrays(tmp_path / "plain", 3), arrays(tmp_path / "kept", 3)) == []
    assert records(tmp_path / "plain") == records(tmp_path / "kept")
    trainer = Trainer(config_of(photos, tmp_path / "other", objective=queue))
    first = trainer.rig.momentum.system.model.visual.parameters()[0]
    first.set_value(first + 1.0)
    with pytest.raises(ConfigError, match="the copy that encodes keys"):
        LockedImages(trainer.config, trainer.rig, trainer.maker, trainer.source, trainer.ranks)
    trainer.close()


def test_the_row_that_stands_in_for_a_bad_one_is_encoded_too(photos, tmp_path):
    trainer = Trainer(config_of(photos, tmp_path))
    assert trainer.locked.fill(np.array([5]), trainer._log(), lambda: False) and len(trainer.locked.kept) == 1
    assert trainer.maker.make(trainer.source[6], 0, 6).embeds
    trainer.close()


def test_rows_that_are_drawn_are_those_of_the_batches(photos, tmp_path):
    trainer = Trainer(config_of(photos, tmp_path))
    assert list(filling.drawn_rows(trainer.order, 1)) == sorted(trainer.order.batch(0)[1])
    assert list(filling.drawn_rows(trainer.order, 3)) == list(range(14))
    trainer.close()
