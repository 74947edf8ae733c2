"""Results and costs of systems as they would be, made up for tests."""

import functools

from ernie_vil2.studies.systems.comparison import NAMES
from ernie_vil2.studies.systems.plan import Plan
from tests.conftest import ROOT

CONFIGS = ROOT / "configs" / "systems"
TINY = ("data.train.size=128", "data.valid.size=10", "model.image_tower.depth=1", "model.text_tower.depth=1")
GIVEN = {"pairs": 64, "batches": (16, 32), "seeds": (4, 5), "rates": (1e-3, 1e-2), "overrides": TINY, "images": 9}


def planned(tmp_path, **changes):
    """A small plan whose runs are below tmp_path/out."""
    return Plan(CONFIGS, tmp_path / "out", **{**GIVEN, **changes})


def result(run, value, validation=None, config=None):
    """What a run would have written, all of whose metrics are `value`; None: its training diverged."""
    metrics = dict.fromkeys(("t2i_r1", "i2t_r1", "mean_recall", "spearman", "pearson", "map"), value)
    metrics |= {
        "words_spearman": 20.0,
        "words_pearson": 21.0,
        "colours_map": 22.0,
        "map_depth": "all",
        "num_images": run.images,
    }
    log = [{"kind": "valid", "step": 1, "mean_recall": 99.0}, {"kind": "valid", "step": 2, "mean_recall": value}]
    if validation is not None:
        log[1]["mean_recall"] = validation
    told = {"diverged": True} if value is None else {"metrics": metrics, "log": log}
    return {**run.identity(), "code": "a", "config": config or run.config(), **told, "minutes": 2.0}


@functools.cache
def config_of(name, batch):
    return Plan(CONFIGS, "out").run(name, batch, 1e-3, 0).config()


@functools.cache
def made_up_towers(value=25.0):
    """What all runs of the plan of `config_of` start from."""
    return {tower: result(run, value) for tower, run in Plan(CONFIGS, "out").towers.items()}


def made_up(gains, seeds=(0, 1, 2)):
    """Results of 30 + 5 seed + gain, gains {(system, batch): a value, or one a seed}: the seed drops out."""
    found, asked = [], Plan(CONFIGS, "out", batches=(32, 128), seeds=seeds)
    for seed in seeds:
        for batch in asked.batches:
            for name in NAMES:
                gain = gains.get((name, batch), 0.0)
                value = 30.0 + 5 * seed + (gain[seed] if isinstance(gain, tuple) else gain + 0.1 * seed * bool(gain))
                found.append(result(asked.run(name, batch, 1e-3, seed), value, config=config_of(name, batch)))
    return found


def made_up_costs(**ratios):
    both = ("32", "128")
    return {
        "parameters": {name: {"towers": 1000, "own": 1, "all": 1001} for name in NAMES},
        "times": {
            name: {
                what: {"seconds": 0.5, "ratio": ratios.get(name, 1.0)} for what in (*both, "images", "texts", "views")
            }
            for name in NAMES
        },
        "memory": {name: {batch: {"loaded": 300.0, "most": 420.0} for batch in both} for name in NAMES},
        "baseline": {"t2i_r1": 11.0, "i2t_r1": 12.0, "mean_recall": 13.0},
        "code": "a",
    }
