"""Folders of classes in the published forms, and the figures that a model gets on them."""

import json

import numpy as np
import pytest

from ernie_vil2.errors import CheckpointError, ConfigError, DataError
from ernie_vil2.evaluation.benchmarks.classification import zero_shot_sets
from ernie_vil2.evaluation.benchmarks.classification.class_folders import read_folder, read_numbered, split_names
from ernie_vil2.evaluation.benchmarks.classification.elevater import SETS
from ernie_vil2.evaluation.benchmarks.classification.voc import NAMES, read_voc
from ernie_vil2.evaluation.benchmarks.reading import Reading
from ernie_vil2.evaluation.benchmarks.run import table
from ernie_vil2.evaluation.zero_shot import eleven_point_ap, roc_auc

WORDS = ["猫", "狗", "鸟", "cat", "dog", "bird"]


def direction(word, words):
    """The axis of a word; of WORDS, a Chinese and an English one share it."""
    return words.index(word) % (3 if words is WORDS else len(words))


class Oracle:
    """Stands in for a model: a text points where the first known word in it does, an image file holds its vector."""

    def __init__(self, words=WORDS):
        self.words, self.images = words, []

    def encode_text(self, texts):
        rows = np.zeros((len(texts), len(self.words) + 1), np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[next((direction(word, self.words) for word in self.words if word in text), -1)] = 1
        return rows

    def encode_image(self, images, on_error):
        assert on_error == "skip"
        self.images += images
        rows, failures = np.full((len(images), len(self.words) + 1), np.nan, np.float32), []
        for position, path in enumerate(images):
            try:
                rows[position] = json.loads(path.read_text())
            except (OSError, ValueError):
                failures.append((position, f"{path}: not an image"))
        return rows, failures


def draw(path, word, words=WORDS, second=None):
    """An image file that shows `word`, and `second` a little."""
    vector = np.zeros(len(words) + 1)
    vector[direction(word, words)] = 1
    if second:
        vector[direction(second, words)] = 0.5
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps((vector / np.linalg.norm(vector)).tolist()))


