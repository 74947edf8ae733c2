"""`bench train` measures both sides in turns, says what they do, and why one of them cannot take part."""

import dataclasses
import sys

import pytest

from ernie_vil2.cli.arguments import Parser
from ernie_vil2.cli.bench import train
from ernie_vil2.cli.bench.main import main
from ernie_vil2.config.load import load_run
from ernie_vil2.errors import ConfigError, UserError
from ernie_vil2.studies.speed.training import comparison, torch_side
from ernie_vil2.studies.speed.training.comparison import compare
from ernie_vil2.studies.speed.training.measurements import PROJECT, TORCH, Comparison, Measured
from ernie_vil2.studies.speed.training.report import tables, three_digits
from ernie_vil2.studies.speed.training.torch_side import check_config
from ernie_vil2.studies.speed.training.work import Work, read_inputs
from tests.conftest import ROOT

BASE = "configs/ernie_vil2_base_vit_zh.yaml"
TOWER = "depth: 1, width: 32, heads: 2"
SMALL = [
    f"model.image_tower={{{TOWER}, image_size: 32, drop_path: 0.1}}",
    f"model.text_tower={{{TOWER}, vocab_size: 50, positions: 64, dropout: 0.1}}",
    "model.pixels={size: 32}",
]
FP32 = "train.precision=fp32"


def small(*overrides):
    return load_run(BASE, ["data.train=none", FP32, *SMALL, *overrides])


def overridden(overrides):
    return [word for override in overrides for word in ("-o", override)]


def found_of(mine, theirs):
    """A comparison whose sides took these seconds."""
    pairs = [("image", "caption", 1.0, "mm"), ("image", "image'", 1.0, "ii")]
    work = Work(small(), 8, 24, pairs, "", "")
    sides = {
        PROJECT: Measured(turns=[[{"AdamW": 0.5, "EMA": 0.1, "step": value}] for value in mine]),
        TORCH: Measured(how="AdamW fused", turns=[[{"AdamW": 0.25, "clip": 0.1, "step": value}] for value in theirs]),
    }
    return Comparison(work, operations=0.5, sides=sides, peaks=[4e12, 8e12, 6e12])


def test_the_verb_prints_the_step_in_fp32_with_three_digits_and_nothing_beside(capfd):
    main(["train", *overridden(SMALL), "--batch", "4", "--turns", "2", "--only", "project", "--peak", "1"])
    told, errors = capfd.readouterr()
    assert told.startswith("4 pairs a step in fp32 on ") and "texts of 24 tokens; turns: 2, steps of each: 1" in told
    (row,) = (line for line in told.split("\n") if line.startswith("| project"))
    rates = [cell.strip().replace(",", "") for cell in row.split("|")[2:5]]
    assert all(float(rate) >= 100 or len(rate.replace(".", "").lstrip("0")) == 3 for rate in rates)
    assert "torch:" not in told and "| AdamW " in told and "| figures for the log " in told
    assert not errors


def test_a_precision_of_cards_and_a_length_that_is_not_read_are_refused():
    with pytest.raises(ConfigError, match="train.precision bf16 needs a GPU"):
        main(["train", "-o", "train.precision=bf16", "--only", "project"])
    with pytest.raises(ConfigError, match="--length 49 is more than the model reads; give at most .*48"):
        main(["train", "--length", "49"])
    with pytest.raises(ConfigError, match="--torch .*none cannot be started"):
        compare(small(), 4, 1, 1, torch="/none")


def test_a_side_that_is_not_there_or_stops_has_its_reason(tmp_path, monkeypatch):
    config = small()
    monkeypatch.chdir(tmp_path)
    found = compare(config, 4, 1, 1, peak_speed=1e12)
    assert found.sides[TORCH].refused.startswith("there is no .venv-interop/bin/python; fill it with make interop")
    assert found.rate(PROJECT).median > 0 and found.ratio(PROJECT, TORCH) is None and found.share(PROJECT) > 0
    assert "torch: not measured: there is no" in tables(found)

    class Stopping:
        told = ""

        def __init__(self, name, *others, **settings):
            self.name, self.asked = name, 0

        def ask(self, request):
            self.asked += 1
            if self.name == TORCH and self.asked > 1:
                raise UserError("out of memory")
            return [{"step": 1.0}]

        def close(self):
            pass

    monkeypatch.setattr(comparison, "Process", Stopping)
    found = compare(config, 4, 1, 3, torch=sys.executable, peak_speed=1e12)
    assert len(found.sides[PROJECT].turns) == 3
    assert found.sides[TORCH] == Measured(refused="out of memory")


