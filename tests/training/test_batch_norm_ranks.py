"""Learning statistics on two and three gloo ranks with unequal shares, against one process on the whole batch."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import paddle
import paddle.distributed as dist
import pytest
from paddle import nn

from ernie_vil2.config.load import load_run
from ernie_vil2.config.model import PixelProfile
from ernie_vil2.config.tower_fields import EfficientNetConfig
from ernie_vil2.data.sources.scenes.vocabulary import build_vocab
from ernie_vil2.models import dual_encoder
from ernie_vil2.models.towers.batch_norm import BatchNorm, frozen_or_not, is_statistic, synchronise
from ernie_vil2.objectives.gather import Share
from ernie_vil2.systems.ernie_vil2 import ErnieVil2
from ernie_vil2.training.distributed import Ranks
from ernie_vil2.training.step import GradientStep
from ernie_vil2.training.trainer import Trainer
from tests.training import runs
from tests.training.rank_cases import setting
from tests.training.test_batch_norm import TOWER, first_blocks, statistics
from tests.training.test_ranks import launch
from tests.training.updates import summed_gradients

ROWS = {1: (14,), 2: (9, 5), 3: (6, 6, 2)}
"""Of every rank, by the number of ranks."""
PAIRS = [["image", "caption"], ["image", "image'"]]
LAYERS = {
    "plane": (lambda: BatchNorm(4, 0.9, 1e-3), (4, 3, 2)),
    "vector": (lambda: BatchNorm(4, 0.9, 1e-3), (4,)),
    "older": (lambda: nn.BatchNorm(4, act="relu"), (4, 2, 2)),
}


def share_of(ranks):
    """This rank's Share of a batch of 14: one micro-batch each."""
    return Share(ranks.rank, ROWS[ranks.size], ranks.rank, max(ROWS[ranks.size]))


def layer_case(kind, ranks):
    """{name: array} of two steps of a layer: values and gradients of this rank's rows, sums over ranks, statistics."""
    make, shape = LAYERS[kind]
    draws = np.random.default_rng(11)
    x, weights = (draws.normal(level, 1.0, (14, *shape)).astype(np.float32) for level in (0.0, 0.0))
    x += 3.0 * np.arange(14, dtype=np.float32).reshape([14] + [1] * len(shape))  # ranks have other means than the batch
    layer = frozen_or_not(nn.Sequential(make()), "train")
    for value in (layer[0].weight, layer[0].bias):
        value.set_value(draws.normal(1.0, 0.3, 4).astype(np.float32))
    if ranks.size > 1:
        synchronise(layer)
    layer.train()
    share, found = share_of(ranks), {}
    rows = slice(share.start, share.start + share.rows)
    for step in range(2):
        part = paddle.to_tensor(x[rows] * (1 + step))
        part.stop_gradient = False
        y = layer(part)
        (y.square() * paddle.to_tensor(weights[rows])).sum().backward()
        found |= {f"rows/{kind}/value-{step}": y.numpy(), f"rows/{kind}/gradient-{step}": part.grad.numpy()}
    found |= {f"sum/{kind}/{name}": value.grad.numpy() for name, value in layer.named_parameters() if value.trainable}
    return found | {f"same/{kind}/{name}": value for name, value in statistics(layer).items()}


def tower_case(folder, ranks, recompute=False):
    """{name: array} of a step of a whole model: gradients summed over ranks, and the statistics after it."""
    model, objective, batch = setting(folder, PAIRS, same=(1, 4))
    tower = EfficientNetConfig(**{**TOWER, "batch_norm": "train", "drop_path": 0.0})
    config = dataclasses.replace(model.config, image_tower=tower, pixels=PixelProfile(size=32))
    config.text_tower.dropout = config.text_tower.drop_path = 0.0  # masks are drawn by micro-batch, of which one has 1
    model = dual_encoder.new_model(config, objective.groups)
    model.train()
    model.recompute = recompute
    if ranks.size > 1:
        synchronise(model)
    share = share_of(ranks)
    step = GradientStep(ErnieVil2(model, objective), seed=3, share=share, side_by_side=False)
    loss = step(batch.rows(slice(share.start, share.start + share.rows)), 5)["loss"].item()
    name = "recomputed" if recompute else "tower"
    found = {f"same/{name}/{key}": value for key, value in summed_gradients(model, ranks).items()}
    found |= {f"same/{name}/{key}": value for key, value in statistics(model).items()}
    return found | {f"same/{name}/loss": ranks.sum([loss])}


def job(folder):
    """Every case on this rank, in folder/rank-R.npz."""
    size = int(folder.name)
    if size > 1:
        dist.init_parallel_env()
    EfficientNetConfig.blocks = lambda tower: first_blocks(tower)[:4]
    ranks = Ranks(dist.get_rank(), size)
    found = {}
    for kind in LAYERS:
        found |= layer_case(kind, ranks)
    found |= tower_case(folder, ranks)
    if size == 2:
        found |= tower_case(folder, ranks, recompute=True)
    np.savez(folder / f"rank-{ranks.rank}.npz", **found)