def numbered(folder, digits=3, ending="\n", bom=b""):
    """Chinese-CLIP's form: three classes, of which 猫 is found in 1 of 2 images, 狗 in 3 of 3, 鸟 in 0 of 1."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "label_cn.txt").write_bytes(bom + ending.join(["猫", "狗", "鸟", ""]).encode())
    (folder / "label.txt").write_bytes(bom + ending.join(["cat", "dog", "bird", ""]).encode())
    for line, shown in enumerate((["猫", "狗"], ["狗"] * 3, ["猫"])):
        for number, word in enumerate(shown):
            draw(folder / "test" / f"{line:0{digits}d}" / f"{number}.jpg", word)
    (folder / "test" / ".hidden").mkdir()
    (folder / "test" / f"{0:0{digits}d}" / "notes.txt").write_text("no image")
    return folder


@pytest.mark.parametrize("digits, ending, bom", [(1, "\n", b""), (3, "\r\n", b"\xef\xbb\xbf")])
def test_numbered_folders_are_read(tmp_path, digits, ending, bom):
    got = read_numbered(numbered(tmp_path / "set", digits, ending, bom), Reading())
    assert got.classes == [("猫",), ("狗",), ("鸟",)]
    assert got.labels.tolist() == [0, 0, 1, 1, 1, 2]
    assert [path.name for path in got.images] == ["0.jpg", "1.jpg", "0.jpg", "1.jpg", "2.jpg", "0.jpg"]


def test_imagenets_own_folders_stand_for_lines_in_order(tmp_path):
    folder = tmp_path / "imagenet"
    for name in ("n01443537", "n01440764"):
        draw(folder / "val" / name / "ILSVRC2012_val_00000001.JPEG", "猫")
    (folder / "label_cn.txt").write_text("丁鲷\n金鱼\n", encoding="utf-8")
    got = read_numbered(folder, Reading())
    assert got.labels.tolist() == [0, 1] and got.images[0].parent.name == "n01440764"
    (folder / "label_cn.txt").write_text("丁鲷\n金鱼\n大白鲨\n", encoding="utf-8")
    with pytest.raises(DataError, match="2 folders but .*label_cn.txt 3 lines"):
        read_numbered(folder, Reading())


def test_accuracy_and_mean_per_class(tmp_path):
    outcome = zero_shot_sets.evaluate(Oracle(), "elevater-zh@food-101", numbered(tmp_path), allow_counts=True)
    [result] = outcome.results
    assert result.metrics == pytest.approx({"acc@1": 400 / 6, "mean_per_class": 50.0})
    assert result.counts == {"images": 6, "classes": 3} and result.benchmark == "elevater-zh@food-101"
    assert result.notes[0].startswith("headline metric acc@1;") and "food" in result.notes[0]
    assert any("3 instead of the published 101" in note for note in result.notes)
    per_class = zero_shot_sets.evaluate(Oracle(), "elevater-zh@caltech-101", tmp_path, allow_counts=True).results[0]
    assert per_class.notes[0].startswith("headline metric mean_per_class;")


def test_english_labels_and_windows_change_nothing_here(tmp_path):
    numbered(tmp_path)
    model, seen = Oracle(), []
    results = [
        zero_shot_sets.evaluate(
            model,
            "imagenet-zh",
            tmp_path,
            allow_counts=True,
            language=language,
            window=window,
            progress=lambda *done: seen.append(done),
        ).results[0]
        for language, window in (("zh", 256), ("en", 4))
    ]
    assert results[0].metrics == results[1].metrics and results[0].notes != results[1].notes
    assert len(model.images) == 12 and seen == [(6, 6), (4, 6), (6, 6)]


def test_another_count_is_an_error(tmp_path):
    with pytest.raises(DataError, match="classes: 3 instead of the published 1,000; .*--allow-counts"):
        zero_shot_sets.evaluate(Oracle(), "imagenet-zh", numbered(tmp_path))


@pytest.mark.parametrize("name", ["test", "val"])
def test_the_folder_that_is_counted_is_named(tmp_path, name):
    (numbered(tmp_path) / "test").rename(tmp_path / name)
    [result] = zero_shot_sets.evaluate(Oracle(), "imagenet-zh", tmp_path, allow_counts=True).results
    assert any(f"images of {name}: 6 instead of the published 50,000" in note for note in result.notes)


def test_a_table_is_in_line(tmp_path):
    numbered(tmp_path / "food-101")
    for result in zero_shot_sets.evaluate(Oracle(), "elevater-zh", tmp_path, allow_counts=True).results:
        lines = [line for line in table(result).splitlines() if line.startswith("|")]
        assert len({tuple(place for place, char in enumerate(line) if char == "|") for line in lines}) == 1


def test_hateful_memes_is_measured_by_roc_auc(tmp_path):
    words, rng = ["好", "恨"], np.random.default_rng(0)
    (tmp_path / "label_cn.txt").write_text("好的，没问题\n恨意\n", encoding="utf-8")
    vectors, labels = rng.standard_normal((30, 3)), np.repeat([0, 1], 15)
    for number, (vector, label) in enumerate(zip(vectors, labels, strict=True)):
        path = tmp_path / "test" / str(label) / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(vector.tolist()))
    [result] = zero_shot_sets.evaluate(Oracle(words), "elevater-zh@hateful-memes", tmp_path, allow_counts=True).results
    assert result.metrics["roc_auc"] == pytest.approx(roc_auc(vectors[:, 1] - vectors[:, 0], labels == 1))


def voc(folder):
    """VOC's own form with three images: two classes in the first, a difficult cat in the second, a dog in the third."""
    root = folder / "VOCdevkit" / "VOC2007"
    (root / "ImageSets" / "Main").mkdir(parents=True)
    words = list(NAMES.values())
    marks = {"cat": (1, 0, -1), "dog": (1, -1, 1)}
    for name in NAMES:
        rows = zip(("000001", "000002", "000004"), marks.get(name, (1, -1, -1)), strict=True)
        (root / "ImageSets" / "Main" / f"{name}_test.txt").write_text("".join(f"{i} {m:2d}\r\n" for i, m in rows))
    for image, word in (("000001", "猫"), ("000002", "猫"), ("000004", "狗")):
        draw(root / "JPEGImages" / f"{image}.jpg", word, words, second="人")
    return folder, words


