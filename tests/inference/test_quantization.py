"""A quantised model: what is calibrated on, what is kept, and what `load` makes of it. The quantiser is a stand-in."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.errors import CheckpointError, ConfigError, DataError, UserError
from ernie_vil2.inference import quantization
from ernie_vil2.inference.engines import choice, int8_graph
from ernie_vil2.inference.engines.int8_record import RECORD
from ernie_vil2.inference.engines.processor import Processor
from ernie_vil2.inference.engines.record import seal
from ernie_vil2.inference.quantization import calibration, quantizable, quantize_model
from tests.standin import standin_tensor

TEXTS = ["红色的猫", "a small blue dog", "二只大狗", "三个圆形和方形的图片"] * 10
FAST = Processor(frozenset({"amx_bf16", "amx_int8"}), 2)


class Quantiser:
    """Writes the graph as it is, and remembers what it was given."""

    def __init__(self):
        self.batches = {}

    def __call__(self, graph, batches, target):
        self.batches[target.parent.name] = batches
        ov.save_model(ov.Core().read_model(graph), target, compress_to_fp16=False)


@pytest.fixture
def quantiser(monkeypatch):
    found = Quantiser()
    monkeypatch.setattr(quantization, "write_int8", found)
    monkeypatch.setattr(quantization, "check_installed", lambda: None)
    monkeypatch.setattr(quantization, "installed_version", lambda name: "3.4.0")
    for place in (quantization, choice):
        monkeypatch.setattr(place, "this_processor", lambda: FAST)
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder for a model with its fp32 graphs, which the first test writes."""
    return tmp_path_factory.mktemp("built") / "model"


@pytest.fixture
def path(built, tmp_path, tiny_config, tiny_vocab, monkeypatch):
    """A model directory with its fp32 graphs."""
    monkeypatch.delenv("ERNIE_VIL2_ENGINE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ERNIE_VIL2_ENGINE", raising=False)
    if not built.exists():
        state = {key: standin_tensor(key, shape) for key, shape in manifest(tiny_config).items()}
        save_model(built, state, tiny_config, tiny_vocab)
        model = ernie_vil2.load(built, engine="openvino")
        model.encode_text("红")
        model.encode_image(np.zeros((32, 32, 3), np.uint8))
    return Path(shutil.copytree(built, tmp_path / "model"))


@pytest.fixture
def images(random_image):
    return [random_image(40, 36, seed) for seed in range(40)]


def test_what_is_quantised_is_what_load_takes(path, images, quantiser):
    kept = quantize_model(path, images, TEXTS)
    assert kept == {kind: path / "engines" / f"{kind}-int8" for kind in ("image", "text")}
    model = ernie_vil2.load(path, precision="int8")
    assert model.precision == {"image": "int8", "text": "int8"}
    plain = ernie_vil2.load(path, engine="paddle")
    assert plain.precision == {"image": "fp32", "text": "fp32"}
    for found, wanted in (
        (model.encode_text(TEXTS), plain.encode_text(TEXTS)),
        (model.encode_image(images), plain.encode_image(images)),
    ):
        assert (found * wanted).sum(1).min() > 0.999  # the stand-in's graph, in bf16
    record = json.loads((kept["text"] / RECORD).read_text())
    assert record == {"precision": "int8", "calibrated": 40, "cost": None, "validated": 0, "nncf": "3.4.0"}


def test_calibration_sees_what_encoding_computes_with(path, images, quantiser):
    model = quantizable(path)
    texts = calibration(model, "text", [*TEXTS, "", 7])
    seen = sorted(tuple(row[row > 0]) for (ids,) in texts for row in ids)
    assert seen == sorted(tuple(row[row > 0]) for row in model.tokenize(TEXTS))
    assert all((ids[:, -1] != 0).any() for (ids,) in texts)  # padded to the longest of the batch, as encoding does
    pixels = np.concatenate([batch for (batch,) in calibration(model, "image", [*images, b"no image"])])
    assert pixels.shape == (40, 3, 32, 32) and pixels.dtype == np.float32
    np.testing.assert_allclose(pixels[3], model.preprocess(images[3]), atol=1e-5)


@pytest.mark.parametrize("tower, other", [("image", "text"), ("text", "image")])
def test_a_tower_that_was_not_quantised_computes_in_bf16(path, images, quantiser, tower, other):
    assert set(quantize_model(path, images, TEXTS, towers=[tower])) == {tower}
    assert ernie_vil2.load(path, precision="int8").precision == {tower: "int8", other: "bf16"}
    assert set(quantiser.batches) == {tower}


def test_without_fast_bf16_the_rest_is_fp32(path, images, quantiser, monkeypatch, caplog):
    for place in (quantization, choice):
        monkeypatch.setattr(place, "this_processor", lambda: Processor(frozenset({"avx2"}), 2))
    with caplog.at_level(logging.WARNING, "ernie_vil2"):
        quantize_model(path, images, towers=["image"])
    assert "no instruction for products of int8" in caplog.text
    model = ernie_vil2.load(path, precision="int8")
    assert model.precision == {"image": "int8", "text": "fp32"}
    plain = ernie_vil2.load(path, engine="paddle")
    np.testing.assert_allclose(model.encode_image(images), plain.encode_image(images), atol=1e-4)


