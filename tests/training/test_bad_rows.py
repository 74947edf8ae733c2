"""Bad rows of a whole run: counted once, listed once, and damaged pictures as `data.damaged` says."""

import json

import pytest

from ernie_vil2.config.load import load_run
from ernie_vil2.training.trainer import Trainer
from tests.training.runs import write_config


@pytest.fixture
def source(tmp_path, random_image, image_bytes):
    """Path of 12 rows: one picture is damaged, one is none."""
    rows = []
    for index in range(12):
        data = image_bytes(random_image(150, 200, index), "JPEG")
        if index == 4:
            data = data[: len(data) // 2] + data[len(data) // 2 + len(data) // 20 :]
        (tmp_path / f"{index}.jpg").write_bytes(b"<html>" if index == 7 else data)
        rows.append(json.dumps({"image": f"{index}.jpg", "text": f"{index} 只猫"}))
    (tmp_path / "data.jsonl").write_text("\n".join(rows))
    return str(tmp_path / "data.jsonl")


@pytest.mark.parametrize("damaged, bad", [("skip", {5, 8}), ("keep", {8})])
def test_a_run_counts_and_lists_each_bad_row_once(source, tmp_path, tiny_vocab, capfd, damaged, bad):
    path = write_config(
        tmp_path,
        data={"train": source, "vocab": str(tiny_vocab), "workers": 0, "damaged": damaged},
        objective={"pairs": [["image", "caption"]]},
        train={"steps": 4, "batch_size": 6},
    )
    Trainer(load_run(path)).run()
    text = capfd.readouterr()
    listed = (tmp_path / "run/bad.txt").read_text().splitlines()
    assert {int(line.removeprefix(f"{source}:").split(":")[0]) for line in listed} == bad and len(listed) == len(bad)
    told = f"{len(bad)} of 12 rows are bad and were replaced {2 * len(bad)} times, they are listed in"
    assert told in text.out
    assert "Corrupt JPEG" not in text.err
