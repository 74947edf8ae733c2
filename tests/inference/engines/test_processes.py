"""Engines in other processes: forked from one that has computed, and spawned."""

import subprocess
import sys

import pytest

from ernie_vil2.checkpoints.model_directory import save_model
from tests.conftest import ROOT
from tests.inference.engines.towers import PLAIN, network
from tests.training.runs import environment

WORK = """
import multiprocessing, os, signal, sys

import ernie_vil2
from ernie_vil2.runtime import import_paddle

import_paddle()
import numpy as np

FOLDER, ENGINE, HOW = sys.argv[1:]
TEXTS = ["一只红色的圆", "a", "的" * 40, "red dog"] * 5
IMAGES = [np.full((40, 40, 3), number, np.uint8) for number in range(6)]


def encoded(model):
    return model.encode_text(TEXTS), model.encode_image(IMAGES)


def close(made, wanted):
    return all(np.abs(one - two).max() < 1e-4 for one, two in zip(made, wanted, strict=True))


def spawned(wanted):
    model = ernie_vil2.load(FOLDER, engine=ENGINE)
    assert close(encoded(model), wanted) and model.engines.record["text"].startswith(ENGINE + " ")


def fork(model, wanted):
    if HOW == "unused":
        model = ernie_vil2.load(FOLDER, engine=ENGINE)  # made, and not used before the fork
    child = os.fork()
    if not child:
        signal.alarm(20)  # one that waits for ever is ended
        assert close(encoded(model), wanted)
        if HOW == "loads":
            assert close(encoded(ernie_vil2.load(FOLDER, engine=ENGINE)), wanted)
        sys.exit(7)  # as a program ends, with everything taken down
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 7, status
    assert close(encoded(model), wanted), "the parent is as it was"


if __name__ == "__main__":
    wanted = encoded(ernie_vil2.load(FOLDER, engine="paddle"))
    model = ernie_vil2.load(FOLDER, engine=ENGINE)
    assert close(encoded(model), wanted)
    if HOW == "spawn":
        process = multiprocessing.get_context("spawn").Process(target=spawned, args=(wanted,))
        process.start()
        process.join(60)
        process.kill()
        assert process.exitcode == 0
    else:
        fork(model, wanted)
    print("all good")
"""


@pytest.mark.parametrize("engine", ["openvino", "paddle_inference"])
@pytest.mark.parametrize("how", ["used", "unused", "loads", "spawn"])
def test_another_process_computes_the_same_and_ends(engine, how, tmp_path, tiny_vocab):
    save_model(tmp_path / "model", network(PLAIN).state_dict(), PLAIN, tiny_vocab)
    script = tmp_path / "work.py"
    script.write_text(WORK, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(tmp_path / "model"), engine, how],
        cwd=ROOT,
        env=environment(OMP_NUM_THREADS="2", PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stdout.strip() == "all good", done.stdout[-1000:] + done.stderr[-2000:]
    assert not done.stderr, "neither libraries nor this one have anything to say"
