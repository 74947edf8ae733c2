"""The walkthrough of docs/finetuning.md, command by command, on small files of the forms that it names."""

import base64
import json
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest

from ernie_vil2.checkpoints.formats.paddle_file import write_pdparams
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.cli.main import verb_module
from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.config.tower_fields import ImageTowerConfig, TextTowerConfig
from tests.conftest import ROOT, VOCABULARY
from tests.standin import standin_tensor

DOCUMENT = ROOT / "docs" / "finetuning.md"
SMALL = (
    "train.precision=fp32",
    "train.steps=2",
    "train.batch_size=4",
    "train.micro_batch=2",
    "train.eval_every=0",
    "optimizer.warmup=1",
    "data.workers=0",
)
COLOURS = {"红": (0, 0, 200), "蓝": (200, 0, 0), "绿": (0, 180, 0), "黄": (0, 200, 200)}


def commands():
    """The lines of all `bash` blocks, continued ones joined, without comments."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.strip() and not line.startswith("#")]


def run(line):
    """A documented command with the main function of its tool, made small; returns its exit status."""
    words = shlex.split(re.sub(r"step-\d{7}", "step-0000002", line))
    if words[0] == "cp":
        return stand_in(words)
    assert words[0] == "ernie-vil2"
    tool, arguments = words[1], words[2:]
    if tool == "train":
        arguments = without_sizes(arguments) + [part for change in SMALL for part in ("-o", change)]
    if tool == "eval" and "--benchmark" in arguments:
        arguments.append("--allow-counts")
    if tool == "data" and arguments[0] == "pairs":
        arguments.append("--allow-counts")
    return verb_module(tool).main(arguments)


def stand_in(words):
    """The small model, which the page takes where the release's file is not there; here it is."""
    assert words[1] == "-r" and Path(words[2], "config.json").is_file() and words[3] == "model"


def without_sizes(arguments):
    """Arguments of a training without the options that SMALL gives another value."""
    keys = {change.split("=")[0] for change in SMALL}
    pairs = zip(["", *arguments], [*arguments, ""], strict=True)
    sized = {place for place, (flag, value) in enumerate(pairs) if flag == "-o" and value.split("=")[0] in keys}
    return [word for place, word in enumerate(arguments) if not {place, place + 1} & sized]


def picture(name, number):
    """JPEG bytes of a coloured circle."""
    image = np.full((40, 48, 3), 230, np.uint8)
    cv2.circle(image, (12 + 3 * (number % 8), 20), 8 + number % 3, COLOURS[name], -1)
    return cv2.imencode(".jpg", image)[1].tobytes()


def samples(count):
    """[(id, JPEG, captions)]."""
    names = list(COLOURS)
    return [
        (str(1000 + number), picture(name, number), [f"一只{name}圆", f"大的{name}圆"])
        for number, name in ((number, names[number % 4]) for number in range(count))
    ]


def write_chinese_clip(folder, counts):
    folder.mkdir(parents=True)
    for split, count in counts.items():
        rows = samples(count)
        images = "".join(f"{key}\t{base64.b64encode(data).decode()}\n" for key, data, _ in rows)
        texts = [
            {"text_id": number, "text": texts[number % 2], "image_ids": [int(key)]}
            for number, (key, _, texts) in enumerate(rows + rows)
        ]
        (folder / f"{split}_imgs.tsv").write_text(images, encoding="utf-8")
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in texts)
        (folder / f"{split}_texts.jsonl").write_text(lines, encoding="utf-8")


def write_aic_icc(folder):
    for part, date, count in (("train", "20170902", 8), ("validation", "20170910", 6)):
        images = folder / f"caption_{part}_images_{date}"
        images.mkdir(parents=True)
        rows = samples(count)
        for key, data, _ in rows:
            (images / f"{key}.jpg").write_bytes(data)
        listed = [{"image_id": f"{key}.jpg", "caption": (texts * 3)[:5], "id": key} for key, _, texts in rows]
        (folder / f"caption_{part}_annotations_{date}.json").write_text(json.dumps(listed), encoding="utf-8")


def write_own(folder):
    (folder / "photos").mkdir()
    for name, count in (("train", 8), ("valid", 4)):
        lines = []
        for key, data, texts in samples(count):
            (folder / "photos" / f"{name}{key}.jpg").write_bytes(data)
            lines.append(json.dumps({"image": f"photos/{name}{key}.jpg", "texts": texts}, ensure_ascii=False) + "\n")
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    rows = [f"photos/{name}{key}.jpg,{texts[0]}" for name in ("train", "valid") for key, _, texts in samples(8)[:4]]
    (folder / "table.csv").write_bytes("\r\n".join(["图片,描述", *rows, ""]).encode("gbk"))
    (folder / "photos.jsonl").write_bytes((folder / "train.jsonl").read_bytes())


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with all files that the walkthrough begins with, small."""
    folder = tmp_path_factory.mktemp("walkthrough")
    config = ModelConfig(
        image_tower=ImageTowerConfig(image_size=32, patch_size=16, width=64, depth=2, heads=1),
        text_tower=TextTowerConfig(vocab_size=64, positions=64, width=64, depth=2, heads=1),
        pixels=PixelProfile(size=32),
    )
    state = {key: standin_tensor(key, shape) for key, shape in manifest(config).items()}
    write_pdparams(folder / "OPEN_ERNIE_VIL2_BASE_ViT.pdparams", state)
    vocabulary = "".join(f"{token}\t{number}\n" for number, token in enumerate(VOCABULARY))
    (folder / "vocab.txt").write_text(vocabulary, encoding="utf-8")
    (folder / "configs").symlink_to(ROOT / "configs")
    for name in ("Flickr30k-CN", "COCO-CN", "MUGE"):
        write_chinese_clip(folder / "data" / name, {"train": 8, "valid": 6, "test": 6})
    write_aic_icc(folder / "data" / "AIC-ICC")
    write_own(folder)
    return folder


def test_every_command_of_the_walkthrough_runs(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    lines = commands()
    assert len(lines) >= 17
    told = {}
    for line in lines:
        status = run(line)
        told[line] = capsys.readouterr().out
        assert not status or "--doctor" in line, f"{line}\n{told[line]}"
    trained = [line for line in lines if "ernie-vil2 train -c finetune" in line and "--" not in line]
    assert len(trained) == 8
    for line in trained:
        assert re.search(r"valid +\d+\.\d -> ", told[line]), line
    for name in ("others", "muge"):
        watched = next(line for line in trained if f"zero_shot={{{name}" in line)
        assert re.search(rf"{name} +\d+\.\d -> ", told[watched])
    assert (workplace / "runs" / "flickr30k_cn_report").is_dir()


def test_every_recipe_is_walked_through():
    told = "\n".join(commands())
    for path in (ROOT / "configs" / "finetune").glob("*.yaml"):
        assert f"ernie-vil2 train -c finetune/{path.stem}" in told
