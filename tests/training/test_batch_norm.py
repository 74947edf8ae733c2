"""Training with an EfficientNet: exact with frozen statistics, resumable with learning ones, refused where neither."""

import dataclasses
import shutil

import numpy as np
import paddle
import paddle.distributed as dist
import pytest
from paddle import nn

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.config.load import load_run
from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.config.optimizer import OptimizerConfig
from ernie_vil2.config.run import DataConfig, LoraConfig, RunConfig, TrainConfig
from ernie_vil2.config.tower_fields import EfficientNetConfig
from ernie_vil2.data.images import pixels as image
from ernie_vil2.data.sources.scenes.vocabulary import build_vocab
from ernie_vil2.errors import ConfigError
from ernie_vil2.models import dual_encoder
from ernie_vil2.models.lora import add_lora
from ernie_vil2.models.towers import batch_norm
from ernie_vil2.objectives.gather import divide
from ernie_vil2.systems.ernie_vil2 import ErnieVil2
from ernie_vil2.training.distributed import Ranks
from ernie_vil2.training.optimization.ema import Ema
from ernie_vil2.training.optimization.parameter_groups import layer_factors
from ernie_vil2.training.optimization.weights import Weights
from ernie_vil2.training.ranks.launch import read_launch
from ernie_vil2.training.setup.initial_weights import check_init, start_system, take_tower
from ernie_vil2.training.setup.preflight import check_towers
from ernie_vil2.training.step import GradientStep
from ernie_vil2.training.trainer import Trainer
from tests.training import runs
from tests.training.rank_cases import BATCH, EVERY_PAIR, setting
from tests.training.test_grad_cache import gradients, uncached
from tests.training.updates import summed_gradients

TOWER = {"kind": "efficientnet", "variant": "b0", "image_size": 32, "projection": 32, "drop_path": 0.1}


ALL_BLOCKS = EfficientNetConfig.blocks


def first_blocks(self):
    """The first block of every stage, and one with a residual connection."""
    kept, seen = [], set()
    for shape in ALL_BLOCKS(self):
        if shape.outputs not in seen or shape.outputs == 24:
            kept.append(shape)
        seen.add(shape.outputs)
    return kept


