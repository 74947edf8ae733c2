"""Five training steps of BriVL's release, taken by this project's rig, with frozen and with learning batch norms."""

import dataclasses
import json

import numpy as np
import paddle
import pytest

from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.config.load import load_run
from ernie_vil2.data.batches.views import ViewMaker
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.device import float32_copy
from ernie_vil2.models.towers.batch_norm import is_statistic
from ernie_vil2.objectives.gather import divide
from ernie_vil2.systems.registry import system_class
from ernie_vil2.training.distributed import Ranks
from ernie_vil2.training.rig import Rig
from tests.conftest import ROOT
from tests.systems import brivl_release


class PlainSGD:
    """In place of AdamW: value -= rate * gradient. `seen` are the gradients of the last step, by name."""

    def __init__(self, rig):
        self.seen, self.weights = {}, rig.weights

    def step(self, gradients, rate):
        self.seen = {name: float32_copy(value) for name, value in gradients.named().items()}
        with paddle.no_grad():
            for bucket in gradients.held:
                self.weights.values._slice(bucket.start, bucket.end).subtract_(bucket.part * rate)
        self.weights.round()


@pytest.fixture(scope="module")
def folder(shared_parity):
    return shared_parity.parent / "brivl" / "tiny"


@pytest.fixture(scope="module")
def training(folder):
    return json.loads((folder / "train.json").read_text())


@pytest.fixture(scope="module")
def directory(folder, tmp_path_factory):
    """The model directory of the released file, twins and all."""
    read, path = brivl_release.released(folder), tmp_path_factory.mktemp("brivl") / "model"
    save_model(path, read.state, read.config, folder.parent / "vocab.txt")
    return path


def run_of(directory, folder, training, mode, output):
    """configs/brivl_1.0.yaml from the released file, with the numbers of train.json and without dropout or clipping."""
    recipe = (ROOT / "configs" / "brivl_1.0.yaml").read_text(encoding="utf-8")
    path = output / "run.yaml"
    path.write_text(recipe.replace("([0-9]|1[0-2])", "[0-4]"), encoding="utf-8")  # blocks of three stages here
    model = {
        "settings": {"dropout": 0.0},
        "text_tower": {"dropout": 0.0},
        "image_tower": {"kind": "efficientnet", "batch_norm": mode},
    }
    changes = {
        "init.model": str(directory),
        "model": model,
        "data.train": str(folder / "input.jsonl"),
        "data.augmentation": None,
        "objective.negatives.size": training["queue_size"],
        "objective.negatives.momentum": training["momentum"],
        "objective.temperature": training["temperature"],
        "optimizer.lr": training["lr"],
        "optimizer.warmup": 0,
        "optimizer.schedule": "constant",
        "optimizer.clip": 0.0,
        "train": {"steps": len(training["steps"]), "batch_size": training["batch"]},
        "output": str(output / "run"),
    }
    return load_run(path, [f"{key}={json.dumps(value)}" for key, value in changes.items()])


def batches(config, folder, steps):
    """A Batch a step: pairs of an image of one row and the text of another."""
    source, model = open_source(config.data.train), config.model
    tokenizer = Tokenizer(folder.parent / "vocab.txt", model.max_length, fixed_length=model.fixed_length)
    maker = ViewMaker(("image", "caption"), tokenizer, model.pixels, boxes=system_class(model.system).most_boxes(model))
    for pairs in steps:
        rows = [dataclasses.replace(source[image], texts=source[text].texts) for image, text in pairs]
        yield maker.collate([maker.make(row, 0, place) for place, row in enumerate(rows)])


def start_queue(queue, folder):
    """Put in the queues that train.json starts from, of samples that nobody is."""
    start = brivl_release.recipe(folder).queues(str(folder / "manifest.json"))
    empty = queue.state()
    queue.load(
        {
            **empty,
            "embeds.image": start["img_queue"].T.copy(),
            "embeds.caption": start["text_queue"].T.copy(),
            "text_ids.caption": np.full(queue.size, -1),
            "present.caption": np.ones(queue.size, bool),
        },
        "the fixture",
    )


def norms(arrays, theirs):
    """{their key: L2 norm} of {our key: array}."""
    return {theirs[key]: np.linalg.norm(np.asarray(value, "f8")) for key, value in arrays.items() if key in theirs}


@pytest.mark.parametrize("name, mode", [("eval_bn", "frozen"), ("train_bn", "train")])
def test_five_steps_are_those_of_the_release(folder, training, directory, tmp_path, name, mode):
    wanted, queues = training["runs"][name], np.load(folder / "train.npz")
    config = run_of(directory, folder, training, mode, tmp_path)
    rig = Rig(config, Ranks(), divide(training["batch"]), [])
    theirs = brivl_release.theirs_of(config.model)
    queue = rig.system.objective.queue
    start_queue(queue, folder)
    rig.optimizer = PlainSGD(rig)
    for number, batch in enumerate(batches(config, folder, training["steps"])):
        values = rig.step(batch, number, show=False)
        assert abs(values["loss"] - wanted["loss"][number]) < 1e-3
        assert values["grad_norm"] == pytest.approx(wanted["total_grad_norm"][number], rel=1e-2)
        for view, key in (("image", "img_queue"), ("caption", "text_queue")):
            np.testing.assert_allclose(queue.embeds[view].numpy().T, queues[f"{name}.{key}"][number], atol=1e-4)
        assert queue.place == wanted["img_queue_ptr"][number] == wanted["text_queue_ptr"][number]
        if number == 0:
            found = norms(rig.optimizer.seen, theirs)
            assert set(found) == set(wanted["grad_norm_step1"])
            for key, norm in wanted["grad_norm_step1"].items():
                if not key.endswith(("key.bias", "in_proj_bias")):  # of keys: zero but for rounding, as 1e-7 is
                    assert found[key] == pytest.approx(norm, rel=1e-2, abs=1e-5), key
    last, copy = norms(rig.weights.arrays(), theirs), norms(rig.momentum.state(), theirs)
    for key, norm in wanted["param_norm_step5"].items():
        assert last[key] == pytest.approx(norm, rel=1e-5), key
    for key, norm in wanted["momentum_norm_step5"].items():
        assert copy[key.replace("_mom.", ".", 1)] == pytest.approx(norm, rel=1e-5), key
    own = {key: float32_copy(value) for key, value in rig.model.state_dict().items() if is_statistic(key)}
    held = {False: norms(own, theirs), True: copy}
    for key, norm in wanted.get("bn_buffer_norm_step5", {}).items():
        assert held["_mom." in key][key.replace("_mom.", ".", 1)] == pytest.approx(norm, rel=1e-3), key
    rig.close()
