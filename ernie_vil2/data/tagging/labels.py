"""Names of a detector's classes, English and Chinese: label files of COCO and Visual Genome, and plain lists."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...errors import ConfigError, DataError, advice
from ...files.json_files import read_json
from ...files.text import read_lines
from ...messages import quoted
from ..tokenizer import is_blank

LANGUAGES = ("zh", "en")
MOST = 1e15
"""No class has such a number"""
CHINESE = re.compile("[\u3400-\u9fff]")
COCO = """
1 person 人, 2 bicycle 自行车, 3 car 汽车, 4 motorcycle 摩托车, 5 airplane 飞机, 6 bus 公交车, 7 train 火车,
8 truck 卡车, 9 boat 船, 10 traffic light 交通灯, 11 fire hydrant 消防栓, 13 stop sign 停车标志,
14 parking meter 停车计时器, 15 bench 长椅, 16 bird 鸟, 17 cat 猫, 18 dog 狗, 19 horse 马, 20 sheep 羊,
21 cow 牛, 22 elephant 大象, 23 bear 熊, 24 zebra 斑马, 25 giraffe 长颈鹿, 27 backpack 背包,
28 umbrella 雨伞, 31 handbag 手提包, 32 tie 领带, 33 suitcase 行李箱, 34 frisbee 飞盘, 35 skis 滑雪板,
36 snowboard 单板滑雪板, 37 sports ball 球, 38 kite 风筝, 39 baseball bat 棒球棒,
40 baseball glove 棒球手套, 41 skateboard 滑板, 42 surfboard 冲浪板, 43 tennis racket 网球拍,
44 bottle 瓶子, 46 wine glass 酒杯, 47 cup 杯子, 48 fork 叉子, 49 knife 刀, 50 spoon 勺子, 51 bowl 碗,
52 banana 香蕉, 53 apple 苹果, 54 sandwich 三明治, 55 orange 橙子, 56 broccoli 西兰花, 57 carrot 胡萝卜,
58 hot dog 热狗, 59 pizza 披萨, 60 donut 甜甜圈, 61 cake 蛋糕, 62 chair 椅子, 63 couch 沙发,
64 potted plant 盆栽, 65 bed 床, 67 dining table 餐桌, 70 toilet 马桶, 72 tv 电视, 73 laptop 笔记本电脑,
74 mouse 鼠标, 75 remote 遥控器, 76 keyboard 键盘, 77 cell phone 手机, 78 microwave 微波炉, 79 oven 烤箱,
80 toaster 烤面包机, 81 sink 水槽, 82 refrigerator 冰箱, 84 book 书, 85 clock 时钟, 86 vase 花瓶,
87 scissors 剪刀, 88 teddy bear 泰迪熊, 89 hair drier 吹风机, 90 toothbrush 牙刷
"""


class Labels:
    """Names by class number, and translations of names.

    names: {number: name as the file has it}; chinese: {number: Chinese name}. `language` is that of the tags: with en
    a class is called as in the file, with zh by its Chinese name, or as in the file where that is Chinese already.
    """

    def __init__(
        self,
        names: Mapping[int, str] | Iterable[tuple[int, str]] = (),
        chinese: Mapping[int, str] | Iterable[tuple[int, str]] = (),
        language: str = "zh",
        where: str = "the labels",
    ):
        self.names, self.chinese = dict(names), dict(chinese)
        self.language, self.where = language, where
        self.numbers = {name: number for number, name in {**self.names, **self.chinese}.items()}
        self.numbers.update({name: number for number, name in self.names.items()})

    def __len__(self):
        return len(self.names)

    def name(self, label: Any, where: str) -> str:
        """The tag of a class number or name; a name that no label file holds stays as it is.

        Raises DataError at `where` for a number without a name, or without a Chinese one when that is wanted.
        """
        counts = isinstance(label, (int, float)) and not isinstance(label, bool) and -MOST < label < MOST
        if not counts and not isinstance(label, str):
            raise DataError(
                f"{where}: the label {quoted(label)} is neither a class number nor a name; correct the file"
            )
        if isinstance(label, str):
            label = label.strip()
            number = self.numbers.get(label)
            if number is None:
                return label
        elif label != int(label) or int(label) not in self.names:
            known = f"{min(self.names)} to {max(self.names)}" if self.names else "no numbers"
            raise DataError(
                f"{where}: class {label:g} has no name in {self.where}, which knows {known}; give the detector's own "
                "label file, and --first-index 1 where it counts from 1"
            )
        else:
            number = int(label)
        if self.language == "en":
            return self.names[number]
        name = self.chinese.get(number, self.names[number])
        if not CHINESE.search(name) and number not in self.chinese:
            raise DataError(
                f"{where}: class {number} ({name}) has no Chinese name in {self.where}; give --chinese FILE with a "
                "name per line in the same order, or --language en"
            )
        return name


def read_labels(
    path: str | os.PathLike | None = None,
    chinese: str | os.PathLike | None = None,
    language: str = "zh",
    first: int = 0,
) -> Labels:
    """Labels from a file, `coco` (the category ids of COCO) or `coco80` (its 80 classes from 0, as detectors count).

    A file is text with a name a line in the order of class numbers from `first` (Visual Genome's objects_vocab.txt with
    synonyms `a,b`, of which the first counts; an English and a Chinese name separated by a tab), JSON with
    `categories: [{id, name}]` (COCO's instances), a JSON list of names, or a JSON object {number: name}.
    chinese: a text file of Chinese names in the same order. Raises ConfigError and DataError.
    """
    if language not in LANGUAGES:
        raise ConfigError(f"--language {language}: tags are in zh or en")
    if path is None:
        names, translated = {}, {}
    elif str(path) in ("coco", "coco80"):
        names, translated = coco_names(contiguous=str(path) == "coco80")
    else:
        names, translated = label_file(Path(path), first)
    if chinese is not None:
        lines = text_lines(Path(chinese))
        if len(lines) != len(names):
            raise DataError(
                f"{chinese}: {len(lines)} names, but {path or 'there is no label file and so'} {len(names)} classes; "
                "give a line for every class in the same order"
            )
        translated = {number: first_name(line) for number, line in zip(names, lines, strict=True)}
    return Labels(names, translated, language, str(path or "the labels (none given: add --labels coco80 or a file)"))


def coco_names(contiguous: bool) -> tuple[dict[int, str], dict[int, str]]:
    """({number: English name}, {number: Chinese name}) of COCO's 80 classes."""
    entries = [entry.split() for entry in COCO.replace("\n", " ").split(",")]
    numbers = range(len(entries)) if contiguous else [int(entry[0]) for entry in entries]
    pairs = list(zip(numbers, entries, strict=True))
    return {number: " ".join(entry[1:-1]) for number, entry in pairs}, {number: entry[-1] for number, entry in pairs}


def label_file(path: Path, first: int) -> tuple[dict[int, str], dict[int, str]]:
    """({number: name}, {number: Chinese name}) of a label file."""
    if path.suffix.lower() == ".json":
        return json_labels(path, first), {}
    names, translated = {}, {}
    for number, line in enumerate(text_lines(path), first):
        name, _, chinese = line.partition("\t")
        names[number] = first_name(name)
        if not is_blank(chinese):
            translated[number] = first_name(chinese)
    return names, translated


def json_labels(path: Path, first: int) -> dict[int, str]:
    """{number: name} of a JSON file of labels."""
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", error)
        raise DataError(f"{path}: not a JSON file of labels ({reason}); {advice(error, 'give another file')}") from None
    if isinstance(content, dict) and isinstance(content.get("categories"), list):
        content = content["categories"]
    try:
        if isinstance(content, dict):
            names = {int(number): name for number, name in content.items()}
        elif content and isinstance(content[0], dict):
            names = {int(entry["id"]): entry["name"] for entry in content}
        else:
            names = dict(enumerate(content, first))
    except (KeyError, TypeError, ValueError, OverflowError):
        names = {}
    if not names or not all(isinstance(name, str) and not is_blank(name) for name in names.values()):
        raise DataError(f"{path}: no labels; write categories: [{{id, name}}], a list of names, or {{number: name}}")
    return {number: first_name(name) for number, name in names.items()}


def text_lines(path: Path) -> list[str]:
    """Lines of a text file of names, none of them empty."""
    try:
        lines = read_lines(path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}); {advice(error, 'name a label file, coco, or coco80')}"
        ) from None
    while lines and is_blank(lines[-1]):
        lines.pop()
    for number, line in enumerate(lines, 1):
        if is_blank(line.partition("\t")[0]):
            raise DataError(f"{path}:{number}: the name is empty; every line is the name of a class")
    if not lines:
        raise DataError(f"{path}: the file is empty; write the name of a class on every line")
    return lines


def first_name(text: str) -> str:
    """The first of the synonyms that a label file separates by commas."""
    return re.split("[,，]", text)[0].strip() or text.strip()