def test_voc_is_measured_by_eleven_point_map_from_its_own_lists(tmp_path):
    folder, words = voc(tmp_path)
    data = read_voc(folder, "test", "zh", Reading())
    assert data.labels.shape == (3, 20) and data.labels[:, words.index("猫")].tolist() == [1, 0, -1]
    [result] = zero_shot_sets.evaluate(Oracle(words), "elevater-zh@voc-2007", folder, allow_counts=True).results
    wanted = [eleven_point_ap([1, 0], [1, 0]), eleven_point_ap([0, 0, 1], [1, 0, 1]), 100 / 3]
    wanted += [100 / 3] * 17
    assert result.metrics == pytest.approx({"map_11point": np.mean(wanted)})


def test_voc_with_one_class_an_image_is_refused(tmp_path):
    with pytest.raises(DataError, match="ImageSets/Main; .*one class only"):
        zero_shot_sets.evaluate(Oracle(), "elevater-zh@voc-2007", numbered(tmp_path), allow_counts=True)


def test_bare_name_runs_what_is_there_and_tells_what_is_not(tmp_path):
    for name in ("food-101", "caltech-101", "voc-2007-classification"):
        numbered(tmp_path / name)
    outcome = zero_shot_sets.evaluate(Oracle(), "elevater-zh", tmp_path, allow_counts=True)
    assert [result.benchmark for result in outcome.results] == [
        "elevater-zh@caltech-101",
        "elevater-zh@food-101",
        "elevater-zh",
    ]
    assert outcome.results[-1].metrics["mean"] == pytest.approx((50 + 400 / 6) / 2)
    assert "2 of 20 sets" in outcome.results[-1].notes[0]
    assert "voc-2007-classification (has no" in outcome.results[-1].notes[1] and "mnist" in outcome.results[-1].notes[1]


def test_any_folder_of_classes(tmp_path):
    for name, word in (("black_cat", "cat"), ("dog", "dog"), ("bird", "cat")):
        draw(tmp_path / name / "one.png", word)
    [result] = zero_shot_sets.evaluate(Oracle(), "folder", tmp_path).results
    assert result.metrics["acc@1"] == pytest.approx(200 / 3) and " en prompts" in result.notes[0]
    (tmp_path / "classes.txt").write_bytes("\ufeffblack_cat\t黑猫，黑色的猫\r\ndog\t狗\r\nbird\t鸟\r\n".encode())
    got = read_folder(tmp_path, Reading())
    assert dict(zip([path.parent.name for path in got.images], got.classes, strict=True)) == {
        "black_cat": ("黑猫", "黑色的猫"),
        "dog": ("狗",),
        "bird": ("鸟",),
    }
    [result] = zero_shot_sets.evaluate(Oracle(), "folder", tmp_path).results
    assert result.metrics["acc@1"] == pytest.approx(200 / 3) and " zh prompts" in result.notes[0]


def test_a_folder_with_a_label_file_is_read_as_chinese_clip_does(tmp_path):
    [result] = zero_shot_sets.evaluate(Oracle(), "folder", numbered(tmp_path)).results
    assert result.metrics["acc@1"] == pytest.approx(400 / 6) and result.counts["classes"] == 3


def test_synonyms():
    assert split_names("大白鲨，噬人鲨、 大鲨鱼", "x:1") == ("大白鲨", "噬人鲨", "大鲨鱼")
    assert split_names("沙球（一种打击乐器，木制）", "x:1") == ("沙球（一种打击乐器，木制）",)
    assert split_names("tench, Tinca tinca,", "x:1") == ("tench", "Tinca tinca")
    assert split_names("前面有车，很近", "x:1", synonyms=False) == ("前面有车，很近",)
    with pytest.raises(DataError, match="x:1: the line has no name"):
        split_names(" ， ", "x:1")


