"""Fixtures for all tests. Importing ernie_vil2 first lets its CPU settings reach Paddle."""

import gc
import io
import os
import signal
from pathlib import Path

import ernie_vil2  # noqa: F401 isort: skip
import hypothesis
import numpy as np
import pytest

from ernie_vil2.checkpoints import release_layout
from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.config.tower_fields import ImageTowerConfig, TextTowerConfig

ROOT = Path(__file__).resolve().parent.parent
VOCABULARY = (
    "[PAD] [CLS] [SEP] [MASK] , . ! ? 一 二 三 只 个 红 黄 蓝 绿 大 小 的 圆 方 形 猫 狗 在 左 右 上 下 和 图 片 "
    "a the cat dog red blue big small on left right of and s t x 0 1 2 ##a ##s ##t ##ed ##ing ##1 ##2 ##红 ##色 [UNK]"
).split()

os.environ.setdefault("ERNIE_VIL2_ENGINE", "paddle")  # tests of engines name theirs, or take this away
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a suite in the background, whose processes shall hear it
    signal.signal(signal.SIGINT, signal.default_int_handler)
hypothesis.settings.register_profile("here", deadline=None, max_examples=50)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True, database=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_collection_finish():
    """Let the collector of garbage pass over libraries and tests from here on: they stay, and are millions."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_parity():
    """Folder of what the release computes, under ERNIE_VIL2_SHARED or ../shared of the clone; without it, a skip."""
    shared = Path(os.environ.get("ERNIE_VIL2_SHARED") or ROOT.parent / "shared")
    folder = shared / "parity" / "official_base"
    if not folder.is_dir():
        pytest.skip(f"no fixtures of the release at {folder}")
    return folder


def tiny_model_config():
    """A ModelConfig of towers that build and run in milliseconds; `tiny_vocab` fits it."""
    tower = {"width": 32, "depth": 2, "heads": 2, "dropout": 0.0}
    return ModelConfig(
        image_tower=ImageTowerConfig(image_size=32, patch_size=8, **tower),
        text_tower=TextTowerConfig(vocab_size=64, positions=32, **tower),
        max_length=16,
        pixels=PixelProfile(size=32),
    )


@pytest.fixture
def tiny_config():
    """`tiny_model_config`."""
    return tiny_model_config()


def write_tiny_vocab(path):
    """Write a vocabulary of at most 64 tokens in the release's format, `token TAB id`; as there, [UNK] comes last."""
    path.write_text("".join(f"{token}\t{index}\n" for index, token in enumerate(VOCABULARY)), encoding="utf-8")
    return path


@pytest.fixture
def tiny_vocab(tmp_path):
    """Path of the vocabulary of `write_tiny_vocab`."""
    return write_tiny_vocab(tmp_path / "tiny_vocab.txt")


@pytest.fixture
def random_image():
    """Function (height, width, seed=0) -> uint8 RGB [height, width, 3], smooth at large and noisy at small scale."""

    def draw(height, width, seed=0):
        rng = np.random.default_rng((seed, height, width))
        rows, columns = np.linspace(0, 3, height)[:, None, None], np.linspace(0, 3, width)[None, :, None]
        waves = np.sin(rows * rng.uniform(-1, 1, 3) + columns * rng.uniform(-1, 1, 3) + rng.uniform(0, 6, 3))
        return np.clip(128 + 100 * waves + rng.normal(0, 8, (height, width, 3)), 0, 255).astype(np.uint8)

    return draw


@pytest.fixture
def image_bytes():
    """Function (pixels, format="PNG", mode=None, **options) -> bytes of a file; `mode` is the Pillow mode in it."""
    from PIL import Image

    def encode(pixels, format="PNG", mode=None, **options):
        image = Image.fromarray(pixels)
        buffer = io.BytesIO()
        (image.convert(mode) if mode else image).save(buffer, format, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture
def random_bits():
    """Function (shape, dtype="float32", seed=0) -> array whose bits are random, so with NaN payloads and denormals."""

    def draw(shape, dtype="float32", seed=0):
        kind = np.dtype(dtype)
        raw = np.random.default_rng(seed).bytes(int(np.prod(shape)) * kind.itemsize)
        return np.frombuffer(raw, kind).reshape(shape).copy()

    return draw


@pytest.fixture
def finite_bits(random_bits):
    """As `random_bits`, of magnitude below 2: without the highest bit of the exponent; uint16 is bfloat16."""

    def draw(shape, dtype="float32", seed=0):
        bits = np.dtype(f"u{np.dtype(dtype).itemsize}")
        return (random_bits(shape, dtype, seed).view(bits) & ~bits.type(1 << 8 * bits.itemsize - 2)).view(dtype)

    return draw


@pytest.fixture
def tiny_state(tiny_config, random_bits):
    """Every tensor of `tiny_config`, of random bits."""
    shapes = release_layout.manifest(tiny_config)
    return {key: random_bits(shape, seed=index) for index, (key, shape) in enumerate(shapes.items())}


@pytest.fixture(scope="session")
def assert_same_bits():
    """Function (state, state): same keys, types, shapes and bytes."""

    def compare(found, wanted):
        assert sorted(found) == sorted(wanted)
        for key in wanted:
            left, right = found[key], wanted[key]
            assert (key, left.dtype, left.shape, left.tobytes()) == (key, right.dtype, right.shape, right.tobytes())

    return compare
