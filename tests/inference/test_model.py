"""Properties of the public surface: shapes, order, independence of the batch, errors that name a position, memory."""

import base64
import dataclasses
import io
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import paddle
import pytest
from PIL import Image

import ernie_vil2
from ernie_vil2.checkpoints.formats.paddle_file import write_pdparams
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.device import Device
from ernie_vil2.errors import CheckpointError, ConfigError, DataError, ImageError
from ernie_vil2.inference import model as inference_model
from ernie_vil2.inference.engines import dynamic
from ernie_vil2.models.dual_encoder import new_model

CHARACTERS = list("一二三只个红黄蓝绿大小的圆方形猫狗")


@pytest.fixture
def texts():
    """40 captions of 1 to 20 characters; the model keeps 14."""
    rng = np.random.default_rng(1)
    return ["".join(rng.choice(CHARACTERS, length)) for length in rng.integers(1, 21, 40)]


@pytest.fixture
def images(random_image):
    return [random_image(20 + 7 * seed, 90 - 5 * seed, seed) for seed in range(9)]


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")


def one_text(model, text):
    """The plain computation: one text, padded to the full length."""
    ids = model.tokenizer.encode(text)
    ids = np.pad(ids, ((0, 0), (0, model.config.max_length - ids.shape[1])))
    model.network.eval()
    with paddle.no_grad():
        return model.network.encode_text(paddle.to_tensor(ids)).numpy()[0]


def one_image(model, image):
    model.network.eval()
    with paddle.no_grad():
        return model.network.encode_image(paddle.to_tensor(model.preprocess(image)[None])).numpy()[0]


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("threads", ["1", "2", "3"])
@pytest.mark.parametrize("batch_size", [None, 1, 3, 100])
def test_batches_and_threads_change_nothing(model, texts, images, monkeypatch, threads, batch_size):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    for encode, items, plain in ((model.encode_text, texts, one_text), (model.encode_image, images, one_image)):
        wanted = np.stack([plain(model, item) for item in items])
        raw = encode(items, normalize=False, batch_size=batch_size)
        assert raw.dtype == np.float32 and raw.shape == (len(items), model.embed_dim)
        np.testing.assert_allclose(raw, wanted, atol=1e-5)
        np.testing.assert_allclose(encode(items, batch_size=batch_size), unit(wanted), atol=1e-5)
        assert np.linalg.norm(wanted[:-1] - wanted[1:], axis=1).min() > 1e-3


def test_the_same_call_gives_the_same_bytes(model, texts, images, two_threads):
    for encode, items in ((model.encode_text, texts), (model.encode_image, images)):
        assert encode(items).tobytes() == encode(iter(items)).tobytes() == encode(tuple(items)).tobytes()


def test_one_item_is_a_batch_of_one(model, images, image_bytes, tmp_path):
    assert model.encode_text("一只猫").shape == (1, model.embed_dim)
    data = image_bytes(images[0])
    path = tmp_path / "图.png"
    path.write_bytes(data)
    kinds = [images[0], data, bytearray(data), memoryview(data), path, str(path), Image.fromarray(images[0])]
    kinds += [io.BytesIO(data), open(path, "rb"), "data:image/png;base64," + base64.b64encode(data).decode()]
    rows = [model.encode_image(kind) for kind in kinds]
    assert all(row.shape == (1, model.embed_dim) and np.array_equal(row, rows[0]) for row in rows)
    np.testing.assert_allclose(model.encode_image(kinds), np.repeat(rows[0], len(kinds), axis=0), atol=1e-5)
    assert model.encode_image(np.stack([images[0]] * 3)).shape == (3, model.embed_dim)


def test_nothing_gives_no_rows(model):
    for encode in (model.encode_text, model.encode_image):
        assert encode([]).shape == (0, model.embed_dim) and encode([]).dtype == np.float32
        rows, failures = encode([], on_error="skip")
        assert rows.shape == (0, model.embed_dim) and failures == []


