"""O2 in whole steps and runs, its rounding emulated on a CPU: gradients are summed in fp32, and the masters are what is
saved, measured and gone on from."""

import shutil

import numpy as np
import pytest

from ernie_vil2.config.run import ObjectiveConfig
from ernie_vil2.objectives.contrastive import ContrastiveObjective
from ernie_vil2.systems.ernie_vil2 import ErnieVil2
from ernie_vil2.training.optimization.gradients import Bucket
from ernie_vil2.training.optimization.optimizer import IDLE, SLOTS
from ernie_vil2.training.rig import build
from ernie_vil2.training.step import GradientStep
from ernie_vil2.training.trainer import Trainer
from tests.gpu.steps import PAIRS, agreement, bf16, gradient, run_config, scene_batch, trained_weights
from tests.training.emulated_o2 import emulation
from tests.training.runs import arrays, different
from tests.training.test_trainer import run_config as whole_run

O2 = {"precision": "bf16", "amp_level": "O2"}


@pytest.fixture
def emulated():
    """O2 as `emulation` has it."""
    with emulation():
        yield


def error(found, wanted):
    """Norm of the difference over that of what is wanted."""
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def test_64_chunks_of_5_pairs_are_summed_in_fp32(tmp_path, emulated, monkeypatch):
    """Each pair of views has its own backward passes here: 192 additions in the image tower, 256 in the text tower."""
    config = run_config(tmp_path, {"width": 32, "depth": 1}, batch_size=64, micro_batch=1, **O2)
    rig, batch = build(config), scene_batch(config)
    exact, narrow, joined = {}, {}, Bucket.joined

    def noted(bucket, *given):
        found = joined(bucket, *given)
        if bucket.spans[0].low:
            single = found.numpy()
            assert np.array_equal(single, bf16(single))
            exact[bucket] = exact.get(bucket, 0.0) + single.astype(np.float64)
            narrow[bucket] = bf16(narrow.get(bucket, np.float32(0)) + single)
        return found

    monkeypatch.setattr(Bucket, "joined", noted)
    for pair in PAIRS:
        system = ErnieVil2(rig.model, ContrastiveObjective(ObjectiveConfig(pairs=[pair])))
        GradientStep(system, 0, rig.share, "bf16", "O2", after=rig.gradient_step.after)(batch, 0)
    rig.gradients.collect()
    wanted = np.concatenate(list(exact.values()))
    sums = np.concatenate([bucket.part.numpy() for bucket in exact])
    in_bf16 = error(np.concatenate(list(narrow.values())), wanted)
    assert error(sums, wanted) < 1e-6 and in_bf16 > 0.015
    found, large = rig.gradients.named(), 1e-3 * np.linalg.norm(wanted)
    worst = {}
    for bucket, total in exact.items():
        for span in bucket.spans:
            part = slice(span.start - bucket.start, span.stop - bucket.start)
            if np.linalg.norm(total[part]) > large:
                assert error(found[span.name].numpy().ravel(), total[part]) < 1e-3, span.name
                worst[span.name] = error(narrow[bucket][part], total[part])
    assert len(worst) > 30 and max(worst.values()) > 0.02


def test_a_whole_step_has_the_direction_of_fp32(tmp_path):
    tower, chunks = {"width": 64, "depth": 2}, {"batch_size": 32, "micro_batch": 8}
    base = run_config(tmp_path, tower, **chunks)
    batch = scene_batch(base)
    weights = trained_weights(run_config(tmp_path, tower, lr=2e-3, clip=1.0, batch_size=32), batch)
    wanted = gradient(base, weights, batch)
    with emulation():
        found = gradient(run_config(tmp_path, tower, **chunks, **O2), weights, batch)
    figures = agreement(found, wanted, 0.999, 0.02)
    assert all(figure.inside for figure in figures.values()), figures
    assert figures["cosine"].value < 0.99999  # or nothing was rounded


def masters(trainer):
    return {f"model/{name}": value for name, value in trainer.rig.weights.arrays().items()}


def working_copies(trainer):
    return {name: value.numpy().copy() for name, value in trainer.rig.model.named_parameters()}


def watched(trainer, seen):
    """Have every measurement of the trainer note the weights that it meets."""
    measure, start = trainer.validation.measure, trainer.validation.start

    def measuring(step, *others):
        seen[step] = working_copies(trainer)
        return measure(step, *others)

    def starting(*others):
        seen["start"] = working_copies(trainer)
        return start(*others)

    trainer.validation.measure, trainer.validation.start = measuring, starting
    return trainer


def o2_run(folder, ema, lora):
    """The configuration of 6 steps under O2, saved after 3 and 6, measured after 6."""
    train = {"steps": 6, "batch_size": 12, "micro_batch": 5, "save_every": 3, "eval_every": 0, "ema": ema, **O2}
    return whole_run(folder / "run", train=train, lora={"rank": 2, "towers": ["text"]} if lora else {})


@pytest.mark.parametrize(("ema", "lora"), [(0.9, True), (0.0, False)], ids=["ema-lora", "plain"])
def test_a_run_that_is_gone_on_with_has_the_bits_of_a_straight_one(tmp_path, emulated, ema, lora):
    (tmp_path / "again").mkdir()
    seen = {}
    straight = watched(Trainer(o2_run(tmp_path, ema, lora)), seen)
    first = straight.rig.weights.arrays()
    straight.run()
    shutil.copytree(tmp_path / "run", tmp_path / "again/run")
    shutil.rmtree(tmp_path / "again/run/checkpoints/step-0000006")
    resumed = Trainer(o2_run(tmp_path / "again", ema, lora), "auto")
    assert resumed.first == 3
    resumed.run()
    held, again = arrays(tmp_path, 6), arrays(tmp_path / "again", 6)
    assert different(held, again) == [] and different(masters(straight), masters(resumed)) == []
    kept, copies = straight.rig.weights.arrays(), working_copies(straight)
    low = {span.name for span in straight.rig.weights.spans if span.low}
    assert all(np.array_equal(copies[name], bf16(kept[name]) if name in low else kept[name]) for name in kept)
    shown = {name: held[f"average/{name}"] for name in kept} if ema else kept
    assert different(seen[6], shown) == [] and different(seen["start"], first) == []
    group = "parameters" if ema else "model"
    matrices = [name for name in low if kept[name].ndim > 1]
    assert all(np.array_equal(held[f"{group}/{name}"], kept[name]) for name in kept)
    assert min((bf16(kept[name]) != kept[name]).mean() for name in matrices) > 0.9
    slots = {key.rpartition(".")[2] for key in held if key.startswith("optimizer/")}
    assert slots <= {*SLOTS, IDLE}  # masters are nowhere but in the weights
