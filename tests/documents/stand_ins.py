"""What pages say that they need, small: released weights and those of other projects, benchmarks, tables, videos."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ernie_vil2.checkpoints.formats.paddle_file import write_pdparams
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.config.tower_fields import ImageTowerConfig, TextTowerConfig
from tests.checkpoints.formats.torch_zips import state_file
from tests.checkpoints.layouts import brivl_weights, foreign, test_clip, test_paddleclas_vit
from tests.checkpoints.layouts.test_ernie_vil import BOTH
from tests.conftest import VOCABULARY
from tests.data.sources.tar.tars import write_tar
from tests.data.videos.drawn import write_video
from tests.evaluation.benchmarks import makers, test_shared_labels
from tests.standin import standin_tensor

RELEASE = "OPEN_ERNIE_VIL2_BASE_ViT.pdparams"
PLACES = ("data", "sets")
"""Folders of stand-ins that are taken one by one"""
SMALL = ModelConfig(
    image_tower=ImageTowerConfig(image_size=32, patch_size=16, width=64, depth=2, heads=1),
    text_tower=TextTowerConfig(vocab_size=64, positions=64, width=64, depth=2, heads=1),
    pixels=PixelProfile(size=32),
)


def write_all(folder: Path, trained: Path, run: Callable) -> list[str]:
    """Everything, under the names that pages use, which are returned; trained: a folder with a sample, and its model in
    output/try; run: a function (folder, *words) that runs a command."""
    release(folder)
    other_projects(folder)
    benchmarks(folder)
    own_files(folder, trained)
    for name, pictures in (("photos.index", "photos"), ("other.index", folder / "copies")):
        done = run(trained, "ernie-vil2", "index", "build", folder / name, pictures, "--model", "output/try")
        assert done.returncode == 0, done.stderr[-2000:]
    names = [path.relative_to(folder).as_posix() for path in sorted([*folder.glob("*"), *folder.glob("*/*")])]
    return [name for name in names if name.startswith(("data/", "sets/")) or "/" not in name and name not in PLACES]


def vocabulary(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in VOCABULARY), encoding="utf-8")


def release(folder: Path) -> None:
    """A file in the form of the release's, with its vocabulary, where `download` puts them."""
    place = folder / "downloads/ernie-vil2-base-vit-zh"
    vocabulary(place)
    write_pdparams(place / RELEASE, {key: standin_tensor(key, shape) for key, shape in manifest(SMALL).items()})


def other_projects(folder: Path) -> None:
    """Weights as PaddleNLP, Hugging Face, PaddleClas, CLIP and BriVL publish them."""
    foreign.write_source(folder / "ernie-3.0-base-zh", foreign.paddle_ernie())
    foreign.write_source(folder / "chinese-roberta-wwm-ext", foreign.torch_bert(), name="model.safetensors")
    foreign.write_source(folder / "ernie_vil-2.0-base-zh", foreign.ernie_vil(), BOTH)
    clip = test_clip.drawn(test_clip.torch_shapes())
    for name in ("ViT-B-16.pt", "last.pt"):
        (folder / name).write_bytes(state_file(clip))
    for name in ("ViT_base_patch16_224.pdparams", "ViT_base_patch16_224_pretrained.pdparams"):
        write_pdparams(folder / name, test_paddleclas_vit.drawn(test_paddleclas_vit.shapes()))
    brivl = state_file(brivl_weights.released(), lambda plan: {"learnable": plan})
    (folder / "BriVL-1.0-5500w.pth").write_bytes(brivl)


