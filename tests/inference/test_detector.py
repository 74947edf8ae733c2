"""The detector of an export: pixels as PaddleDetection makes them, boxes in pixels of the image, resumable output."""

import json
import shutil
import subprocess
import sys

import numpy as np
import paddle
import pytest
import yaml
from PIL import Image

from ernie_vil2.cli.arguments import Parser
from ernie_vil2.cli.data.tags import add_verb
from ernie_vil2.config.model import PIXEL_PROFILES
from ernie_vil2.data.images.decode import decode
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.device import Device
from ernie_vil2.errors import CheckpointError, ConfigError, DataError
from ernie_vil2.inference import detector as detection
from ernie_vil2.inference.detector import Detector, detect_source

STEPS = [
    {"type": "Resize", "target_size": [64, 32], "keep_ratio": False, "interp": 2},
    {"type": "NormalizeImage", "is_scale": True, "mean": [0.0, 0.5, 0.5], "std": [0.25, 0.5, 0.5]},
    {"type": "Permute"},
]


class Whole(paddle.nn.Layer):
    """Finds class 1 over the whole image with the score of its mean red, class 0 nowhere, and a hint of class 1."""

    def __init__(self):
        super().__init__()
        self.factor = self.create_parameter([1], default_initializer=paddle.nn.initializer.Constant(1.0))

    def forward(self, image, im_shape, scale_factor):
        size = im_shape[0] / scale_factor[0]
        red = image[0, 0].mean().reshape([1]) * self.factor
        corner = paddle.zeros([2])
        box = paddle.concat([corner, size[1:2], size[0:1]])
        rows = [
            paddle.concat([paddle.full([1], kind), score, box])
            for kind, score in ((1.0, red), (-1.0, red), (1.0, red * 0 + 0.01))
        ]
        return paddle.stack(rows), paddle.full([1], 3, "int32")


def export(folder, steps=STEPS, labels=("天空", "桌子")):
    paddle.jit.save(
        Whole(),
        str(folder / "model"),
        input_spec=[
            paddle.static.InputSpec([1, 3, None, None], "float32", "image"),
            paddle.static.InputSpec([1, 2], "float32", "im_shape"),
            paddle.static.InputSpec([1, 2], "float32", "scale_factor"),
        ],
    )
    config = {"mode": "paddle", "draw_threshold": 0.5, "Preprocess": steps, "label_list": list(labels)}
    (folder / "infer_cfg.yml").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return export(tmp_path_factory.mktemp("detector"))


@pytest.fixture
def photos(tmp_path, random_image, image_bytes):
    """A source of 70 rows with 35 images of several shapes, the sixth broken."""
    rows = []
    for index in range(35):
        data = image_bytes(random_image(20 + index, 50 - index, index))
        (tmp_path / f"{index}.png").write_bytes(data[:40] if index == 5 else data)
        rows += [{"image": f"{index}.png", "text": f"图{index}"}] * 2
    path = tmp_path / "photos.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_detections_of_a_source(tmp_path, exported, photos):
    source, detector = open_source(photos), Detector(exported)
    path, counts = detect_source(detector, source, tmp_path / "out")
    rows = rows_of(path)
    assert counts == {"images": 34, "broken": 1}
    assert [row["id"] for row in rows] == [f"{index}.png" for index in range(35)] and "photos.jsonl" not in rows[5]
    assert "error" in rows[5] and "truncated" in rows[5]["error"]
    for index, row in enumerate(rows):
        if index != 5:
            pixels = decode(tmp_path / f"{index}.png")
            assert row["labels"] == ["桌子"] and np.allclose(row["boxes"], [[0, 0, 50 - index, 20 + index]], atol=0.1)
            assert row["scores"][0] == pytest.approx((pixels[:, :, 0].mean() / 255) / 0.25, abs=0.03)


