"""A small BriVL in everything that takes a model: encoding that was killed, a source, every task of the benchmarks."""

import json
import shlex

import numpy as np
import pytest
from PIL import Image

from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.cli.main import dispatch
from ernie_vil2.inference import journal, writer
from ernie_vil2.training.rig import build
from tests.evaluation.benchmarks import makers
from tests.systems.brivl_tiny import sharpen
from tests.training.queue_cases import case_config

CAPTIONS = ("一只猫", "红的圆", "大的狗在右", "绿方形", "两个黄的三角")


class Killed(BaseException):
    """Stands for a SIGKILL: nothing that catches errors may catch it."""


def picture(path, number):
    """An image file of noise under large colours."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 200, (4, 5, 3)).repeat(12, 0).repeat(12, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((coarse + rng.integers(0, 55, coarse.shape)).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """The folder of a model directory, rows.jsonl with boxes in two rows of three, and plain.jsonl without any."""
    folder = tmp_path_factory.mktemp("house")
    config = case_config(folder, {"image_tower": {}})
    rig = build(config)
    rig.close()
    sharpen(rig.model)
    state = {key: value.numpy() for key, value in rig.model.state_dict().items()}
    save_model(folder / "model", state, config.model, config.data.vocab)
    rows = []
    for number in range(12):
        picture(folder / f"images/{number}.png", number)
        boxes = {"boxes": [[5, 5, 30 + number, 40], [2, 8, 60, 30]][: number % 3]} if number % 3 else {}
        rows.append({"id": str(number), "image": f"images/{number}.png", "texts": [CAPTIONS[number % 5]], **boxes})
    for name, kept in (("rows", {"id", "image", "texts", "boxes"}), ("plain", {"id", "image", "texts"})):
        lines = [json.dumps({key: row[key] for key in row if key in kept}, ensure_ascii=False) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def command(house, line):
    assert not dispatch(shlex.split(line.format(house=house)))


def vectors(folder):
    return np.load(folder / "image.npy")


def test_encoding_that_was_killed_goes_on_to_the_same_bytes(house, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "CHUNK", 4)
    for name in ("rows", "plain"):
        command(house, f"encode --model {{house}}/model --input {{house}}/{name}.jsonl --output {tmp_path}/{name}")
    with_boxes, without = (vectors(tmp_path / name) for name in ("rows", "plain"))
    differ = np.abs(with_boxes - without).max(1) > 1e-5
    assert differ.tolist() == [number % 3 > 0 for number in range(12)]
    line = f"encode --model {{house}}/model --input {{house}}/rows.jsonl --output {tmp_path}/killed"
    commit, commits = journal.Journal.commit, []

    def killed(*given, **named):
        commits.append(commit(*given, **named))
        if len(commits) == 3:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "commit", killed)
        with pytest.raises(Killed):
            command(house, line)
    assert not (tmp_path / "killed").exists()
    command(house, line)
    for name in ("image.npy", "text.npy", "image_ids.txt"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "rows" / name).read_bytes(), name


def measured(house, tmp_path, options):
    command(house, f"eval --model {{house}}/model {options} --replace --json {tmp_path}/found.json")
    return json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))


def test_a_source_is_measured_with_its_boxes(house, tmp_path):
    found = [measured(house, tmp_path, f"--input {{house}}/{name}.jsonl") for name in ("rows", "plain")]
    one, two = (of["protocols"]["standard"] for of in found)
    assert one["num_images"] == two["num_images"] == 12 and one["t2i_mrr"] != two["t2i_mrr"]


@pytest.fixture
def benchmarks(tmp_path):
    """The folder of files of each task, as their authors publish them."""
    for label in range(2):
        for number in range(3):
            picture(tmp_path / f"set/test/{label:03d}/{number}.jpg", 10 * label + number)
    (tmp_path / "set/label_cn.txt").write_text("猫\n狗\n", encoding="utf-8")
    makers.put(tmp_path / "sts/test.tsv", ["一只猫\t一只狗\t0", "红的圆\t红圆\t1", "绿方形\t大的狗\t0"])
    makers.labelled_lists(tmp_path / "found", picture)
    makers.coco_cn(tmp_path / "coco")
    return tmp_path


@pytest.mark.parametrize(
    "options, count",
    [
        ("folder --data {}/set", {"images": 6, "classes": 2}),
        ("sts@lcqmc --data {}/sts", {"pairs": 3}),
        ("image-retrieval@nus-wide --data {}/found", {"queries": 2, "database": 4}),
        ("coco-cn@1053 --data {}/coco", {"images": 6, "texts": 7}),
    ],
)
def test_every_task_of_the_benchmarks_takes_it(house, benchmarks, options, count):
    (found,) = measured(house, benchmarks, f"--benchmark {options.format(benchmarks)} --allow-counts")["results"]
    assert count.items() <= found["counts"].items()
    assert found["metrics"] and all(-100 <= value <= 100 for value in found["metrics"].values())


def test_a_benchmark_of_images_and_texts_takes_boxes(house, benchmarks):
    ids, options = makers.coco_ids(6), f"--benchmark coco-cn@1053 --data {benchmarks}/coco --allow-counts"
    lines = [json.dumps({"id": key, "boxes": [[1, 2, 9, 30]]}) for key in ids[:4]]
    makers.put(benchmarks / "boxes.jsonl", lines)
    (found,) = measured(house, benchmarks, f"{options} --boxes {benchmarks}/boxes.jsonl")["results"]
    (plain,) = measured(house, benchmarks, options)["results"]
    assert "4 of 6 images were encoded with their boxes" in found["notes"] and found["metrics"] != plain["metrics"]
