"""A step waits for the device once."""

import pytest

from ernie_vil2.training import rig as rig_module
from ernie_vil2.training.distributed import Ranks
from tests.training.step_reads import rig_of, traffic

OPTIONS = {
    "plain": {},
    "lora": {"lora": 2},
    "sigmoid": {"loss": "sigmoid"},
    "recompute": {"recompute": True},
    "fp16": {"precision": "fp16"},
    "queue": {"queue": 20},
}


@pytest.mark.parametrize("options", OPTIONS)
def test_one_process_reads_once_a_step(tmp_path, options):
    for seen in traffic(rig_of(tmp_path, Ranks(), **OPTIONS[options])):
        assert dict(seen.reads) == {"numpy": 1} and not seen.collectives


def test_a_second_read_is_seen(tmp_path, monkeypatch):
    original = rig_module.read_figures
    monkeypatch.setattr(
        rig_module, "read_figures", lambda parts, *others: (parts["loss"].item(), original(parts, *others))[1]
    )
    assert [sum(seen.reads.values()) for seen in traffic(rig_of(tmp_path, Ranks()))] == [2, 2]
