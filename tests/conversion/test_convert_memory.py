"""Converting a large BriVL: a few tensors are in memory at a time, both ways, with the check and without."""

import filecmp
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ernie_vil2.checkpoints.formats.lazy_tensors import Spec
from ernie_vil2.checkpoints.formats.torch_writer import write_torch
from ernie_vil2.checkpoints.layouts.brivl.names import PARTS, rows
from ernie_vil2.config.model import PIXEL_PROFILES, ModelConfig
from ernie_vil2.config.tower_fields import EfficientNetConfig, TextTowerConfig
from tests.conftest import ROOT, VOCABULARY

CONVERT = """
import json, sys, ernie_vil2
from ernie_vil2.runtime import import_paddle
import_paddle()
import ernie_vil2.inference.model, ernie_vil2.systems.brivl
from ernie_vil2.conversion.convert import convert
def resident(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) * 1024
before = resident("VmRSS")
convert(sys.argv[1], sys.argv[2], **json.loads(sys.argv[3]))
print(resident("VmHWM") - before)
"""
TOKENS, NOISE = 12_000, 48 << 20
"""Rows of the word embedding, and bytes of what Python and Paddle take besides"""


class Drawn(dict):
    """{key: shape} as a lazy state of arrays, so that nothing of it is held here either."""

    def spec(self, key):
        whole = key.endswith(("num_batches_tracked", "position_ids"))
        return Spec("int64" if whole else "float32", self.shape(key))

    def shape(self, key):
        return dict.__getitem__(self, key)

    def __getitem__(self, key):
        return np.full(self.shape(key), len(key), self.spec(key).dtype)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """(folder of a.pth with twins and of its vocabulary, bytes of the model alone, bytes of its largest tensor)."""
    config = ModelConfig(
        system="brivl",
        settings={"embed_dim": 1024, "layers": 4, "feed_forward": 1024, "hidden": 1024},
        image_tower=EfficientNetConfig(variant="b0", image_size=380, padding="same", projection=0),
        text_tower=TextTowerConfig(vocab_size=TOKENS, positions=512, token_types=2, width=512, heads=8),
        pixels=PIXEL_PROFILES["brivl"],
    )
    state = Drawn({f"{part}.{row.theirs}": row.shape for part in PARTS for row in rows(part, config)})
    folder = tmp_path_factory.mktemp("large")
    with open(folder / "a.pth", "wb") as handle:
        write_torch(handle, state, "learnable")
    filling = (f"word{index}" for index in range(TOKENS - len(VOCABULARY)))
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in [*VOCABULARY, *filling]), encoding="utf-8")
    sizes = {key: 4 * math.prod(state.shape(key)) for key in state}
    model = sum(size for key, size in sizes.items() if "_mom." not in key)
    yield folder, model, max(sizes.values())
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_a_few_tensors_are_in_memory_at_a_time(large):
    """Well below the model and 1.2 of its largest tensor, which is what is promised."""
    folder, model, largest = large
    vocab = str(folder / "vocab.txt")
    for source, target, options in (
        ("a.pth", "twins", {"vocab": vocab}),
        ("a.pth", "alone", {"vocab": vocab, "options": {"twins": False}}),
        ("twins", "b.pth", {"to": "brivl"}),
    ):
        command = [sys.executable, "-W", "ignore", "-c", CONVERT, str(folder / source), str(folder / target)]
        done = subprocess.run([*command, json.dumps(options)], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        assert int(done.stdout) <= 3 * largest + NOISE < model / 2, (source, target)
    assert filecmp.cmp(folder / "a.pth", folder / "b.pth", shallow=False)
