"""For a person with cards, `make test-gpu`: mixed precision, fused attention, several cards against one fp32 process.

Nothing of this has been run by the project itself, which has no GPU.
"""

import dataclasses
import math
import os
import re
import subprocess
import sys

import numpy as np
import paddle
import pytest

from ernie_vil2.config.load import load_run
from ernie_vil2.config.tower_fields import EfficientNetConfig
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.models.layers import attention
from ernie_vil2.models.towers.batch_norm import synchronise
from ernie_vil2.objectives.gather import divide
from ernie_vil2.studies.speed.training import throughput
from ernie_vil2.systems.ernie_vil2 import ErnieVil2
from ernie_vil2.training.distributed import GradientSync, join_ranks
from ernie_vil2.training.step import GradientStep
from tests.conftest import ROOT
from tests.training.rank_cases import BATCH, CASES, EVERY_PAIR, align, build_vocab, setting
from tests.training.runs import environment, train, write_config

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def cards():
    """How many cards Paddle sees."""
    count = paddle.device.cuda.device_count() if paddle.is_compiled_with_cuda() else 0
    if not count:
        pytest.skip("Paddle sees no GPU here")
    return count


def gradient(folder, precision, level="O1", recompute=False):
    """The flat gradient of a trained small model without dropout, in fp32."""
    model, objective, batch = setting(folder, EVERY_PAIR)
    for tower in (model.config.image_tower, model.config.text_tower):
        tower.dropout = tower.drop_path = 0.0
    for layer in model.sublayers():
        for field in ("dropout", "p", "rate"):
            if isinstance(getattr(layer, field, None), float):
                setattr(layer, field, 0.0)
    align(ErnieVil2(model, objective), batch)
    model.clear_gradients(set_to_zero=False)
    if level == "O2":
        model = paddle.amp.decorate(model, level="O2", dtype="bfloat16" if precision == "bf16" else "float16")
    model.recompute = recompute
    step = GradientStep(ErnieVil2(model, objective), share=divide(BATCH, 4), precision=precision, level=level)
    step.scale = 1024.0 if precision == "fp16" else 1.0
    step(batch, 1)
    found = [p.grad.astype("float32").flatten().numpy() / step.scale for p in model.parameters() if p.grad is not None]
    return np.concatenate(found)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("level", ["O1", "O2"])
@pytest.mark.parametrize("recompute", [False, True])
def test_mixed_precision_points_where_fp32_does(tmp_path, precision, level, recompute):
    if precision == "bf16" and not paddle.amp.is_bfloat16_supported():
        pytest.skip("this card has no bf16")
    wanted, found = gradient(tmp_path, "fp32"), gradient(tmp_path, precision, level, recompute)
    cosine = wanted @ found / np.linalg.norm(wanted) / np.linalg.norm(found)
    assert cosine > 0.999 and np.linalg.norm(found) == pytest.approx(np.linalg.norm(wanted), rel=0.02)


@pytest.mark.parametrize("masked", [False, True])
def test_fused_attention_is_attention(masked):
    query, key, value = (paddle.randn([2, 20, 4, 64]) for _ in range(3))
    bias = paddle.where(paddle.rand([2, 1, 1, 20]) < 0.3, -10000.0, 0.0) if masked else None
    scores = paddle.matmul(query.transpose([0, 2, 1, 3]), key.transpose([0, 2, 3, 1])) / 8.0
    weights = paddle.nn.functional.softmax(scores if bias is None else scores + bias)
    wanted = paddle.matmul(weights, value.transpose([0, 2, 1, 3])).transpose([0, 2, 1, 3]).reshape([2, 20, 256])
    for dtype, tolerance in (("float32", 1e-4), ("float16", 5e-3)):
        parts = [part.astype(dtype) for part in (query, key, value)]
        found = attention(*parts, bias=None if bias is None else bias.astype(dtype)).astype("float32")
        assert float((found - wanted).abs().max()) < tolerance