def test_texts_are_padded_to_the_longest_of_similar_ones(model, two_threads, monkeypatch):
    areas = []
    forward = model.network.encode_text

    def spy(ids):
        areas.append(int(np.prod(ids.shape)))
        return forward(ids)

    monkeypatch.setattr(model.network, "encode_text", spy)
    model.encode_text(["猫", "一只红的大猫在左"] * 16, batch_size=8)
    assert sum(areas) == 16 * 3 + 16 * 10


def test_a_zero_vector_stays_zero(model):
    model.network.text_model.pooler.weight.set_value(np.zeros((32, 32), np.float32))
    model.network.text_model.pooler.bias.set_value(np.zeros(32, np.float32))
    assert np.array_equal(model.encode_text(["猫", "狗"]), np.zeros((2, model.embed_dim), np.float32))


@pytest.mark.parametrize("broken", [None, 3, b"bytes", ["nested"], float("nan")])
def test_a_broken_text_is_named_by_its_position(model, broken):
    with pytest.raises(DataError, match="text 2 "):
        model.encode_text(["猫", "狗", broken, "a"])
    rows, failures = model.encode_text(["猫", "狗", broken, "a"], on_error="skip")
    assert [position for position, _ in failures] == [2] and type(broken).__name__ in failures[0][1]
    assert np.isnan(rows).all(axis=1).tolist() == [False, False, True, False]
    np.testing.assert_allclose(rows[[0, 1, 3]], model.encode_text(["猫", "狗", "a"]), atol=1e-6)
    with pytest.raises(DataError):
        model.tokenize(["猫", broken])


def test_broken_images_are_named_by_their_positions(model, images, image_bytes, two_threads):
    whole = image_bytes(images[0])
    broken = {1: b"", 4: whole[:60], 5: "nowhere.png", 7: None, 8: np.zeros((4, 4), np.float32)}
    items = [broken.get(position, images[0]) for position in range(10)]
    with pytest.raises(ImageError, match="^image 1 "):
        model.encode_image(items, batch_size=2)
    rows, failures = model.encode_image(items, batch_size=2, on_error="skip")
    assert [position for position, _ in failures] == list(broken)
    assert np.isnan(rows).all(axis=1).tolist() == [position in broken for position in range(10)]
    assert all(isinstance(reason, str) and reason for _, reason in failures)
    rows, failures = model.encode_image([b"", None], on_error="skip")
    assert np.isnan(rows).all() and len(failures) == 2


def test_wrong_options_are_refused(model):
    for options in ({"on_error": "ignore"}, {"batch_size": 0}, {"batch_size": -1}, {"batch_size": 2.5}):
        with pytest.raises(ConfigError, match=str(next(iter(options)))):
            model.encode_text(["猫"], **options)
        with pytest.raises(ConfigError):
            model.encode_image([], **options)


def test_encoding_leaves_the_network_as_it_was(model, texts, images):
    model.network.text_model.dropout.p = 0.5
    wanted = model.encode_text(texts)
    model.network.train()
    assert np.array_equal(model.encode_text(texts), wanted)
    assert model.network.training and model.network.text_model.training
    with pytest.raises(ImageError):
        model.encode_image([*images, b""])
    assert model.network.training
    assert all(parameter.grad is None and not parameter.stop_gradient for parameter in model.network.parameters())