def test_the_same_bytes_after_an_interruption(tmp_path, exported, photos):
    source, detector = open_source(photos), Detector(exported)
    whole = detect_source(detector, source, tmp_path / "whole")[0].read_bytes()

    def stopping(rows):
        for row in rows:
            if row == 45:
                raise KeyboardInterrupt
            yield row

    with pytest.raises(KeyboardInterrupt):
        detect_source(detector, source, tmp_path / "out", stopping)
    path = tmp_path / "out" / "detections.jsonl"
    assert 0 < path.stat().st_size < len(whole)
    with open(path, "ab") as handle:
        handle.write(b'{"id": "half a li')
    left = []
    assert detect_source(detector, source, tmp_path / "out", lambda rows: left.append(rows) or rows)[1]["images"] == 34
    assert path.read_bytes() == whole and left == [range(32, 70)]
    with pytest.raises(DataError, match="begun with another source"):
        detect_source(detector, open_source([str(photos)] * 2), tmp_path / "out")


def test_the_verb_detects_and_joins(tmp_path, exported, photos):
    out = tmp_path / "tags.jsonl"
    code = (
        "import sys; from ernie_vil2.cli.arguments import Parser; from ernie_vil2.cli.data.tags import add_verb;"
        "p = Parser(); add_verb(p.add_subparsers()); a = p.parse_args(sys.argv[1:]); a.run(a)"
    )
    command = ["tags", str(photos), str(out), "--detector", str(exported), "--threshold", "-9", "--most", "3"]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "34 images, 1 image is broken" in done.stdout and f"wrote {out}" in done.stdout
    tagged = open_source({"path": str(photos), "tags": str(out)})
    assert tagged[0].tags == tagged[1].tags == ("桌子",) and tagged[69].tags == ("桌子",)


def test_boxes_are_of_images_as_they_are_stored(tmp_path, exported, random_image):
    image, exif = Image.fromarray(random_image(40, 24)), Image.Exif()
    exif[0x0112] = 6  # a quarter turn, which OpenCV applies
    image.save(tmp_path / "a.png", exif=exif)
    (tmp_path / "a.jsonl").write_text('{"image": "a.png", "text": "x"}')
    source, seen = open_source(tmp_path / "a.jsonl"), []
    for profile in ("official", "brivl"):
        detector = Detector(exported, PIXEL_PROFILES[profile])
        detector.detect = lambda rgb: seen.append(rgb.shape) or np.zeros((0, 6), np.float32)
        detect_source(detector, source, tmp_path / profile)
    assert seen == [(24, 40, 3), (40, 24, 3)]
    with pytest.raises(DataError, match="begun with another model"):
        detect_source(detector, source, tmp_path / "official")


def test_preprocessing_by_hand():
    pixels = np.arange(3 * 5 * 3, dtype=np.uint8).reshape(3, 5, 3)
    info = {}
    assert detection.resize(pixels, info, 6, keep_ratio=True).shape == (4, 6, 3)
    assert info["im_shape"] == (4, 6) and info["scale_factor"] == (1.2, 1.2)
    assert detection.resize(pixels, info, [6, 20], keep_ratio=True).shape == (6, 10, 3)
    values = detection.normalize(pixels, info, mean=[1, 2, 3], std=[1, 2, 4], is_scale=False)
    np.testing.assert_array_equal(values[0, 1], [2, 1, 0.5])
    np.testing.assert_array_equal(detection.normalize(pixels, info, norm_type="none"), pixels / np.float32(255))
    padded = detection.pad_stride(detection.permute(values, info), info, stride=4)
    assert padded.shape == (3, 4, 8) and padded[:, 3:].sum() == padded[:, :, 5:].sum() == 0
    np.testing.assert_array_equal(padded[:, :3, :5], values.transpose(2, 0, 1))


def test_what_is_no_detector(tmp_path, exported):
    with pytest.raises(ConfigError, match="cannot read configuration .*infer_cfg.yml"):
        Detector(tmp_path)
    (tmp_path / "infer_cfg.yml").write_text("Preprocess: []")
    with pytest.raises(ConfigError, match="no Preprocess list"):
        Detector(tmp_path)
    (tmp_path / "infer_cfg.yml").write_text("Preprocess: [{type: WarpAffine}]")
    with pytest.raises(ConfigError, match="preprocessing 'WarpAffine' is not known"):
        Detector(tmp_path)
    for std in ("[0, 1, 1]", "0", "[.nan, 1, 1]", "[a]"):
        (tmp_path / "infer_cfg.yml").write_text(f"Preprocess: [{{type: NormalizeImage, std: {std}}}]")
        with pytest.raises(ConfigError, match="NormalizeImage has std .*; give numbers above 0"):
            Detector(tmp_path)
    (tmp_path / "infer_cfg.yml").write_text("Preprocess: [{type: Permute}]")
    with pytest.raises(CheckpointError, match="no exported model"):
        Detector(tmp_path)
    detector = Detector(exported)
    with pytest.raises(CheckpointError, match="class 2 is beyond the 2 names"):
        detector.record("a", np.float32([[2, 0.5, 0, 0, 1, 1]]))


