"""The loss alone: both forms are one loss, a tile needs no more memory at a larger batch, and figures follow."""

import numpy as np
import paddle
import pytest

from ernie_vil2.cli.arguments import Parser
from ernie_vil2.cli.bench import memory
from ernie_vil2.device import MIB
from ernie_vil2.errors import UserError
from ernie_vil2.objectives import tiles
from ernie_vil2.studies.speed import loss


def test_both_forms_are_one_loss_with_one_gradient():
    found = {}
    for name, form in loss.FORMS.items():
        x, y = loss.inputs(96, 16)
        scale = paddle.full([1], 20.0)
        scale.stop_gradient = False
        value = form(96)(x, y, scale)
        value.backward()
        found[name] = [value.item(), scale.grad.item(), x.grad.numpy(), y.grad.numpy()]
    for one, other in zip(*found.values(), strict=True):
        assert np.abs(one).max() > 0
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-6)


def test_tiles_need_no_more_at_a_larger_batch_and_one_piece_does(monkeypatch):
    """Beyond the gradients, and what there is of a row and of a column."""
    monkeypatch.setattr(tiles, "CPU_TILE", 1 << 14)
    monkeypatch.setattr(loss, "WARM", 64)
    tiled, plain = (
        [loss.measured(form, batch, 8)["tensors"] * MIB for batch in (256, 1024)] for form in (loss.Tiled, loss.Plain)
    )
    assert tiled[1] - tiled[0] < 1024 * 1000 and tiled[1] < 80 * 2**14 + 1024 * 1000
    assert plain[1] > 30 * 1024**2 and plain[1] == pytest.approx(16 * plain[0], rel=0.1)


def test_figures_follow_from_the_turns(monkeypatch):
    """Of alternating turns the best; the large batch is measured between them."""
    asked = []

    def ask(job):
        asked.append((job["form"], job["batch"]))
        turn = len(asked)
        return {
            "batch": job["batch"],
            "tensors": 32.0,
            "resident": 40.0 + turn,
            "elapsed": 9.0 - turn,
            "processor": 8.0,
        }

    monkeypatch.setattr(loss, "ask", ask)
    found = loss.compare(64, 16, turns=2)
    assert asked == [("tiled", 16), ("plain", 16), ("tiled", 64), ("tiled", 16), ("plain", 16)]
    assert found["plain"]["elapsed"] == 4.0 and found["tiled"]["elapsed"] == 6.0 and found["plain"]["resident"] == 42.0
    assert found["elapsed"] == 1.5 and found["processor"] == 1.0 and found["needed"] == 32.0 * 16


def test_the_verb_measures_in_processes_of_their_own(capsys):
    parser = Parser()
    memory.add_verb(parser.add_subparsers())
    args = parser.parse_args(["memory", "--loss", "--batch", "128", "--plain-batch", "64", "--repeats", "1"])
    args.run(args)
    shown = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in shown[:3]] == [
        "128 pairs, in tiles",
        "64 pairs, in tiles",
        "64 pairs, in one piece",
    ]
    assert shown[3].startswith("128 pairs in tiles take ") and "GiB" in shown[3]
    with pytest.raises(UserError, match="the tiled loss of 8 pairs could not be measured: "):
        loss.ask({"form": "tiled", "batch": 8, "width": -1})
