"""The verb `quantize`: which rows calibrate, what is measured on others, and what stays out of int8."""

import json

import numpy as np
import openvino as ov
import pytest

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.cli import quantize
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import ConfigError, DataError
from ernie_vil2.evaluation.calibration_rows import MOST_VALIDATED, calibration_items, divided, spread
from ernie_vil2.inference import quantization
from tests.standin import standin_tensor

SCENES = "{kind: scenes, size: 80, image_size: 32, languages: [zh]}"


@pytest.fixture
def wrecked(monkeypatch):
    """Towers whose int8 is made useless; the quantiser is a stand-in that copies the others."""
    found = set()

    def write(graph, batches, target):
        model = ov.Core().read_model(graph)
        if target.parent.name in found:
            result = model.get_results()[0]
            value = result.input_value(0)
            result.input(0).replace_source_output(ov.opset13.multiply(value, np.float32(0)).output(0))
        ov.save_model(model, target, compress_to_fp16=False)

    monkeypatch.setattr(quantization, "write_int8", write)
    for place in (quantization, quantize):
        monkeypatch.setattr(place, "check_installed", lambda: None)
    monkeypatch.setattr(quantization, "installed_version", lambda name: "3.4.0")
    return found


@pytest.fixture
def path(tmp_path, tiny_config, tiny_vocab, monkeypatch):
    monkeypatch.delenv("ERNIE_VIL2_ENGINE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    state = {key: standin_tensor(key, shape) for key, shape in manifest(tiny_config).items()}
    save_model("model", state, tiny_config, tiny_vocab)
    return tmp_path / "model"


def record(path, kind):
    return json.loads((path / "engines" / f"{kind}-int8" / "quantized.json").read_text())


def test_a_tower_that_costs_too_much_stays_unless_it_is_to_be_kept(path, wrecked, capsys):
    wrecked.add("text")
    quantize.main(["model", "--calibrate", SCENES])
    out = capsys.readouterr().out
    assert "fp32, standard protocol: 40 images" in out and "quantized, standard protocol: 40 images" in out
    stays = quantize.beside_int8()
    assert f"points: over 1, so that the tower stays in {stays}" in out.split("texts alone in int8")[1]
    assert "over 1" not in out.split("images alone in int8")[1].splitlines()[0]
    assert ernie_vil2.load(path, precision="int8").precision == {"image": "int8", "text": stays}
    found = record(path, "text")
    assert found["precision"] == stays and found["cost"] > 1 and found["validated"] == 40 and found["calibrated"] == 40
    quantize.main(["model", "--calibrate", SCENES, "--towers", "text", "--keep"])
    assert ernie_vil2.load(path, precision="int8").precision == {"image": "int8", "text": "int8"}
    assert record(path, "text")["cost"] == found["cost"]


def test_pictures_without_captions_calibrate_the_image_tower(path, wrecked, tmp_path, random_image, capsys):
    import cv2

    (tmp_path / "pictures").mkdir()
    for number in range(64):
        cv2.imwrite(f"pictures/{number}.png", random_image(32, 32, number))
    with pytest.raises(DataError, match="pictures has no captions to calibrate the text tower on; .*--towers"):
        quantize.main(["model", "--calibrate", "pictures"])
    with pytest.raises(ConfigError, match="no captions, so that its recall cannot be measured; give one .*--validate"):
        quantize.main(["model", "--calibrate", "pictures", "--towers", "image"])
    with pytest.raises(DataError, match="pictures has no captions, which measuring recall needs"):
        quantize.main(["model", "--calibrate", SCENES, "--validate", "pictures"])
    assert not (path / "engines").exists() or not list(path.glob("engines/*int8"))
    quantize.main(["model", "--calibrate", "pictures", "--towers", "image", "--keep"])
    assert record(path, "image")["cost"] is None and "recall" not in capsys.readouterr().out.lower()
    quantize.main(["model", "--calibrate", "pictures", "--towers", "image", "--validate", SCENES])
    assert record(path, "image")["validated"] == 80 and record(path, "image")["calibrated"] == 64


def test_a_source_that_is_too_small_is_told_before_a_model_is_loaded(path, wrecked, monkeypatch):
    monkeypatch.setattr(quantization, "load", None)
    for size, more, told in (
        (3, ["--validate", SCENES], "has 3 rows, and calibration needs at least 32; give a larger one"),
        (63, [], "has 63 rows, and calibration and what validates it need at least 64; .* one more with --validate"),
    ):
        with pytest.raises(DataError, match=told):
            quantize.main(["model", "--calibrate", SCENES.replace("80", str(size)), *more])


@pytest.mark.parametrize(
    "options, told",
    [
        (["--towers", "img"], "there is no tower 'img'; give image, text or image,text"),
        (["--count", "31"], "must be at least 32"),
        (["--count", "many"], "'many' is no whole number"),
    ],
)
def test_wrong_arguments_are_one_line(options, told, capsys):
    with pytest.raises(SystemExit):
        quantize.main(["model", "--calibrate", SCENES, *options])
    assert told in capsys.readouterr().err.splitlines()[-1]


def test_rows_that_calibrate_are_spread_and_measure_nothing():
    source = open_source({"kind": "scenes", "size": 2500, "image_size": 8})
    calibrating, others = divided(source, 300, True)
    assert len(calibrating) == 300 and len(others) == MOST_VALIDATED
    assert calibrating.rows[0] == 0 and calibrating.rows[-1] == 2499
    assert set(np.diff(calibrating.rows)) <= {8, 9} and np.diff(others.rows).max() <= 4
    assert set(calibrating.rows).isdisjoint(others.rows)
    assert calibrating[7].texts == source[int(calibrating.rows[7])].texts
    assert calibrating.where(7) == source.where(int(calibrating.rows[7]))
    whole, none = divided(source, 9000, False)
    assert len(whole) == 2500 and none is None
    assert spread(np.arange(10), 3).tolist() == [0, 4, 9]


def test_rows_take_turns_with_their_captions():
    source = open_source({"kind": "scenes", "size": 4, "image_size": 8, "languages": ["zh"]})
    found = calibration_items(source, ["text"])
    assert found.texts == [source[row].texts[row % 2] for row in range(4)] and len(found.images) == 4
