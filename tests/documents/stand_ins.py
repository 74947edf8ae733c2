"""What pages say that they need, small: released weights and those of other projects, benchmarks, tables, videos."""

import json
import shutil
from pathlib import Path

from ernie_vil2.checkpoints.formats.paddle_file import write_pdparams
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.config.tower_fields import ImageTowerConfig, TextTowerConfig
from tests.checkpoints.formats.torch_zips import state_file
from tests.checkpoints.layouts.test_ernie_vil import BOTH
from tests.checkpoints.layouts import brivl_weights, foreign, test_clip, test_paddleclas_vit
from tests.conftest import VOCABULARY
from tests.data.videos.drawn import write_video
from tests.evaluation.benchmarks import makers
from tests.standin import standin_tensor

RELEASE = "OPEN_ERNIE_VIL2_BASE_ViT.pdparams"
SMALL = ModelConfig(
    image_tower=ImageTowerConfig(image_size=32, patch_size=16, width=64, depth=2, heads=1),
    text_tower=TextTowerConfig(vocab_size=64, positions=64, width=64, depth=2, heads=1),
    pixels=PixelProfile(size=32),
)


def write_all(folder: Path, trained: Path) -> None:
    """Everything, under the names that pages use; trained: a folder with a sample, and its model in output/try."""
    release(folder)
    other_projects(folder)
    benchmarks(folder)
    own_files(folder, trained)


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
    makers.muge(sets / "muge")
    makers.aic_icc(folder / "AIC")
    rows = [(text, key, number) for number, key in enumerate(makers.coco_ids(4)) for text in ("一只猫", "两只狗")]
    makers.release_tsv(folder / "coco-cn_test.tsv", rows)
    for place in (sets / "imagenet-zh", sets / "elevater-zh/food-101", folder / "my_classes"):
        makers.put(place / "label_cn.txt", ["猫", "狗", "鸟"])
        for number in range(3):
            makers.put_images(place / f"test/{number:03d}", ["one", "two"])
    pairs = [f"{first}的狗\t{second}的狗\t{int(first == second)}" for first in "红黄蓝绿" for second in "红黄蓝绿"]
    makers.put(sets / "sts/lcqmc/test.tsv", pairs)


def own_files(folder: Path, trained: Path) -> None:
    """A model, a table, tars, a video, detections and labelled pairs of somebody's own, from a sample."""
    shutil.copytree(max((trained / "output/try/checkpoints").glob("step-*")), folder / "model")
    samples = [json.loads(line) for line in (trained / "photos.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [(row["image"], (row.get("texts") or [row["text"]])[0]) for row in samples]
    table = ["图片名称,说明,卖点", *(f"{image},{text},好看的{text}" for image, text in rows)]
    (folder / "商品表.csv").write_bytes("\r\n".join([*table, ""]).encode("gbk"))
    write_video(folder / "clips/one.mp4")
    found = [{"id": row["id"], "boxes": [[1, 2, 30, 40]], "scores": [0.9], "labels": [17]} for row in samples]
    for name in ("detections.jsonl", "detections.json", "boxes.jsonl"):
        makers.put(folder / name, map(json.dumps, found))
    names = [image for image, _ in rows]
    makers.put(folder / "pairs.tsv", [f"{one}\t{two}\t{int(one == two)}" for one in names for two in names])