def test_the_verb_wants_one_kind_of_detections(tmp_path):
    parser = Parser()
    add_verb(parser.add_subparsers())
    for extra in ([], ["d.jsonl", "--detector", "x"]):
        args = parser.parse_args(["tags", "s.jsonl", str(tmp_path / "o"), *extra])
        with pytest.raises(ConfigError, match="or --detector DIR"):
            args.run(args)


@pytest.mark.parametrize("kind", ["cpu", "gpu", "xpu", "npu"])
def test_a_detector_runs_on_a_gpu_and_else_on_all_threads_of_the_cpu(exported, monkeypatch, kind):
    called = []
    monkeypatch.setattr(detection, "current_device", lambda: Device(kind))
    monkeypatch.setattr(detection, "thread_count", lambda: 3)
    for name in ("enable_use_gpu", "disable_gpu", "set_cpu_math_library_num_threads"):
        monkeypatch.setattr(
            paddle.inference.Config, name, lambda self, *given, name=name: called.append((name, *given))
        )
    Detector(exported)
    on_cpu = [("disable_gpu",), ("set_cpu_math_library_num_threads", 3)]
    assert called == ([("enable_use_gpu", 500, 0)] if kind == "gpu" else on_cpu)


WRONG = {
    "Preprocess: 3": "Preprocess holds 3; give a list of mappings",
    "Preprocess: [3]": "Preprocess holds 3",
    "Preprocess: [{type: [a]}]": "is not known",
    "Preprocess: [{type: Resize}]": "no target_size",
    "Preprocess: [{type: Resize, target_size: a}]": "Resize.target_size must be of type",
    "Preprocess: [{type: Resize, target_size: [1, 2, 3]}]": "give 2 numbers",
    "Preprocess: [{type: Resize, target_size: -1}]": "Resize.target_size is -1 but must be at least 1",
    "Preprocess: [{type: Resize, target_size: 99999999}]": "at most 8192",
    "Preprocess: [{type: Resize, target_size: 9, interp: 99}]": "Resize.interp is 99",
    "Preprocess: [{type: NormalizeImage, mean: [a]}]": "NormalizeImage.mean must be of type",
    "Preprocess: [{type: NormalizeImage, mean: [1]}]": "give 3 numbers",
    "Preprocess: [{type: NormalizeImage, std: {a: 1}}]": "give numbers above 0",
    "Preprocess: [{type: PadStride, stride: 1e9}]": "PadStride.stride must be of type int",
    "Preprocess: [{type: Permute}]\nlabel_list: 3": "label_list is 3; give a list of names",
    "Preprocess: [{type: Permute}]\nlabel_list: [[a]]": "give a list of names",
    "[1, 2]": "must hold keys and values",
    "a: !!int x": "'x' is no int",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_configuration_of_an_export_is_one_sentence(tmp_path, text):
    (tmp_path / "infer_cfg.yml").write_text(text)
    with pytest.raises(ConfigError, match=WRONG[text]) as caught:
        Detector(tmp_path)
    assert "infer_cfg.yml" in str(caught.value) and len(str(caught.value)) < 480


def test_an_export_that_git_left_without_its_files(tmp_path, exported):
    for name in [path.name for path in exported.iterdir() if path.suffix in (".json", ".pdmodel", ".pdiparams")]:
        shutil.copytree(exported, tmp_path / name)
        (tmp_path / name / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        with pytest.raises(CheckpointError, match=f"{name} is a Git LFS pointer"):
            Detector(tmp_path / name)