def test_two_cards_have_the_gradient_of_one(tmp_path, cards):
    if cards < 2:
        pytest.skip("one card only")
    results = []
    for name, launcher in (("one", []), ("two", ["-m", "paddle.distributed.launch", "--gpus", "0,1"])):
        folder = tmp_path / name
        folder.mkdir()
        build_vocab(folder / "vocab.txt", scenes=300)
        command = [sys.executable, *launcher, "tests/training/jobs.py", "gradients", str(folder)]
        subprocess.run(command, cwd=ROOT, env=environment(), check=True, timeout=900)
        results.append(np.load(folder / "rank-0.npz"))
    one, two = results
    for case in CASES:
        keys = [key for key in two if key.startswith(case + "/") and not key.endswith("attn.k.bias")]
        assert keys
        for key in keys:
            assert np.linalg.norm(two[key] - one[key]) <= 1e-3 * np.linalg.norm(one[key]) + 1e-6, key


def batch_norm_gradient(folder):
    """The gradient of one process, or of a rank of two, with statistics of the whole batch, in folder/rank-R.npz."""
    ranks = join_ranks()
    model, objective, batch = setting(folder, [["image", "caption"]])
    tower = EfficientNetConfig(variant="b0", image_size=32, projection=32, batch_norm="train")
    config = dataclasses.replace(model.config, image_tower=tower)
    config.text_tower.dropout = config.text_tower.drop_path = 0.0
    model = new_model(config, objective.groups)
    model.train()
    if ranks.size > 1:
        synchronise(model)
    share = divide(BATCH, 0, ranks.rank, ranks.size)
    GradientStep(ErnieVil2(model, objective), share=share)(batch.rows(slice(share.start, share.start + share.rows)), 1)
    GradientSync(model, ranks).reduce()
    found = {name: p.grad.numpy() for name, p in model.named_parameters() if p.grad is not None}
    np.savez(folder / f"rank-{ranks.rank}.npz", **found)


def test_two_cards_share_the_statistics_of_batch_norm(tmp_path, cards):
    if cards < 2:
        pytest.skip("one card only")
    job = "import pathlib, sys\nfrom tests.gpu import test_gpu\ntest_gpu.batch_norm_gradient(pathlib.Path(sys.argv[1]))"
    script = tmp_path / "job.py"
    script.write_text(job, encoding="utf-8")
    results = []
    for name, launcher in (("one", []), ("two", ["-m", "paddle.distributed.launch", "--gpus", "0,1"])):
        folder = tmp_path / name
        folder.mkdir()
        build_vocab(folder / "vocab.txt", scenes=300)
        command = [sys.executable, *launcher, str(script), str(folder)]
        subprocess.run(command, cwd=ROOT, env=environment(), check=True, timeout=900)
        results.append(np.load(folder / "rank-0.npz"))
    one, two = results
    for key in one:
        if not key.endswith("attn.k.bias"):
            assert np.linalg.norm(two[key] - one[key]) <= 1e-2 * np.linalg.norm(one[key]) + 1e-6, key


def test_throughput_and_its_share_of_peak(capsys):
    """Prints a figure; give the peak of your card's bf16 in TFLOP/s as ERNIE_VIL2_PEAK to see the share."""
    config = load_run("configs/ernie_vil2_base_vit_zh.yaml", ["data.train=none", "objective.pairs=[[image, caption]]"])
    found = throughput(config, batch=128, steps=10)
    peak = float(os.environ.get("ERNIE_VIL2_PEAK", 0))
    share = f", {found['tflops'] / peak:.1%} of peak" if peak else ""
    with capsys.disabled():
        print(f"\nbase, bf16, batch 128: {found['pairs_per_second']:.0f} pairs/s, {found['tflops']:.1f} TFLOP/s{share}")
    assert found["pairs_per_second"] > 0


@pytest.mark.parametrize(
    "options",
    [
        ["train.precision=bf16"],
        ["train.precision=bf16", "train.amp_level=O2"],
        ["train.precision=fp16"],
        ["train.recompute=true"],
    ],
)
def test_runs_train_and_resume(tmp_path, options):
    path = write_config(tmp_path, train__save_every=4)
    arguments = [part for option in options for part in ("-o", option)]
    assert train("-c", path, *arguments, "-o", "train.steps=4").returncode == 0
    done = train("-c", path, *arguments, "--resume", "auto")
    assert done.returncode == 0, done.stderr[-2000:]
    losses = list(map(float, re.findall(r"^step \d.*?loss ([\w.]+)", done.stdout, re.MULTILINE)))
    assert losses and all(math.isfinite(loss) for loss in losses)