def test_a_tower_that_stays_takes_the_place_of_its_older_int8(path, images, quantiser):
    quantize_model(path, images, TEXTS)
    model = quantizable(path)
    record = quantization.record_of("bf16", 40, 2.5, 300)
    kept = quantization.keep(model, "text", None, record)
    assert sorted(file.name for file in kept.iterdir()) == ["engine.json", RECORD]
    assert ernie_vil2.load(path, precision="int8").precision == {"image": "int8", "text": "bf16"}
    quantization.keep(model, "image", None, record)
    with pytest.raises(
        ConfigError, match=r"too many points of R@1 \(2.5 for the image tower, 2.5 for the text tower\)"
    ):
        ernie_vil2.load(path, precision="int8")


def test_what_was_not_quantised_and_what_is_damaged_is_a_sentence(path, images, quantiser):
    with pytest.raises(ConfigError, match="no engine of precision int8; quantize it first"):
        ernie_vil2.load(path, precision="int8")
    kept = quantize_model(path, images, TEXTS)
    (kept["text"] / RECORD).write_text("{}")
    with pytest.raises(CheckpointError, match="text-int8 is damaged; quantize the model again"):
        ernie_vil2.load(path, precision="int8")
    assert ernie_vil2.load(path).precision == {"image": "fp32", "text": "fp32"}


@pytest.mark.parametrize("record", [None, "[1]", "[", "{}", {"precision": "fp8"}, {"cost": "x"}])
def test_a_record_that_is_none_is_a_sentence_though_its_checksum_fits(path, images, quantiser, record):
    folder = quantize_model(path, images, TEXTS)["text"]
    facts = json.loads((folder / "engine.json").read_text())["facts"]
    if isinstance(record, dict):
        record = json.dumps(json.loads((folder / RECORD).read_text()) | record)
    (folder / RECORD).unlink()
    if record is not None:
        (folder / RECORD).write_text(record)
    seal(folder, facts)
    with pytest.raises(UserError, match=r"quantized\.json") as told:
        ernie_vil2.load(path, precision="int8")
    assert "\n" not in str(told.value)


def test_too_little_to_calibrate_on(path, images, quantiser):
    with pytest.raises(DataError, match="calibration needs at least 32 images and has 3; give more of them"):
        quantize_model(path, images[:3], TEXTS)
    broken = [*images[:31], b"no image"]
    with pytest.raises(DataError, match="has 31; give more of them, the first that cannot be used: "):
        quantize_model(path, broken, TEXTS)
    with pytest.raises(DataError, match="32 texts and has 0"):
        quantize_model(path, images)
    assert list(path.glob("engines/*int8*")) == []


def test_a_fault_of_the_quantiser_leaves_nothing(path, images, quantiser, monkeypatch, tmp_path):
    def fails(graph, batches, target):
        target.write_text("half")
        raise KeyboardInterrupt

    (temporary := tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    before = quantize_model(path, images, TEXTS)
    content = {file: file.read_bytes() for folder in before.values() for file in folder.iterdir()}
    monkeypatch.setattr(quantization, "write_int8", fails)
    with pytest.raises(KeyboardInterrupt):
        quantize_model(path, images, TEXTS)
    assert {file: file.read_bytes() for folder in before.values() for file in folder.iterdir()} == content
    assert list(temporary.iterdir()) == []
    assert sorted(file.name for file in (path / "engines").iterdir() if ".tmp" in file.name) == []


def test_a_tower_that_has_no_graph_is_named(path, images, quantiser, monkeypatch):
    from ernie_vil2.inference.engines import openvino_engine

    def untraceable(*arguments):
        raise RuntimeError("the operation pd_op.dream")

    monkeypatch.setattr(openvino_engine, "trace", untraceable)
    shutil.rmtree(path / "engines")
    with pytest.raises(
        ConfigError, match="the image tower cannot be quantized, for its graph .*pd_op.dream; leave it out"
    ):
        quantize_model(path, images, TEXTS)


def test_a_tower_that_is_not_there_is_named(path, tmp_path, tiny_config, images, quantiser):
    import dataclasses

    config = dataclasses.replace(tiny_config, text_tower=None)
    alone = tmp_path / "alone"
    save_model(alone, {key: standin_tensor(key, shape) for key, shape in manifest(config).items()}, config, None)
    with pytest.raises(ConfigError, match="no text tower to quantize; give --towers image"):
        quantize_model(alone, images, TEXTS, towers=["text"])
    assert set(quantize_model(alone, images)) == {"image"}
    assert ernie_vil2.load(alone, precision="int8").precision == {"image": "int8"}


def test_without_nncf_it_is_a_sentence(path, images, monkeypatch):
    monkeypatch.setattr(int8_graph, "NNCF", "nncf_that_nobody_has")
    with pytest.raises(
        ConfigError, match="is not installed; install it with: pip install -r requirements-quantize.txt"
    ):
        quantize_model(path, images, TEXTS)
    assert list(path.glob("engines/*int8*")) == []


def test_int8_of_another_model_is_not_taken(path, images, quantiser, tmp_path, tiny_config, tiny_vocab):
    quantize_model(path, images, TEXTS)
    state = {key: standin_tensor(key, shape, seed=1) for key, shape in manifest(tiny_config).items()}
    save_model(tmp_path / "other", state, tiny_config, tiny_vocab)
    shutil.copytree(path / "engines", tmp_path / "other" / "engines")
    with pytest.raises(CheckpointError, match="image-int8 is of another model; quantize the model again"):
        ernie_vil2.load(tmp_path / "other", precision="int8")