def test_the_checksum_follows_labels_and_names_of_images(tmp_path):
    def checksum():
        return zero_shot_sets.evaluate(Oracle(), "folder", tmp_path).data_sha256

    numbered(tmp_path)
    first = checksum()
    assert checksum() == first
    (tmp_path / "test" / "002" / "0.jpg").rename(tmp_path / "test" / "002" / "1.jpg")
    second = checksum()
    (tmp_path / "label_cn.txt").write_text("猫\n狗\n大鸟\n", encoding="utf-8")
    assert len({first, second, checksum()}) == 3


def test_notes_on_empty_and_equal_classes(tmp_path):
    numbered(tmp_path)
    (tmp_path / "label_cn.txt").write_text("猫\n狗\n鸟\n狗\n", encoding="utf-8")
    [result] = zero_shot_sets.evaluate(Oracle(), "folder", tmp_path).results
    assert any("1 of 4 classes have no image" in note for note in result.notes)
    assert any("1 classes have the name of another" in note for note in result.notes)


def test_a_broken_image_is_named_or_left_out(tmp_path):
    numbered(tmp_path)
    (tmp_path / "test" / "002" / "0.jpg").write_text("{")
    with pytest.raises(DataError, match=r"002/0\.jpg: not an image") as caught:
        zero_shot_sets.evaluate(Oracle(), "folder", tmp_path)
    assert str(caught.value).count("0.jpg") == 1
    [result] = zero_shot_sets.evaluate(Oracle(), "folder", tmp_path, skip_broken=True, window=2).results
    assert result.metrics["acc@1"] == pytest.approx(80) and result.counts["images"] == 5
    assert any("002/0.jpg" in note for note in result.notes)


def remove(*names):
    def damage(folder):
        for name in names:
            (folder / name).unlink()

    return damage


@pytest.mark.parametrize(
    "name, damage, words",
    [
        ("elevater-zh@food-101", remove("label_cn.txt"), "has no label_cn.txt; download Chinese-CLIP's archive"),
        ("imagenet-zh", remove("label_cn.txt"), "has no label_cn.txt; request the validation images"),
        ("imagenet-zh", lambda folder: (folder / "test").rename(folder / "images"), "has no folder test; request"),
        (
            "imagenet-zh",
            lambda folder: (folder / "test" / "002").rename(folder / "test" / "003"),
            "test/003 belongs to none of the 3 lines",
        ),
        (
            "imagenet-zh",
            lambda folder: (folder / "test" / "002").rename(folder / "test" / "bird"),
            "test/bird belongs to none",
        ),
        (
            "folder",
            lambda folder: (folder / "test").rename(folder / "images"),
            "has no folder test; beside the label file",
        ),
        ("imagenet-zh", lambda folder: (folder / "label_cn.txt").write_bytes(b"\xff\xfe\0\0"), "is UTF-32 text"),
        (
            "imagenet-zh",
            lambda folder: (folder / "label_cn.txt").write_bytes("猫\n狗\n".encode() + b"\xe9\n"),
            "label_cn.txt:3: the line is not UTF-8",
        ),
        ("imagenet-zh", lambda folder: (folder / "label_cn.txt").write_bytes(b""), "the file is empty"),
        ("elevater-zh", lambda folder: None, "has no folder of a set"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path, name, damage, words):
    folder = numbered(tmp_path / "data")
    damage(folder)
    with pytest.raises(DataError) as caught:
        zero_shot_sets.evaluate(Oracle(), name, folder, allow_counts=True)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content, words",
    [
        ("dog\t狗\n", "no line for the folder 'cat'"),
        ("dog 狗\n", "classes.txt:1: the line has no tab"),
        ("dog\t狗\ncat\t猫\ndog\t犬\n", "classes.txt:3: the line names the folder 'dog', which stood before"),
        ("cow\t牛\n", "the folder 'cow', which is not there"),
    ],
)
def test_classes_txt_must_fit(tmp_path, content, words):
    for name in ("cat", "dog"):
        draw(tmp_path / name / "one.jpg", name)
    (tmp_path / "classes.txt").write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_folder(tmp_path, Reading())
    assert words in str(caught.value)


def test_folders_without_content(tmp_path):
    with pytest.raises(DataError, match="has no sub-folder"):
        read_folder(tmp_path, Reading())
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match="has no image in its folders"):
        read_folder(tmp_path, Reading())
    with pytest.raises(DataError, match="is not a folder"):
        zero_shot_sets.evaluate(Oracle(), "folder", tmp_path / "nothing")