def benchmarks(folder: Path) -> None:
    """sets/NAME for every benchmark that a page measures, and some in data/ as recipes name them."""
    sets = folder / "sets"
    makers.coco_cn(sets / "coco-cn")
    makers.coco_cn(folder / "data/COCO-CN")
    makers.flickr30k_cn(sets / "flickr30k-cn")
    makers.clip_tsv(sets / "flickr30k-cn", makers.captions(["1000", "1001", "1002"]), "val")
    makers.muge(sets / "muge")
    makers.aic_icc(folder / "AIC")
    rows = [(text, key, number) for number, key in enumerate(makers.coco_ids(4)) for text in ("一只猫", "两只狗")]
    makers.release_tsv(folder / "coco-cn_test.tsv", rows)
    for place in (sets / "imagenet-zh", sets / "elevater-zh/food-101", folder / "my_classes"):
        makers.put(place / "label_cn.txt", ["猫", "狗", "鸟"])
        for number in range(3):
            makers.put_images(place / f"test/{number:03d}", ["one", "two"])
    test_shared_labels.coco(sets / "image-retrieval/coco")
    for number, path in enumerate(sorted((sets / "image-retrieval/coco").rglob("*.jpg"))):
        path.write_bytes(makers.picture(number))
    pairs = [f"{first}的狗\t{second}的狗\t{int(first == second)}" for first in "红黄蓝绿" for second in "红黄蓝绿"]
    makers.put(sets / "sts/lcqmc/test.tsv", pairs)


def own_files(folder: Path, trained: Path) -> None:
    """A model, a table, tars, a video, detections and labelled pairs of somebody's own, from a sample."""
    shutil.copytree(max((trained / "output/try/checkpoints").glob("step-*")), folder / "model")
    shutil.copytree(folder / "model", folder / "finetuned")
    samples = [json.loads(line) for line in (trained / "photos.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [(row["image"], (row.get("texts") or [row["text"]])[0]) for row in samples]
    table = ["图片名称,说明,卖点", *(f"{image},{text},好看的{text}" for image, text in rows)]
    (folder / "商品表.csv").write_bytes("\r\n".join([*table, ""]).encode("gbk"))
    write_video(folder / "clips/one.mp4")
    found = [{"id": row["id"], "boxes": [[1, 2, 30, 40]], "scores": [0.9], "labels": [17]} for row in samples]
    for name in ("detections.jsonl", "detections.json"):
        makers.put(folder / name, map(json.dumps, found))
    vocabulary(folder)
    makers.put(folder / "ids.txt", [row["id"] for row in samples])
    vectors = np.eye(len(samples), 16, dtype=np.float32)
    lines = [f"{' '.join(map(str, row))}\t{' '.join(map(str, row))}\t1" for row in vectors]
    makers.put(folder / "vectors.txt", lines)
    pictures = [(trained / image).read_bytes() for image, _ in rows]
    (folder / "a.jpg").write_bytes(pictures[0])
    pq.write_table(pa.table({"image": pictures, "text": [text for _, text in rows]}), folder / "photos.parquet")
    for name in ("laion", "wukong"):
        (folder / name).mkdir()
        members = [
            (f"{n:04d}", picture, text) for n, (picture, (_, text)) in enumerate(zip(pictures, rows, strict=True))
        ]
        files = [part for n, picture, text in members for part in ((f"{n}.jpg", picture), (f"{n}.txt", text.encode()))]
        write_tar(folder / name / "00000.tar", files)
    labelled_pairs(folder, rows, pictures)


def labelled_pairs(folder: Path, rows: list[tuple[str, str]], pictures: list[bytes]) -> None:
    """pairs.tsv: each picture with copies of it in other qualities, the same, and with those of others, different."""
    (folder / "copies").mkdir()
    lines = []
    for number, picture in enumerate(pictures):
        for quality in (40, 60, 80):
            name = f"copies/{number}-{quality}.jpg"
            decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
            cv2.imwrite(str(folder / name), decoded, [cv2.IMWRITE_JPEG_QUALITY, quality])
            other = rows[(number + 5) % len(rows)][0]
            lines += [f"{rows[number][0]}\t{name}\t1", f"{other}\t{name}\t0"]
    makers.put(folder / "pairs.tsv", lines)
