"""Runs with a queue: fp32 under weights of half precision, resumed bit for bit, on two ranks, refused where wrong."""

import json
import shutil

import numpy as np
import paddle
import pytest

from ernie_vil2.config.load import load_run
from ernie_vil2.config.optimizer import FreezeRule
from ernie_vil2.config.run import ObjectiveConfig, QueueNegatives
from ernie_vil2.config.tower_fields import EfficientNetConfig
from ernie_vil2.errors import CheckpointError, ConfigError
from ernie_vil2.objectives.negative_queue import NegativeQueue
from ernie_vil2.schema import as_dict
from ernie_vil2.training.distributed import Ranks
from ernie_vil2.training.resume import compare
from ernie_vil2.training.rig import build
from tests.gpu.steps import bf16, run_config, scene_batch
from tests.training.emulated_o2 import emulation
from tests.training.queue_cases import LEARNING, batches, rig_of
from tests.training.runs import arrays, different, train, write_config
from tests.training.test_batch_norm import first_blocks, statistics

QUEUE = {"kind": "queue", "size": 29, "momentum": 0.8}
PAIRS = [["image", "caption"], ["image", "tags"], ["image", "image'"], ["caption", "caption'"]]


def followed(start, path, momentum, rounding):
    """A copy that starts with the first weights of a path, and follows it in plain fp32, rounded after each step."""
    copy = rounding(start)
    for weights in path:
        copy = rounding(np.float32(momentum) * copy + np.float32(1 - momentum) * rounding(weights))
    return copy


def test_the_copy_follows_in_fp32_under_weights_of_half_precision(tmp_path):
    """At 0.999 a step moves a value by less than half the last place of bf16, so a copy in bf16 would stay."""
    config = run_config(tmp_path, {"width": 32, "depth": 1}, lr=3e-4, batch_size=8, precision="bf16", amp_level="O2")
    config.objective = ObjectiveConfig(pairs=[["image", "caption"]], negatives=QueueNegatives(size=16, momentum=0.999))
    batch = scene_batch(config)
    with emulation():
        rig = build(config)
        start, path = rig.weights.values.numpy().copy(), []
        for number in range(20):
            path.append(rig.weights.values.numpy().copy())  # as they are when the keys of the step are made
            rig.step(batch, number, show=False)
        rig.close()
        found, working = rig.momentum.weights.values.numpy(), rig.momentum.weights.low.numpy()
    moved = np.linalg.norm(path[-1] - start)
    wanted, narrow = (followed(start, path, 0.999, rounding) for rounding in (np.float32, bf16))
    assert moved > 0.01 * np.linalg.norm(start)
    assert np.linalg.norm(found - wanted) < 1e-6 * np.linalg.norm(wanted)
    travelled = np.linalg.norm(wanted - start)
    assert np.linalg.norm(found - wanted) < 1e-2 * travelled < np.linalg.norm(narrow - wanted)
    assert np.array_equal(working, bf16(found)), "and keys are encoded by its rounded values"
    kept = rig.state()["momentum"]
    name = "visual.blocks.0.attn.proj.weight"
    assert not np.array_equal(kept[name], bf16(kept[name]))


def test_the_copy_sees_what_a_system_sets_under_o2(tmp_path):
    config = run_config(tmp_path, {"width": 32, "depth": 1}, batch_size=8, precision="bf16", amp_level="O2")
    config.objective = ObjectiveConfig(pairs=[["image", "caption"]], negatives=QueueNegatives(size=16, momentum=0.5))
    config.optimizer.freeze = [FreezeRule(match=r"visual\..*")]
    with emulation():
        rig = build(config)
        name = "visual.blocks.0.attn.proj.bias"
        dict(rig.model.named_parameters())[name].set_value(np.full(32, 0.5, np.float32))
        rig.step(scene_batch(config), 0, show=False)
        rig.close()
    assert np.allclose(rig.state()["momentum"][name], 0.25)