@pytest.mark.parametrize(
    "name, options, words",
    [
        ("elevater-zh@food101", {}, "did you mean 'food-101'"),
        ("imagenet-zh@x", {}, "no set 'x'"),
        ("folder", {"language": "fr"}, "zh and en"),
        ("folder", {"allow_count": True}, "did you mean 'allow_counts'"),
        ("folder", {"domain": "foods"}, "did you mean 'food'"),
    ],
)
def test_wrong_names_and_options(tmp_path, name, options, words):
    with pytest.raises(ConfigError, match=words):
        zero_shot_sets.evaluate(Oracle(), name, numbered(tmp_path), **options)


def test_the_table_of_sets_holds_the_published_sizes():
    assert sum(task.classes for task in SETS.values()) == 1151
    assert {name for name, task in SETS.items() if task.metric == "mean_per_class"} == {
        "caltech-101",
        "fgvc-aircraft-2013b-variants102",
        "oxford-flower-102",
        "oxford-iiit-pets",
    }


def test_a_real_model_on_real_images(tmp_path, tiny_config, tiny_vocab, random_image, image_bytes):
    """The towers are random, so only the path from files to figures is checked, in two windows."""
    from ernie_vil2.data.tokenizer import Tokenizer
    from ernie_vil2.inference.model import Model
    from ernie_vil2.models.dual_encoder import DualEncoder

    model = Model(DualEncoder(tiny_config), Tokenizer(tiny_vocab, max_length=16))
    for line, name in enumerate(("红猫", "蓝狗")):
        for number in range(3):
            path = tmp_path / name / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(image_bytes(random_image(40, 50, seed=10 * line + number)))
    first, second = (
        zero_shot_sets.evaluate(model, "folder", tmp_path, window=window).results[0].metrics for window in (256, 4)
    )
    assert first == second and 0 <= first["acc@1"] <= 100


def test_what_published_figures_were_not_measured_with_is_noted(tmp_path):
    numbered(tmp_path)
    (tmp_path / "train").symlink_to(tmp_path / "test")

    def notes(**options):
        found = zero_shot_sets.evaluate(Oracle(), "imagenet-zh", tmp_path, allow_counts=True, **options).results[0]
        return [note for note in found.notes if note.endswith("with published figures of this benchmark")]

    assert notes() == notes(split="val") == notes(language="zh") == []
    assert [note.partition(":")[0] for note in notes(language="en")] == ["en names and prompts"]
    assert [note.partition(":")[0] for note in notes(split="train")] == ["the split train"]
    assert notes(language="en", split="train")[0].startswith("en names and prompts and the split train: ")


@pytest.mark.parametrize("side", ["encode_text", "encode_image"])
@pytest.mark.parametrize("name", ["folder", "elevater-zh"])
def test_a_model_that_gives_nan_has_no_accuracy(tmp_path, name, side):
    class Broken(Oracle):
        """One item of one tower is not finite."""

    def broken(self, items, *rest, **more):
        found = getattr(Oracle, side)(self, items, *rest, **more)
        (found[0] if side == "encode_image" else found)[-1] = np.nan
        return found

    setattr(Broken, side, broken)
    numbered(tmp_path / "food-101")
    data = tmp_path if name == "elevater-zh" else tmp_path / "food-101"
    what = "the prompt '.*鸟.*'" if side == "encode_text" else r".*002/0\.jpg"
    with pytest.raises(CheckpointError, match=f"embeddings are not finite: .* 1 of .*, the first is {what};"):
        zero_shot_sets.evaluate(Broken(), name, data, allow_counts=True, skip_broken=True)