def test_every_option_is_documented():
    text = (ROOT / "docs/speed.md").read_text(encoding="utf-8").partition("## Training on a CPU")[2]
    verbs = Parser().add_subparsers()
    train.add_verb(verbs)
    named = [action.option_strings for action in verbs.choices["train"]._actions]
    lacking = [names for names in named if not any(f"`{name}" in text for name in names)]
    assert lacking == [["-h", "--help"]]


def test_both_sides_get_the_same_noise(tmp_path):
    """This project's side makes its own, which is that of the file."""
    from ernie_vil2.studies.speed.training.steps import noise

    config = small("objective.pairs=[[image, caption], [image, image']]")
    work = comparison.make_work(config, 4, 12, tmp_path)
    batches, inputs = noise(config, ("image", "caption", "image'"), 4, 12), read_inputs(work.inputs)
    assert len(inputs) == len(batches) > 1 and work.pairs == [
        ("image", "caption", 1.0, "mm"),
        ("image", "image'", 1.0, "ii"),
    ]
    for batch, views in zip(batches, inputs, strict=True):
        assert set(views) == {"image", "caption", "image'"}
        for view, values in {**batch.pixels, **batch.tokens}.items():
            assert (views[view] == values).all()
    assert (inputs[0]["image"] != inputs[1]["image"]).any()


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("train.micro_batch=2", "train.micro_batch"),
        ("train.recompute=true", "train.recompute"),
        ("lora.rank=2", "lora.rank"),
        ("model.image_tower.patch_dropout=0.5", "patch_dropout"),
        ("objective.loss=sigmoid", "sigmoid"),
        ("objective.negatives=queue", "queue"),
        ("objective.temperature=0.1", "objective.temperature"),
        ("optimizer.layer_decay=0.5", "layer_decay"),
        ("optimizer.freeze=[{match: .*}]", "freeze"),
        ("optimizer.groups=[{match: .*, lr: 2.0}]", "groups"),
        ("train.precision=bf16", "train.precision bf16"),
    ],
)
def test_what_torch_does_not_do_is_named(override, named):
    check_config(small(), 4)
    with pytest.raises(UserError, match=f"it has no .*{named}.*--only project"):
        check_config(small(override), 4)


def test_towers_of_other_kinds_are_refused_and_a_micro_batch_of_all_is_not():
    config = small("train.micro_batch=4")
    check_config(config, 4)
    tower = dataclasses.replace(config.model, system="brivl")
    with pytest.raises(UserError, match="towers of torch are vit and ernie"):
        check_config(dataclasses.replace(config, model=tower), 4)


def test_random_weights_fit_the_model_and_have_every_temperature():
    state = torch_side.random_state(small().model, ("mm", "ii"))
    assert {key for key in state if key.startswith("contrastive")} == {
        "contrastive_loss_mm.temperature_b",
        "contrastive_loss_ii.temperature_b",
    }
    assert (state["visual.norm_post.weight"] == 1).all() and (state["visual.norm_post.bias"] == 0).all()
    assert 0 < abs(state["text_model.word_emb.weight"]).max() < 1


def test_ratios_are_those_within_a_turn():
    found = found_of([4.0, 2.0, 8.0], [2.0, 2.0, 2.0])
    rate, ratio = found.rate(PROJECT), found.ratio(PROJECT, TORCH)
    assert (rate.median, rate.least, rate.most) == (2.0, 1.0, 4.0)
    assert (ratio.median, ratio.least, ratio.most) == (0.5, 0.25, 1.0)
    assert found.speed(PROJECT) == 1.0 and found.share(PROJECT) == pytest.approx(1 / 6)
    told = tables(found)
    assert "| project  |  2.00 |  1.00 | 4.00 |   0.500 | 0.250 | 1.00 |   1,000 |   16.7% |" in told
    assert "| EMA          |   100.0 |       – |" in told and "| clip         |       – |   100.0 |" in told
    assert "torch: AdamW fused" in told and "Matrix peak, GFLOP/s: 6,000." in told


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.8214, "0.821"), (0.08214, "0.0821"), (1.0, "1.00"), (12.345, "12.3"), (123.4, "123"), (12345.6, "12,346")],
)
def test_three_digits_count(value, text):
    assert three_digits(value) == text