@pytest.fixture(scope="module", autouse=True)
def shallow():
    """The properties are those of any depth, and a step of a few blocks takes a fraction."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(EfficientNetConfig, "blocks", first_blocks)
        yield


def small_setting(folder, mode):
    """(model, objective, Batch) of `rank_cases`, with an EfficientNet."""
    model, objective, batch = setting(folder, EVERY_PAIR, same=(1, 4, 5))
    config = dataclasses.replace(model.config, image_tower=EfficientNetConfig(**{**TOWER, "batch_norm": mode}))
    config.pixels = PixelProfile(size=32)
    model = dual_encoder.new_model(config, objective.groups)
    model.train()
    take_statistics(model, paddle.to_tensor(image.normalise(batch.pixels["image"], config.pixels)))
    return model, objective, batch


def take_statistics(model, pixels):
    """Give every batch norm the statistics of these pixels: random weights with random ones would kill the signal."""
    layers = [layer for layer in model.sublayers() if isinstance(layer, nn.BatchNorm2D)]
    held = [(layer, layer._use_global_stats, layer._momentum) for layer in layers]
    for layer in layers:
        layer._use_global_stats, layer._momentum = None, 0.0
    model.encode_image(pixels)
    for layer, frozen, momentum in held:
        layer._use_global_stats, layer._momentum = frozen, momentum


def statistics(model):
    return {name: value.numpy().copy() for name, value in model.named_parameters() if batch_norm.is_statistic(name)}


@pytest.mark.parametrize("micro", [1, 5, 14])
def test_the_gradient_cache_is_exact_with_frozen_statistics(tmp_path, micro):
    model, objective, batch = small_setting(tmp_path, "frozen")
    before = statistics(model)
    step = GradientStep(ErnieVil2(model, objective), seed=5, share=divide(BATCH, micro), side_by_side=micro == 5)
    loss = step(batch, 9)["loss"].item()
    found = gradients(model)
    step.close()
    wanted_loss, wanted = uncached(model, objective, batch, micro, 5, 9)
    assert loss == pytest.approx(wanted_loss, rel=1e-6) and set(found) == set(wanted)
    assert not any(batch_norm.is_statistic(name) for name in found)
    rounding = 1e-8 * max(np.linalg.norm(value) for value in wanted.values())
    for name in wanted:
        assert np.linalg.norm(found[name] - wanted[name]) <= 2e-5 * np.linalg.norm(wanted[name]) + rounding, name
    assert all(np.array_equal(value, before[name]) for name, value in statistics(model).items())


def rank_gradient(folder):
    """One rank of a job: its share of the gradient, summed over ranks, in folder/rank-R.npz."""
    if read_launch().size > 1:
        dist.init_parallel_env()
    EfficientNetConfig.blocks = first_blocks
    ranks = Ranks(dist.get_rank(), dist.get_world_size())
    model, objective, batch = small_setting(folder, "frozen")
    share = divide(BATCH, 3, ranks.rank, ranks.size)
    step = GradientStep(ErnieVil2(model, objective), seed=3, share=share, side_by_side=False)
    step(batch.rows(slice(share.start, share.start + share.rows)), 7)
    np.savez(folder / f"rank-{ranks.rank}.npz", **summed_gradients(model, ranks))


def test_two_ranks_have_the_gradient_of_one_process_with_frozen_statistics(tmp_path):
    build_vocab(tmp_path / "vocab.txt", scenes=300)
    for folder, call in (
        ("one", "job.rank_gradient(folder)"),
        ("two", "dist.spawn(job.rank_gradient, args=(folder,), nprocs=2, backend='gloo')"),
    ):
        (tmp_path / folder).mkdir()
        shutil.copy(tmp_path / "vocab.txt", tmp_path / folder)
        job = (
            "import pathlib, sys, ernie_vil2, paddle.distributed as dist, tests.training.test_batch_norm as job; "
            f"folder = pathlib.Path(sys.argv[1]); {call}"
        )
        runs.run_code(job, tmp_path / folder)
    with np.load(tmp_path / "one" / "rank-0.npz") as found:
        wanted = dict(found)
    rounding = 1e-8 * max(np.linalg.norm(value) for value in wanted.values())
    for rank in range(2):
        with np.load(tmp_path / "two" / f"rank-{rank}.npz") as found:
            assert set(found) == set(wanted)
            for name in wanted:
                size = np.linalg.norm(wanted[name])
                assert np.linalg.norm(found[name] - wanted[name]) <= 2e-5 * size + rounding, name


def test_with_learning_statistics_chunks_have_another_gradient_which_is_why_they_are_refused(tmp_path):
    model, objective, batch = small_setting(tmp_path, "train")
    losses = [
        GradientStep(ErnieVil2(model, objective), share=divide(BATCH, micro))(batch, 1)["loss"].item()
        for micro in (7, 14)
    ]
    assert abs(losses[0] - losses[1]) > 1e-4


def run_config(**changes):
    tower = {**TOWER, "batch_norm": changes.pop("batch_norm", "train")}
    model = {"image_tower": tower, "text_tower": dict(runs.TOWER, vocab_size=64), "pixels": {"size": 32}}
    return RunConfig(
        model=ModelConfig.from_dict(model),
        data=DataConfig(train="none"),
        train=TrainConfig(steps=2, **changes),
        optimizer=OptimizerConfig(warmup=0),
    )


@pytest.mark.parametrize("share", [divide(8, 4), divide(6, 2, 0, 2), divide(6, 2, 1, 2)])
def test_the_gradient_cache_is_refused_with_learning_statistics_on_every_rank(share):
    """Also on a rank that has one chunk itself: the others have two."""
    with pytest.raises(ConfigError, match=r"model.image_tower.batch_norm: train.*train.micro_batch: 0"):
        check_towers(run_config(), share)
    check_towers(run_config(batch_norm="frozen"), share)


@pytest.mark.parametrize("share", [divide(8), divide(8, 0, 1, 2), divide(7, 0, 2, 3)])
@pytest.mark.parametrize("recompute", [False, True])
def test_learning_statistics_run_on_several_ranks_and_with_recompute(share, recompute):
    check_towers(run_config(recompute=recompute), share)


def test_two_towers_that_wait_for_other_ranks_never_run_side_by_side(tmp_path):
    model, objective, _ = small_setting(tmp_path, "train")
    system = ErnieVil2(model, objective)
    for also_text, wanted in ((False, True), (True, False)):
        batch_norm.synchronise(model)
        if also_text:
            model.text_model.extra = batch_norm.SynchronisedBatchNorm(nn.BatchNorm2D(3))
        step = GradientStep(system, side_by_side=True)
        assert (step.pool is not None) == wanted
        step.close()


def test_resumed_it_is_the_uninterrupted_run_bit_for_bit(tmp_path):
    model = {
        "max_length": 64,
        "pixels": {"size": 32},
        "image_tower": {**TOWER, "batch_norm": "train"},
        "text_tower": {**runs.TOWER, "vocab_size": 0, "positions": 64},
    }
    kept = {}
    for name, steps in (("straight", (4,)), ("resumed", (2, 4))):
        (tmp_path / name).mkdir()
        path = runs.write_config(tmp_path / name, model=model, train__micro_batch=0, train__steps=4, data__workers=0)
        for stop in steps:
            trainer = Trainer(load_run(path), resume="auto")
            trainer.config.train.steps = stop
            trainer.run()
        kept[name] = runs.arrays(tmp_path / name, 4)
    assert runs.different(kept["straight"], kept["resumed"]) == []
    moved = [key for key, value in kept["straight"].items() if key.endswith("_mean") and value.any()]
    assert len(moved) == 2 * sum(key.startswith("model/") for key in moved) > 0, "in the model and in the parameters"
    assert not any(batch_norm.is_statistic(key) for key in kept["straight"] if key.startswith("average/"))

    loaded = ernie_vil2.load(tmp_path / "straight" / "run" / "checkpoints" / "step-0000004")
    assert loaded.config.image_tower.batch_norm == "train" and not loaded.network.visual.stem_norm._use_global_stats


def test_the_average_leaves_statistics_to_the_model(tmp_path):
    model, _, _ = small_setting(tmp_path, "train")
    ema = Ema(Weights(model), 0.5)
    for value in model.parameters():
        value.set_value(value.numpy() + 1.0)
    ema.update()
    wanted = statistics(model)
    with ema.applied():
        assert all(np.array_equal(value, wanted[name]) for name, value in statistics(model).items())
        assert not np.array_equal(model.visual.stem_norm.bias.numpy(), np.ones(32, np.float32))


def test_a_run_takes_a_backbone_with_its_statistics_and_puts_a_random_head_on_it(tmp_path):
    source = ModelConfig(
        image_tower=EfficientNetConfig(**{**TOWER, "projection": 0}), text_tower=None, pixels=PixelProfile(size=32)
    )
    backbone = dual_encoder.new_model(source, seed=3)
    backbone.visual.stem_norm._mean.set_value(np.full(32, 0.7, np.float32))
    arrays = {key: value.numpy() for key, value in backbone.state_dict().items()}
    save_model(tmp_path / "backbone", arrays, source, None)
    config = run_config(batch_norm="frozen")
    config.init.image = str(tmp_path / "backbone")
    assert "projection" in " ".join(check_init(config, None))
    model = start_system(config, []).model
    assert all(np.array_equal(model.state_dict()[key].numpy(), value) for key, value in arrays.items())
    assert model.visual.proj.weight.numpy().std() > 0
    config.model.image_tower.padding = "same"
    with pytest.raises(ConfigError, match="padding is dynamic"):
        check_init(config, None)
    config.init.image = None
    assert "starts at random with frozen statistics" in " ".join(check_init(config, None))
    with pytest.raises(ConfigError, match="make the sizes equal"):
        wide = dual_encoder.new_model(
            dataclasses.replace(source, image_tower=EfficientNetConfig(**{**TOWER, "variant": "b2"}))
        )
        take_tower(wide, "image", tmp_path / "backbone")


def test_layers_below_the_head_have_falling_rates_and_statistics_no_decay():
    names = [name for name, _ in dual_encoder.new_model(run_config().model).named_parameters()]
    factors = layer_factors(names, 0.5)
    last = max(int(name.split(".")[2]) for name in names if name.startswith("visual.blocks."))
    assert factors["visual.proj.weight"] == factors["visual.head_conv.weight"] == 1.0
    assert factors[f"visual.blocks.{last}.project_conv.weight"] == 1.0
    assert factors["visual.blocks.0.depthwise_conv.weight"] == 0.5**last
    assert factors["visual.stem_conv.weight"] == 0.5 ** (last + 1)


def test_what_needs_attention_says_so():
    model = dual_encoder.new_model(run_config().model)
    with pytest.raises(ConfigError, match="kind efficientnet has no attention"):
        add_lora(model, LoraConfig(rank=2))


def test_learning_batch_norms_are_replaced_by_synchronised_ones_with_the_same_keys():
    class Old(nn.Layer):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm(4, act="relu")

    for mode, expected in (("train", True), ("frozen", False)):
        model = nn.Sequential(Old(), nn.BatchNorm2D(4))
        batch_norm.frozen_or_not(model, mode)
        before = {key: id(value) for key, value in model.state_dict().items()}
        batch_norm.synchronise(model)
        batch_norm.synchronise(model)
        kinds = [type(model[0].norm), type(model[1])]
        assert [issubclass(kind, batch_norm.SynchronisedBatchNorm) for kind in kinds] == [expected, expected]
        assert {key: id(value) for key, value in model.state_dict().items()} == before
