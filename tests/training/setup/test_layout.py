"""What only parameters' names tell is refused by `train --check` as by the run itself, without weights in memory."""

import pytest

from ernie_vil2.cli import train
from ernie_vil2.config.load import load_run
from ernie_vil2.errors import ConfigError
from ernie_vil2.training.setup.layout import check_layout
from ernie_vil2.training.trainer import Trainer
from tests.training.runs import TOWER, write_config

WRONG = {
    r"optimizer.freeze=[{match: 'visul\..*'}]": "optimizer.freeze: no parameter fits",
    r"optimizer.groups=[{match: 'heads\..*', lr: 2}]": "optimizer.groups: no parameter fits",
    "optimizer.freeze=[]": "data.cache_locked keeps embeddings",
    r"optimizer.freeze=[{match: 'visual\..*', until: 3}]": "data.cache_locked keeps embeddings",
    r"optimizer.freeze=[{match: 'visual\.blocks\..*'}]": "data.cache_locked keeps embeddings",
}


@pytest.fixture
def path(tmp_path):
    return write_config(
        tmp_path,
        model__image_tower={**TOWER, "image_size": 32, "patch_size": 8, "dropout": 0.0},
        data={"train": {"kind": "scenes", "size": 20, "image_size": 32}, "workers": 0, "cache_locked": True},
        objective={"pairs": [["image", "caption"]]},
        optimizer={"lr": 1e-3, "warmup": 2, "freeze": [{"match": r"visual\..*"}]},
    )


@pytest.mark.parametrize("override", WRONG)
def test_the_check_says_what_the_run_says(path, tmp_path, override):
    told = []
    for refuse in (
        lambda: train.main(["-c", str(path), "--check", "-o", override]),
        lambda: Trainer(load_run(path, [override])),
    ):
        with pytest.raises(ConfigError, match=WRONG[override]) as caught:
            refuse()
        told.append(str(caught.value))
    assert told[0] == told[1] and not (tmp_path / "run/checkpoints").exists()


def test_what_can_run_passes_and_the_configuration_stays(path):
    config = load_run(path)
    check_layout(config)
    assert config == load_run(path) and train.main(["-c", str(path), "--check"]) == 0


@pytest.mark.parametrize("override", ["lora.rank=2", "model.system=cookie"])
def test_names_that_only_the_run_lays_out_are_left_to_it(path, override):
    freeze = r"optimizer.freeze=[{match: 'text_model\..*lora_a'}]"
    check_layout(load_run(path, [override, "data.cache_locked=false", freeze]))


def test_paddle_is_not_imported_where_no_name_is_asked_for(path, monkeypatch):
    monkeypatch.setattr(train, "import_paddle", lambda: pytest.fail("imported"))
    assert train.main(["-c", str(path), "--check", "-o", "optimizer.freeze=[]", "-o", "data.cache_locked=false"]) == 0
