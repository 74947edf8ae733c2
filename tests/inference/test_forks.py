"""Processes forked from one that has computed: they compute too, to the same values, and leave cards alone."""

import subprocess
import sys

import pytest

from ernie_vil2 import threads
from ernie_vil2.errors import UserError
from tests.conftest import ROOT
from tests.training.runs import environment

FORKS = """
import multiprocessing, os, signal, sys, threading
from pathlib import Path

import ernie_vil2
from ernie_vil2.runtime import import_paddle

import_paddle()
import numpy as np

from ernie_vil2.inference.model import Model
from tests.training.rank_cases import EVERY_PAIR, ErnieVil2, GradientStep, setting

network, objective, batch = setting(Path(sys.argv[1]), EVERY_PAIR)
from ernie_vil2.data.tokenizer import Tokenizer

model = Model(network, Tokenizer(Path(sys.argv[1]) / "vocab.txt", 32))
TEXTS = [f"一只红色的圆 {number}" * (1 + number % 3) for number in range(60)]
IMAGES = [np.full((40, 40, 3), number, np.uint8) for number in range(20)]
found = {}


def encode(_=None):
    return model.encode_text(TEXTS), model.encode_image(IMAGES)


def in_thread():
    found.clear()
    thread = threading.Thread(target=lambda: found.update(made=encode()))
    thread.start()
    thread.join()
    return found["made"]


def train():
    values = GradientStep(ErnieVil2(network, objective), seed=1)(batch, 0)
    assert np.isfinite(values["loss"].item())


def close(made):
    return all(np.abs(one - two).max() < 1e-5 for one, two in zip(made, wanted, strict=True))


def forked(work):
    pid = os.fork()
    if not pid:
        signal.alarm(60)  # a child that waits for ever is ended
        os._exit(work())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def grandchild():
    return forked(lambda: 0 if close(encode()) else 1)


def trains():
    train()
    return 0


from ernie_vil2.threads import thread_count

assert forked(lambda: (encode(), 0 if thread_count() == 2 else 1)[1]) == 0, "with nothing computed it has all threads"
wanted = encode()
for name, work in {
    "encodes": lambda: 0 if close(encode()) else 1,
    "encodes in a thread": lambda: 0 if close(in_thread()) else 1,
    "encodes in a child of its own": grandchild,
    "trains": trains,
}.items():
    assert forked(work) == 0, name
    assert close(encode()) and thread_count() == 2, "the parent is as it was"
train()
for lanes in (1, 2):
    step = GradientStep(ErnieVil2(network, objective), side_by_side=True, lanes=lanes)
    step(batch, 0)
    assert forked(lambda: 0 if step(batch, 1) else 1) == 0, "a step that the parent made goes on without its threads"
    step(batch, 1)
    step.close()
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert all(map(close, pool.map_async(encode, range(4)).get(60)))
print("all good")
"""


def test_children_forked_after_their_parent_has_encoded_or_trained_compute_too(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS, str(tmp_path)],
        cwd=ROOT,
        env=environment(OMP_NUM_THREADS="2"),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stdout.strip().endswith("all good"), done.stdout[-1000:] + done.stderr[-2000:]


def test_a_card_is_refused_to_a_process_forked_after_its_parent_had_computed(monkeypatch):
    threads.refuse_fork("gpu:0")
    monkeypatch.setattr(threads, "_forked", True)
    with pytest.raises(UserError, match="forked after its parent had computed, so it cannot use gpu:0; .*spawn"):
        threads.refuse_fork("gpu:0")
