"""The doctor says of samples that cannot be told apart that nothing can be learnt of them, and why."""

import base64
import json

import cv2
import numpy as np
import pytest

from ernie_vil2.training.doctor import trial
from ernie_vil2.training.doctor.doctor import diagnose, failed, report
from tests.training.doctor.test_doctor import run_config

CAPTION, TAGS = [["image", "caption"]], [["image", "caption"], ["image", "tags"]]


def number(index):
    return "红黄蓝绿大小方圆"[index // 8] + "猫狗鸟鱼马牛羊鹿"[index % 8]


def good(index):
    return str(index), index, number(index), (number(index),)


HOPELESS = {
    "captions": (CAPTION, lambda i: (str(i), i, "一只猫", ()), "100 % of the others have the same caption"),
    "pictures": (CAPTION, lambda i: (str(i), 7, number(i), ()), "100 % of the others have the same picture"),
    "two captions": (CAPTION, lambda i: (str(i), i, "猫狗"[i % 2], ()), "% of the others have the same caption"),
    "most captions": (CAPTION, lambda i: (str(i), i, number(i) if i % 5 == 0 else "猫", ()), "the same caption"),
    "most pictures": (CAPTION, lambda i: (str(i), i if i % 5 == 0 else 77, number(i), ()), "the same picture"),
    "tags": (TAGS, lambda i: (str(i), i, number(i), ("猫",)), "have the same tags, so image-tags has nothing"),
    "no pair": (
        [["image", "tags"]],
        lambda i: (str(i), i, number(i), ()),
        "no two samples have both views of image-tags",
    ),
}


def picture(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)
    return base64.b64encode(cv2.imencode(".png", pixels)[1]).decode()


def lines_of(tmp_path, monkeypatch, made, pairs, rule="by_id"):
    """What the doctor says of 40 rows (id, picture, caption, tags) that `made` gives by number."""
    monkeypatch.setattr(trial, "STEPS", 3)
    rows = [
        {"id": key, "image_base64": picture(seed), "text": caption, "tags": list(tags)}
        for key, seed, caption, tags in map(made, range(40))
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *"红黄蓝绿大小方圆猫狗鸟鱼马牛羊鹿一只"]
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    data = {"train": str(tmp_path / "a.jsonl"), "vocab": str(tmp_path / "vocab.txt"), "workers": 1000}
    return diagnose(run_config(tmp_path / "run", data=data, objective={"pairs": pairs, "positives": rule}))


@pytest.mark.parametrize("rule", ["by_id", "one"])
@pytest.mark.parametrize("case", HOPELESS)
def test_samples_that_cannot_be_told_apart_are_bad(tmp_path, monkeypatch, case, rule):
    pairs, made, words = HOPELESS[case]
    lines = lines_of(tmp_path, monkeypatch, made, pairs, rule)
    bad = [line for line in lines if not line.ok and "one batch" in line.subject]
    assert failed(lines) and words in bad[0].text and "; " in bad[0].text, report(lines)


def test_one_id_for_all_pictures_is_bad_data(tmp_path, monkeypatch):
    lines = lines_of(tmp_path, monkeypatch, lambda i: ("7", i, number(i), ()), CAPTION)
    assert not lines[0].ok and 'the id "7" has another picture at' in lines[0].text.replace("'", '"'), report(lines)


def test_samples_that_differ_are_good(tmp_path, monkeypatch):
    assert lines_of(tmp_path, monkeypatch, good, TAGS)[2].ok