@pytest.mark.parametrize("kind", ["own", "copied"])
def test_the_copy_keeps_statistics_of_its_own_or_takes_the_models(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(EfficientNetConfig, "blocks", lambda tower: first_blocks(tower)[:2])
    rig = rig_of(tmp_path, Ranks(), {**LEARNING, "statistics": kind})
    for number, batch in enumerate(batches(rig)[:2]):
        rig.step(batch, number, show=False)
    rig.close()
    before, models = statistics(rig.momentum.system.model), statistics(rig.model)
    assert len(different(before, models)) == len(models) > 10, "keys have moved them"
    rig.momentum.follow()
    assert different(statistics(rig.momentum.system.model), before if kind == "own" else models) == []


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The folder of 6 straight steps with dropout, augmentation, gradient cache, EMA, LoRA; saved after 3 and 6."""
    folder = tmp_path_factory.mktemp("straight")
    changes = {"train__steps": 6, "train__save_every": 3, "train__keep": 9, "lora": {"rank": 2, "towers": ["text"]}}
    path = write_config(folder, objective={"pairs": PAIRS, "negatives": QUEUE}, data__workers=0, **changes)
    done = train("-c", path)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def resumed(straight, folder, **options):
    """The arrays of step 6 of a run that goes on from step 3 of the straight one, in `folder`."""
    shutil.copytree(straight / "run", folder / "run")
    shutil.rmtree(folder / "run/checkpoints/step-0000006")
    if options:
        options["log_dir"] = folder / "launch"
    done = train("-c", straight / "run.yaml", "-o", f"output={folder / 'run'}", "--resume", "auto", **options)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "step 3, " in done.stdout or options
    return arrays(folder, 6)


def test_a_run_that_is_gone_on_with_has_the_bits_of_a_straight_one(straight, tmp_path):
    wanted, before = arrays(straight, 6), arrays(straight, 3)
    groups = {key.split("/")[0] for key in wanted}
    assert groups == {"model", "parameters", "average", "optimizer", "momentum", "queue"}
    assert before["queue/pointer"].tolist() == [36 % 29] and wanted["queue/pointer"].tolist() == [72 % 29]
    for group in ("momentum", "queue"):
        assert any(not np.array_equal(wanted[key], before[key]) for key in wanted if key.startswith(group))
    assert any("lora" in key and np.any(wanted[key]) for key in wanted if key.startswith("momentum/"))
    assert different(resumed(straight, tmp_path), wanted) == []


def test_two_ranks_go_on_with_the_queue_of_one(straight, tmp_path):
    wanted, found = arrays(straight, 6), resumed(straight, tmp_path, processes=2)
    assert set(found) == set(wanted)
    for key, value in wanted.items():
        if key.startswith("queue/") and not key.startswith("queue/embeds"):
            assert np.array_equal(found[key], value), key
    for group in ("queue/embeds", "momentum"):
        names = [key for key in wanted if key.startswith(group) and not key.endswith("attn.k.bias")]
        one, two = (np.concatenate([of[key].ravel().astype("f8") for key in names]) for of in (wanted, found))
        assert np.linalg.norm(one - two) < 1e-4 * np.linalg.norm(one), group


@pytest.mark.parametrize("group", ["queue", "momentum"])
def test_a_checkpoint_that_lacks_a_part_is_one_sentence(tmp_path, group):
    config = run_config(tmp_path, {"width": 32, "depth": 1}, batch_size=4)
    config.objective = ObjectiveConfig(negatives=QueueNegatives(size=6))
    rig = build(config)
    rig.step(scene_batch(config), 0, show=False)
    model = {name: value.numpy() for name, value in rig.model.named_parameters()}
    groups = {"model": model, **rig.shard_state(), **rig.state()}
    rig.load(groups, {"step": 1, "loss_scale": None}, "there")
    del groups[group]
    with pytest.raises(CheckpointError, match=r"^there holds no .*(6 keys|momentum copy).*; go on from another"):
        rig.load(groups, {"step": 1, "loss_scale": None}, "there")
    rig.close()


def filled(size):
    """A NegativeQueue with a step in it."""
    queue = NegativeQueue(size)
    queue.take({view: paddle.ones([3, 2]) for view in ("image", "caption")})
    return queue


def test_a_queue_of_another_size_is_refused_before_it_is_taken():
    queue, other = filled(7), filled(8)
    before = queue.state()
    with pytest.raises(CheckpointError, match="^there holds no queue of 7 keys; go on from another checkpoint$"):
        queue.load(other.state(), "there")
    assert different(queue.state(), before) == []


@pytest.mark.parametrize(
    "change", [{"size": 30}, {"momentum": 0.9}, {"statistics": "copied"}, {"kind": "batch"}], ids=str
)
def test_other_negatives_are_another_run(tmp_path, change):
    path = write_config(tmp_path, objective={"pairs": PAIRS, "negatives": QUEUE})
    saved = json.loads(json.dumps(as_dict(load_run(path))))
    assert compare(load_run(path), saved, "there") == []
    negatives = change if "kind" in change else {**QUEUE, **change}
    hint = rf"^there belongs to another run: .*objective\.negatives\.{next(iter(change))} was"
    with pytest.raises(ConfigError, match=hint) as caught:
        compare(load_run(path, [f"objective.negatives={json.dumps(negatives)}"]), saved, "there")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "override, hint",
    [
        ("objective.negatives={kind: queue, size: 0}", "objective.negatives.size is 0 but must be"),
        ("objective.negatives={kind: queue, size: -1}", "objective.negatives.size is -1 but must be"),
        (
            "objective.negatives={kind: queue, momentum: 1.5}",
            "objective.negatives.momentum is 1.5 but must be in [0, 1)",
        ),
        ("objective.negatives={kind: queue, momentum: -0.1}", "objective.negatives.momentum is -0.1 but must be"),
        ("objective.negatives={kind: queue, momentum: 1}", "objective.negatives.momentum is 1.0 but must be"),
        ("objective.negatives={kind: queue, statistics: none}", "must be one of own, copied"),
        ("objective.negatives={kind: que}", "did you mean 'queue'?"),
        ("objective.negatives={kind: queue, sise: 9}", "did you mean 'objective.negatives.size'?"),
        ("objective={loss: sigmoid, negatives: queue}", "set loss: infonce, or negatives: batch"),
        ("objective.temperature=0", "objective.temperature is 0.0 but must be"),
        ("objective.temperature=2", "objective.temperature is 2.0 but must be"),
        ("data.augmentation=null", "set data.augmentation: {}"),
    ],
)
def test_what_is_wrong_is_one_sentence_of_the_check_before_a_model_is_built(
    tmp_path, capsys, monkeypatch, override, hint
):
    from ernie_vil2.cli import train as verb

    monkeypatch.setattr(verb, "import_paddle", lambda: pytest.fail("it went on to train"))
    path = write_config(tmp_path, objective={"pairs": PAIRS, "negatives": QUEUE})
    assert verb.main(["-c", str(path), "--check"]) == 0
    with pytest.raises(ConfigError) as caught:
        verb.main(["-c", str(path), "--check", "-o", override])
    assert hint in str(caught.value) and "\n" not in str(caught.value)
