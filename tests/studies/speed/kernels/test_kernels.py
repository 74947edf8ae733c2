"""`bench kernels`: the kernels of a step are all there, the same by every side, and told with their share."""

import dataclasses

import numpy as np
import paddle
import pytest

from ernie_vil2.cli.bench import kernels as verb
from ernie_vil2.cli.bench.main import main
from ernie_vil2.config.load import load_run
from ernie_vil2.device import Device
from ernie_vil2.errors import ConfigError, UserError
from ernie_vil2.models import layers
from ernie_vil2.studies.operations import view_flops
from ernie_vil2.studies.speed.kernels.comparison import PADDLE, PROJECT, TORCH, Comparison, tables
from ernie_vil2.studies.speed.kernels.project import own_functions, plain_functions
from ernie_vil2.studies.speed.kernels.work import Kernel, kernels

BASE = "configs/ernie_vil2_base_vit_zh.yaml"
TOWER = "depth: 2, width: 32, heads: 2"
SMALL = [
    f"model.image_tower={{{TOWER}, image_size: 32, patch_size: 8, dropout: 0.25}}",
    f"model.text_tower={{{TOWER}, vocab_size: 50, positions: 64, dropout: 0}}",
    "model.pixels={size: 32}",
]


def run(*overrides):
    return load_run(BASE, ["data.train=none", "train.precision=fp32", *overrides])


def test_the_products_of_all_calls_are_the_operations_of_the_blocks():
    config, length = run(*SMALL), 20
    found = {"image": 0.0, "text": 0.0}
    for kernel in kernels(config, 16, length):
        tokens = kernel.rows * kernel.length
        each = 2 * tokens * kernel.width * kernel.outputs
        if kernel.kind == "attention":
            each = 4 * tokens * kernel.length * kernel.width
        found[kernel.name.split(":")[0]] += kernel.count * each / 16
    flat = [dataclasses.replace(tower, depth=0) for tower in config.model.towers().values()]
    rest = view_flops(dataclasses.replace(config.model, image_tower=flat[0], text_tower=flat[1]), length)
    wanted = [whole - outside for whole, outside in zip(view_flops(config.model, length), rest, strict=True)]
    assert list(found.values()) == pytest.approx(wanted)


def test_both_ways_through_paddle_compute_the_same(monkeypatch):
    for name in ("WORTHWHILE", "WORTHWHILE_BY_PIECES", "WORTHWHILE_SCORES"):
        monkeypatch.setattr(layers, name, 1)
    config = run(*SMALL, "model.image_tower.dropout=0")
    for kernel in kernels(config, 3, 5):
        results = []
        for functions in (own_functions(), plain_functions()):
            given = [paddle.to_tensor(values, stop_gradient=False) for values in kernel.inputs()]
            value = functions[kernel.kind](kernel)(*given)
            results.append([value, *paddle.grad([value], given, [paddle.sin(value.detach())])])
        for mine, theirs in zip(*results, strict=True):
            np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-5, err_msg=kernel.name)


def test_ratios_are_those_of_turns_and_shares_those_of_this_project():
    first = Kernel("one", "sum", 2, 1, 1, 1)
    second = Kernel("other", "norm", 6, 1, 1, 1)
    took = {
        PADDLE: {"one": [[1.0, 3.0], [2.0, 8.0], [4.0, 4.0]], "other": [[1.0, 1.0]] * 3},
        PROJECT: {"one": [[1.0, 1.0], [1.0, 1.0], [0.5, 1.5]], "other": [[0.5, 0.5]] * 3},
    }
    found = Comparison([first, second], took, {TORCH: "there is none"})
    assert found.passes(PROJECT, first) == [1.0, 1.0] and found.passes(TORCH, first) is None
    assert found.ratio(PADDLE, first) == 4.0 and found.ratio(TORCH, first) is None
    assert found.step(PROJECT) == 10.0 and found.step(TORCH) is None
    told = tables(found)
    assert [row.split("|")[-2].strip() for row in told.split("\n")[2:5]] == ["40.0%", "60.0%", "100%"]
    assert "torch: not measured: there is none" in told


def test_the_verb_prints_a_row_a_kernel(capsys):
    options = [word for override in SMALL for word in ("-o", override)]
    main(["kernels", *options, "--batch", "2", "--length", "4", "--turns", "1"])
    told = capsys.readouterr().out
    assert told.count("| image: ") == 8 and told.count("| text: ") == 7
    assert "| image: dropout" in told and "| all calls of a step" in told and "\nProcessor: " in told


def test_other_towers_and_longer_texts_are_refused():
    with pytest.raises(ConfigError, match="towers of kind vit and ernie"):
        kernels(run("model.image_tower={kind: efficientnet}", "model.pixels={size: 456}"), 4, 4)
    with pytest.raises(ConfigError, match="--length 999 is more than the model reads"):
        main(["kernels", "--length", "999"])


def test_it_is_refused_where_paddle_computes_on_a_card(monkeypatch):
    monkeypatch.setattr(verb, "current_device", lambda: Device("gpu"))
    with pytest.raises(UserError, match="measured on a CPU, and Paddle computes on gpu:0 here; hide it"):
        main(["kernels", "--turns", "1"])