def jobs(folder):
    """`job` on two and three ranks and in one process, which all begin as this one: Paddle takes seconds to import."""
    runs.fork_jobs(job, folder, sorted(ROWS, reverse=True))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """{number of ranks: [{name: array} of every rank]}."""
    folder = tmp_path_factory.mktemp("ranks")
    build_vocab(folder / "vocab.txt", scenes=300)
    code = (
        "import pathlib, sys, ernie_vil2, tests.training.test_batch_norm_ranks as ranks; "
        "ranks.jobs(pathlib.Path(sys.argv[1]))"
    )
    runs.run_code(code, folder)
    return {size: [dict(np.load(folder / str(size) / f"rank-{rank}.npz")) for rank in range(size)] for size in ROWS}


def put_together(name, ranks):
    """An array of the whole batch from those of the ranks."""
    parts = [rank[name] for rank in ranks]
    kind = name.split("/")[0]
    if kind == "same":
        assert all(np.array_equal(part, parts[0]) for part in parts), f"{name} is another one on another rank"
    return {"rows": np.concatenate, "sum": sum, "same": lambda parts: parts[0]}[kind](parts)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_gives_on_ranks_what_it_gives_on_the_whole_batch(found, size, kind):
    wanted = {name: value for name, value in found[1][0].items() if name.split("/")[1] == kind}
    assert len(wanted) == 8
    for name, value in wanted.items():
        error = np.linalg.norm(put_together(name, found[size]) - value)
        assert error <= 1e-5 * np.linalg.norm(value), name


@pytest.mark.parametrize("size, case", [(2, "tower"), (2, "recomputed"), (3, "tower")])
def test_a_step_on_ranks_has_the_gradient_and_the_statistics_of_one_process(found, size, case):
    """Single tensors of a convolutional tower are rounded by up to 3e-5 of themselves; the whole is 1e-5."""
    wanted = {name: value for name, value in found[1][0].items() if name.startswith("same/tower/")}
    statistic = [name for name in wanted if is_statistic(name)]
    assert len(statistic) > 20 and len(wanted) > 3 * len(statistic)
    for names in (statistic, sorted(set(wanted) - set(statistic))):
        size_of = {name: np.linalg.norm(wanted[name]) for name in names}
        got = {name: put_together(name.replace("/tower/", f"/{case}/"), found[size]) for name in names}
        errors = {name: np.linalg.norm(got[name] - wanted[name]) for name in names}
        whole = np.linalg.norm(list(size_of.values()))
        assert np.linalg.norm(list(errors.values())) <= 1e-5 * whole
        assert [name for name in names if errors[name] > 1e-4 * size_of[name] + 1e-6 * whole] == []


@pytest.mark.slow
def test_a_run_of_two_ranks_saved_and_resumed_is_that_of_one_process(tmp_path, monkeypatch):
    monkeypatch.setattr(EfficientNetConfig, "blocks", lambda tower: first_blocks(tower)[:4])
    model = {
        "max_length": 64,
        "pixels": {"size": 32},
        "image_tower": {**TOWER, "drop_path": 0.0, "batch_norm": "train"},
        "text_tower": {**runs.TOWER, "vocab_size": 0, "positions": 64, "dropout": 0.0},
    }
    changes = {"model": model, "train__micro_batch": 0, "train__batch_size": 7, "train__ema": 0.0, "data__workers": 0}
    changes |= {"optimizer__schedule": "constant", "optimizer__lr": 1e-4, "optimizer__warmup": 0}
    for name, steps in (("one", (4,)), ("two", (2, 4))):
        (tmp_path / name).mkdir()
        for stop in steps:
            path = runs.write_config(tmp_path / name, train__steps=stop, **changes)
            if name == "one":
                Trainer(load_run(path)).run()
            else:
                launch(2, tmp_path / name, __file__, tmp_path / name)
    logs = [(tmp_path / name / "run" / "log.jsonl").read_text().splitlines() for name in ("one", "two")]
    losses = [[one["loss"] for one in map(json.loads, lines) if one["kind"] == "train"] for lines in logs]
    assert len(losses[0]) == 4 and losses[1] == pytest.approx(losses[0], rel=1e-4)
    one, two = (runs.arrays(tmp_path / name, 4) for name in ("one", "two"))
    statistic = [name for name in one if is_statistic(name)]
    assert set(one) == set(two) and len(statistic) > 20
    for name in statistic:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-4, atol=2e-5, err_msg=name)


if __name__ == "__main__":
    EfficientNetConfig.blocks = lambda tower: first_blocks(tower)[:4]
    trainer = Trainer(load_run(Path(sys.argv[1]) / "run.yaml"), "auto")
    trainer.run()
    trainer.leave()
