"""Waits for a batch: told with the worker and its sample, and never without end, wherever a worker stops."""

import gc
import os
import re
import signal
import time
from multiprocessing.connection import Connection

import pytest

from ernie_vil2 import waiting
from ernie_vil2.config.augmentation import AugmentationConfig
from ernie_vil2.config.model import PixelProfile
from ernie_vil2.data.batches.loader import Loader
from ernie_vil2.data.batches.order import Order
from ernie_vil2.data.batches.views import ViewMaker
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.errors import DataError
from tests.data.batches.test_loader import Noise


@pytest.fixture
def maker(tiny_vocab):
    return ViewMaker(("image", "caption"), Tokenizer(tiny_vocab, 16), PixelProfile(size=32), AugmentationConfig())


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(waiting, "FIRST", 0.5)


def slow_at_six(index):
    if index == 6:
        time.sleep(1.5)


def half_an_answer_at_six(index):
    """What a process leaves in a pipe that is stopped while it writes."""
    if index == 6:
        for pipe in gc.get_objects():
            if isinstance(pipe, Connection) and not pipe.closed:
                os.write(pipe.fileno(), b"\0\0\1\0half")
        os.kill(os.getpid(), signal.SIGSTOP)


@pytest.mark.parametrize("shared_bytes", [None, 0])
def test_a_stopped_worker_is_told_of_and_ended(maker, soon, caplog, shared_bytes):
    loader = Loader(Noise(40), maker, Order(40, 4, 7), 40, workers=1, timeout=3, shared_bytes=shared_bytes)
    batches = iter(loader)
    next(batches)
    (pid,) = loader.pids
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(DataError, match=rf"loader worker 0 \(pid {pid}\) has been .* for over \d+ s; .*data.timeout"):
        for _ in range(30):
            next(batches)
    first, *later = caplog.messages
    assert re.match(rf"noise: waiting for a batch for 1 s; loader worker 0 \(pid {pid}\) has been ", first), first
    assert len(later) <= 2 and loader.pids == []


def test_a_worker_that_is_stopped_within_its_answer_is_told_of_and_ended(maker, soon, caplog):
    began = time.monotonic()
    with pytest.raises(DataError, match=r"loader worker \d \(pid \d+\) has stopped within an answer for over 2 s"):
        list(Loader(Noise(8, act=half_an_answer_at_six), maker, Order(8, 8, 7), 3, workers=2, timeout=2))
    assert time.monotonic() - began < 60 and "waiting for a batch" in caplog.text


@pytest.mark.parametrize("workers", [0, 1])
def test_a_slow_sample_is_told_of_and_the_run_goes_on(maker, soon, caplog, workers):
    assert len(list(Loader(Noise(8, act=slow_at_six), maker, Order(8, 4, 7), 4, workers=workers))) == 4
    told = [message for message in caplog.messages if "has been starting" not in message]
    assert told and len(told) <= 2, "less often where it happens again"
    assert all(re.match("noise: waiting for a batch for .*noise:7", message) for message in told)


def test_what_is_quick_is_not_told_of(maker, caplog):
    for workers in (0, 2):
        assert len(list(Loader(Noise(8), maker, Order(8, 4, 7), 4, workers=workers))) == 4
    assert caplog.messages == []


def test_reminders_come_after_ten_seconds_and_then_ever_more_rarely():
    reminder = waiting.Reminder()
    found = [second for second in range(5000) if reminder.due(second)]
    assert found == [10, 20, 40, 80, 160, 320, 640, 1240, 1840, 2440, 3040, 3640, 4240, 4840]
    assert not reminder.due(5) and reminder.due(9999) and not reminder.due(9999)