def test_threads_may_share_a_model(model, texts, images, two_threads):
    wanted, found = (model.encode_text(texts), model.encode_image(images)), {}

    def work(name):
        found[name] = [(model.encode_text(texts), model.encode_image(images)) for _ in range(3)]

    workers = [threading.Thread(target=work, args=(name,)) for name in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for rows in found.values():
        for pair in rows:
            for got, want in zip(pair, wanted, strict=True):
                np.testing.assert_allclose(got, want, atol=1e-6)


def test_load_gives_what_was_saved(model, texts, images, tiny_vocab, tmp_path):
    state = {key: value.numpy() for key, value in model.network.state_dict().items()}
    state["contrastive_loss_mm.temperature_b"] = np.array([2.65926], np.float32)
    save_model(tmp_path / "model", state, model.config, tiny_vocab)
    loaded = ernie_vil2.load(tmp_path / "model")
    assert isinstance(loaded, ernie_vil2.Model) and loaded.config == model.config
    assert isinstance(loaded.logit_scale, float) and abs(loaded.logit_scale - 14.2857) < 1e-3
    assert np.array_equal(loaded.encode_text(texts), model.encode_text(texts))
    assert np.array_equal(loaded.encode_image(images), model.encode_image(images))
    assert loaded.tokenize("一只猫").dtype == np.int64 and loaded.tokenize(["一", "一只猫"]).shape == (2, 5)
    assert loaded.preprocess(images[0]).shape == (3, 32, 32) and loaded.preprocess(images[0]).dtype == np.float32


def test_a_foreign_vocabulary_is_refused(model, tiny_vocab, tmp_path):
    state = {key: value.numpy() for key, value in model.network.state_dict().items()}
    save_model(tmp_path / "model", state, model.config, tiny_vocab)
    larger = tmp_path / "larger.txt"
    larger.write_text(tiny_vocab.read_text(encoding="utf-8") + "more\t64\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match="embeds only 64"):
        ernie_vil2.load(tmp_path / "model", larger)


PEAK = """
import sys, ernie_vil2.inference.model
def status(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))
model = ernie_vil2.load(sys.argv[1], sys.argv[2])
print(status("VmHWM"), status("VmRSS"))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize("kind", ["directory", "pdparams"])
def test_loading_peaks_at_the_model_and_little_more(tiny_config, tiny_vocab, tmp_path, kind):
    for tower in (tiny_config.image_tower, tiny_config.text_tower):
        tower.width, tower.heads = 64, 1
    tiny_config.text_tower.vocab_size = 300_000
    state = {key: np.ones(shape, np.float32) for key, shape in manifest(tiny_config).items()}
    path = weights = tmp_path / "weights.pdparams"
    if kind == "directory":
        path, weights = tmp_path / "model", tmp_path / "model" / "model.safetensors"
        save_model(path, state, tiny_config, tiny_vocab)
    else:
        write_pdparams(path, state)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PEAK, str(path), str(tiny_vocab)],
        capture_output=True,
        text=True,
        check=True,
    )
    peak, after = map(int, done.stdout.split())
    assert weights.stat().st_size > 70e6 and peak - after < 1.2 * weights.stat().st_size


def test_what_a_file_cannot_tell_is_said_when_it_is_loaded(tmp_path, tiny_config, tiny_vocab, caplog):
    state = {key: value.numpy() for key, value in new_model(tiny_config).state_dict().items()}
    write_pdparams(tmp_path / "model.pdparams", state)
    save_model(tmp_path / "model", state, tiny_config, tiny_vocab)
    ernie_vil2.load(tmp_path / "model")
    assert not caplog.records
    ernie_vil2.load(tmp_path / "model.pdparams", tiny_vocab)
    assert any("assumed" in record.message and "1 head" in record.message for record in caplog.records)


def test_a_model_of_one_tower_says_what_it_lacks(tmp_path, tiny_config, random_image):
    config = dataclasses.replace(tiny_config, text_tower=None)
    state = {key: value.numpy() for key, value in new_model(config).state_dict().items()}
    save_model(tmp_path / "model", state, config, None)
    model = ernie_vil2.load(tmp_path / "model")
    assert model.encode_image(random_image(20, 30)).shape == (1, 32)
    for call in (lambda: model.encode_text("x"), lambda: model.tokenize("x"), lambda: model.logit_scale):
        with pytest.raises(ConfigError, match="this model has no text tower"):
            call()


@pytest.mark.parametrize("kind", ["cpu", "gpu", "xpu", "npu"])
def test_a_card_takes_large_batches_one_after_the_other(model, monkeypatch, two_threads, kind):
    for module in (inference_model, dynamic):
        monkeypatch.setattr(module, "device_of", lambda tensor: Device(kind))
    assert model._split("text", model.engines.of("text"), 1024, None) == ((32, 2) if kind == "cpu" else (512, 1))
    assert model._split("image", model.engines.of("image"), 1024, None) == ((8, 2) if kind == "cpu" else (128, 1))
