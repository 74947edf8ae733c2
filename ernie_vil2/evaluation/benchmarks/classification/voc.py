"""PASCAL VOC 2007 as its authors publish it: a list per class, where an image may have several classes."""

from pathlib import Path

import numpy as np

from ....errors import DataError
from ..reading import Reading, find, missing, rows
from .class_folders import ClassifiedImages

NAMES = {
    "aeroplane": "飞机",
    "bicycle": "自行车",
    "bird": "鸟",
    "boat": "船",
    "bottle": "瓶子",
    "bus": "公交车",
    "car": "汽车",
    "cat": "猫",
    "chair": "椅子",
    "cow": "牛",
    "diningtable": "餐桌",
    "dog": "狗",
    "horse": "马",
    "motorbike": "摩托车",
    "person": "人",
    "pottedplant": "盆栽",
    "sheep": "羊",
    "sofa": "沙发",
    "train": "火车",
    "tvmonitor": "电视",
}
PLACES = ("", "VOCdevkit/VOC2007", "VOC2007")
SOURCE = (
    "the sets of Chinese-CLIP give an image one class only, while the metric needs all of them, so download "
    "VOCtest_06-Nov-2007.tar from the PASCAL VOC 2007 page and unpack it there"
)


def holds_voc(folder: str | Path) -> bool:
    """Whether a folder holds ImageSets/Main."""
    return find([Path(folder, place) for place in PLACES], ["ImageSets/Main"]) is not None


def read_voc(folder: str | Path, split: str, language: str, reading: Reading) -> ClassifiedImages:
    """ClassifiedImages of ImageSets/Main/<class>_<split>.txt (`image  1 | -1 | 0` a line, 0 for difficult) and
    JPEGImages; labels are marks int8 [N, 20]. Raises DataError naming file and line."""
    lists = find([Path(folder, place) for place in PLACES], ["ImageSets/Main"])
    if lists is None:
        raise missing(folder, ["ImageSets/Main"], SOURCE)
    columns, order = [], None
    for name in NAMES:
        path = lists / f"{name}_{split}.txt"
        if not path.is_file():
            raise missing(lists, [path.name], SOURCE)
        column, images = [], []
        for where, text in rows(path, reading):
            parts = text.split()
            if len(parts) != 2 or parts[1] not in ("1", "-1", "0"):
                raise DataError(f"{where}: {text!r} is not an image and 1, -1 or 0; copy the file again")
            images.append(parts[0])
            column.append(int(parts[1]))
        if order is not None and images != order:
            raise DataError(f"{path} lists other images than the files before it; copy the files again")
        order = images
        columns.append(column)
    pictures = lists.parent.parent / "JPEGImages"
    paths = [pictures / f"{Path(image).name}.jpg" for image in order]
    lost = next((line for line, path in enumerate(paths, 1) if not path.is_file()), None)
    if lost:
        raise DataError(f"{lists / f'aeroplane_{split}.txt'}:{lost}: the image {paths[lost - 1]} is missing; copy it")
    reading.notes.append(
        "an image that is marked difficult for a class does not count for that class, as in VOC's own evaluation"
    )
    classes = [((chinese,) if language == "zh" else (english,)) for english, chinese in NAMES.items()]
    return ClassifiedImages(classes, paths, np.array(columns, np.int8).T)
