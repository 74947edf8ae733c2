"""Runs of a small COOKIE by the command line: killed and gone on with, on two ranks, then encoded and evaluated."""

import json
import shlex
import shutil

import numpy as np
import pytest
from PIL import Image

from ernie_vil2.cli import train as verb
from ernie_vil2.cli.main import dispatch
from ernie_vil2.training.doctor import trial
from tests.conftest import ROOT
from tests.evaluation.benchmarks import makers
from tests.systems.cookie_tiny import DATA, PAIRS, tiny_model
from tests.training.runs import arrays, different, kill_and_go_on, train, write_recipe

pytestmark = pytest.mark.slow

HALF, WHOLE = 12, 24
NOISE = ("attn.k.bias", "qkv.bias")
"""What softmax ignores, so that AdamW steps along the rounding of its gradient"""


def recipe(folder, **sections):
    """Path of a run with dropout, patch dropout, augmentation, gradient cache, average, a queue and two workers."""
    data = {
        "model": tiny_model({"image_tower": {"patch_dropout": 0.25}}),
        "data": {**DATA, "valid": {**DATA["train"], "split": "valid", "size": 12}, "workers": 2},
        "objective": {"pairs": PAIRS, "negatives": {"kind": "queue", "size": 29, "momentum": 0.8}},
    }
    return write_recipe(folder, WHOLE, {**data, **sections})


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The folder of a straight run, saved in the middle and at the end."""
    folder = tmp_path_factory.mktemp("straight")
    done = train("-c", recipe(folder))
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_a_run_that_was_killed_has_the_bits_of_a_straight_one(straight, tmp_path):
    path, saved = recipe(tmp_path), tmp_path / f"run/checkpoints/step-{HALF:07d}"
    kill_and_go_on(path, saved, HALF)
    found, wanted = arrays(tmp_path, WHOLE), arrays(straight, WHOLE)
    groups = {"queue", "momentum", "average", "optimizer", "model", "parameters"}
    assert groups == {key.split("/")[0] for key in wanted}
    for group in ("model", "momentum", "average", "parameters"):
        assert any(key.startswith(f"{group}/shared.") for key in wanted), group
    assert different(found, wanted) == [] and different(found, arrays(straight, HALF)) != []


def test_two_ranks_go_on_with_the_run_of_one(straight, tmp_path):
    shutil.copytree(straight / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / f"run/checkpoints/step-{WHOLE:07d}")
    done = train("-c", recipe(tmp_path), "--resume", "auto", processes=2, log_dir=tmp_path / "launch")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    found, wanted = arrays(tmp_path, WHOLE), arrays(straight, WHOLE)
    assert set(found) == set(wanted)
    for group in ("queue/embeds", "momentum/", "model/", "model/shared."):
        names = [key for key in wanted if key.startswith(group) and not key.endswith(NOISE)]
        one, two = (np.concatenate([of[key].ravel().astype("f8") for key in names]) for of in (wanted, found))
        assert np.linalg.norm(one - two) < 1e-3 * np.linalg.norm(one), group
    for key in wanted:
        if key.startswith("queue/") and not key.startswith("queue/embeds"):
            assert np.array_equal(found[key], wanted[key]), key


def command(line):
    assert not dispatch(shlex.split(line))


def test_a_run_is_encoded_and_measured(straight, tmp_path):
    lines = []
    for number in range(6):
        picture(tmp_path / f"images/{number}.png", number)
        lines.append(json.dumps({"id": str(number), "image": f"images/{number}.png", "texts": [f"{number} 只猫"]}))
    makers.put(tmp_path / "rows.jsonl", lines)
    command(f"encode --model {straight}/run --input {tmp_path}/rows.jsonl --output {tmp_path}/vectors")
    images, texts = (np.load(tmp_path / f"vectors/{name}.npy") for name in ("image", "text"))
    assert images.shape == texts.shape == (6, 24) and np.linalg.matrix_rank(images) > 2
    command(f"eval --model {straight}/run --input {tmp_path}/rows.jsonl --json {tmp_path}/found.json")
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["protocols"]["standard"]["num_images"] == 6


def picture(path, number):
    """An image file of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(number).integers(0, 255, (40, 50, 3), np.uint8)).save(path)


def test_its_three_tasks_run_on_a_checkpoint(straight, tmp_path):
    makers.put(tmp_path / "sts/test.tsv", ["一只猫\t一只狗\t0", "红的圆\t红圆\t1", "绿方形\t大的狗\t0"])
    makers.labelled_lists(tmp_path / "found", picture)
    makers.coco_cn(tmp_path / "coco")
    for options, counts in (
        (f"coco-cn@1053 --data {tmp_path}/coco", {"images": 6, "texts": 7}),
        (f"sts@lcqmc --data {tmp_path}/sts", {"pairs": 3}),
        (f"image-retrieval@nus-wide --data {tmp_path}/found", {"queries": 2, "database": 4}),
    ):
        model = straight / f"run/checkpoints/step-{WHOLE:07d}"
        command(f"eval --model {model} --benchmark {options} --allow-counts --replace --json {tmp_path}/found.json")
        (found,) = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["results"]
        assert counts.items() <= found["counts"].items() and found["metrics"], options


def test_the_doctor_finds_nothing_wrong_with_the_recipe_of_scenes(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(trial, "STEPS", 20)
    path = ROOT / "configs/cookie_scenes.yaml"
    overrides = ["-o", f"output={tmp_path / 'run'}", "-o", "data.train.size=400", "-o", "data.train.cache=false"]
    assert not verb.main(["-c", str(path), "--doctor", *overrides]), capsys.readouterr().out
    assert not (tmp_path / "run").exists()
