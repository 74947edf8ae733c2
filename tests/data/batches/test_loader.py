"""The loader: the same batches whatever ranks and workers, broken samples counted, stuck and dead workers named."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ernie_vil2.config.augmentation import AugmentationConfig
from ernie_vil2.config.model import PixelProfile
from ernie_vil2.data.batches.loader import Loader
from ernie_vil2.data.batches.order import Order
from ernie_vil2.data.batches.views import ViewMaker
from ernie_vil2.data.sources.base import RowError, Sample, Source
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.errors import DataError
from ernie_vil2.studies.speed.loader_memory import memory_of
from tests.conftest import ROOT

TEXTS = ("一只猫", "猫", "红 的 大 圆 方 形 在 左 上", "a cat and the dog")


class Noise(Source):
    """Rows of noise, some of them broken; `act` is called before a row is read."""

    name = "noise"

    def __init__(self, size, broken=(), act=None, side=32):
        self.size, self.broken, self.act, self.side = size, set(broken), act, side

    def __len__(self):
        return self.size

    def load(self, index):
        if self.act is not None:
            self.act(index)
        if index in self.broken:
            raise RowError(f"noise:{index + 1}", ("torn", "wet")[index % 2], "broken", "mend it")
        image = np.random.default_rng(index).integers(0, 256, (self.side, self.side, 3), dtype=np.uint8)
        return Sample(str(index), image, (TEXTS[index % 4], TEXTS[index % 3]), (), f"noise:{index + 1}")


def sleep_at_six(index):
    if index == 6:
        time.sleep(1000)


def die_at_six(index):
    if index == 6:
        os.kill(os.getpid(), signal.SIGKILL)


def leave_at_six(index):
    if index == 6:
        os._exit(7)


def fail_at_six(index):
    if index == 6:
        raise ZeroDivisionError("a bug")


@pytest.fixture
def maker(tiny_vocab):
    return ViewMaker(
        ("image", "image'", "caption"), Tokenizer(tiny_vocab, 16), PixelProfile(size=24), AugmentationConfig(), seed=5
    )


def load(source, maker, batch_size=4, steps=5, **options):
    return list(Loader(source, maker, Order(len(source), batch_size, 7), steps, **options))


def assert_same(one, two):
    np.testing.assert_array_equal(one.index, two.index)
    assert one.where == two.where
    for field in ("pixels", "tokens", "text_ids", "present"):
        assert getattr(one, field).keys() == getattr(two, field).keys()
        for view, values in getattr(one, field).items():
            np.testing.assert_array_equal(values, getattr(two, field)[view])
    np.testing.assert_array_equal(one.image_ids, two.image_ids)


@pytest.mark.parametrize("workers, shared_bytes", [(0, None), (1, None), (3, None), (2, 0), (2, 40_000)])
def test_workers_start_and_transport_change_nothing(maker, workers, shared_bytes):
    source = Noise(50, broken=(3, 4, 17))
    straight = load(source, maker, batch_size=10, steps=7, workers=0, max_bad=1)
    order = Order(50, 10, 7)
    loader = Loader(source, maker, order, 7, start=2, workers=workers, max_bad=1, shared_bytes=shared_bytes)
    other = list(loader)
    for (one, errors), (two, same) in zip(straight[2:], other, strict=True):
        assert_same(one, two)
        assert list(map(str, errors)) == list(map(str, same))
    assert ("pipes" in loader.note) == (shared_bytes == 0)


def test_a_source_that_holds_an_open_file_is_refused_where_processes_would_need_it(maker, tiny_vocab):
    source = Noise(20)
    with open(tiny_vocab) as source.file:
        assert len(load(source, maker, workers=0)) == 5
        with pytest.raises(DataError, match="TextIOWrapper.*; it must keep nothing .* or set data.workers: 0"):
            load(source, maker, workers=1)


@pytest.mark.parametrize("ranks, workers", [(1, 4), (2, 2), (3, 1), (4, 0), (4, 1)])
def test_ranks_make_the_parts_of_one_global_batch(maker, ranks, workers):
    source = Noise(61, broken=(8, 9, 30))
    order = Order([20, 1, 0, 33, 7], 12, 7, window=25)
    straight = list(Loader(source, maker, order, 6, workers=0, max_bad=1))
    share = 12 // ranks
    parts = [
        list(Loader(source, maker, order, 6, workers=workers, max_bad=1, part=slice(rank * share, (rank + 1) * share)))
        for rank in range(ranks)
    ]
    seen = []
    for step, (whole, bad) in enumerate(straight):
        mine = [part[step][0] for part in parts]
        assert [len(batch) for batch in mine] == [share] * ranks
        np.testing.assert_array_equal(np.concatenate([batch.index for batch in mine]), whole.index)
        for view in whole.pixels:
            np.testing.assert_array_equal(np.concatenate([batch.pixels[view] for batch in mine]), whole.pixels[view])
        assert sum((list(map(str, part[step][1])) for part in parts), []) == list(map(str, bad))
        seen += whole.index.tolist() if step < order.batches_per_epoch else []
    assert set(seen) <= set(range(61)) - {8, 9, 30}
    assert all(seen.count(index) == 1 for index in seen if index not in (10, 31))  # those stand for the broken ones


def test_a_batch_may_be_kept(maker):
    """Nothing that was handed out changes when its place in shared memory is used again; nor does a part of it."""
    straight = load(Noise(40), maker, steps=10, workers=0)
    kept = load(Noise(40), maker, steps=10, workers=1)
    parts = [batch.pixels["image"][1:, ::2] for batch, _ in load(Noise(40), maker, steps=10, workers=2)]
    for (one, _), (two, _), part in zip(straight, kept, parts, strict=True):
        assert_same(one, two)
        np.testing.assert_array_equal(one.pixels["image"][1:, ::2], part)


def test_a_batch_that_is_not_kept_is_never_copied(maker):
    loader, views = Loader(Noise(40), maker, Order(40, 4, 7), 30, workers=1), 0
    for batch, _ in loader:
        views += all(pixels.base is not None for pixels in batch.pixels.values())
    assert views == 30


def test_a_broken_sample_is_reported_and_replaced_by_the_next_good_row(maker):
    batches = load(Noise(8, broken=(2, 3)), maker, batch_size=8, steps=1)
    batch, bad = batches[0]
    assert len(batch) == 8 and sorted(batch.index.tolist()) == [0, 1, 4, 4, 4, 5, 6, 7]
    assert {(str(error), error.cause, error.where) for error in bad} == {
        ("noise:3: broken; mend it", "torn", "noise:3"),
        ("noise:4: broken; mend it", "wet", "noise:4"),
    }


@pytest.mark.parametrize("workers", [0, 2])
def test_too_many_broken_samples_stop_the_run_with_counts_by_cause(maker, workers):
    loader = Loader(Noise(40, broken=range(0, 40, 2)), maker, Order(40, 40, 7), 4, workers=workers)
    with pytest.raises(
        DataError,
        match=r"20 of 40 .* \(20 torn\), more than data.max_bad 0.01; the last ones are "
        r"noise:\d+, .*mend it; .*ernie-vil2 data check",
    ):
        list(loader)
    assert loader.counts.causes == {"torn": 20}
    with pytest.raises(DataError, match="not one of its 5 samples"):
        load(Noise(5, broken=range(5)), maker, batch_size=5, steps=1, workers=workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_few_broken_rows_never_stop_a_run_and_count_once_however_often_they_are_drawn(maker, workers):
    loader = Loader(Noise(12, broken=range(6)), maker, Order(12, 12, 7), 5, workers=workers)
    told = [error.where for _, bad in loader for error in bad]
    assert sorted(told) == [f"noise:{row}" for row in range(1, 7)] and loader.counts.causes == {"torn": 3, "wet": 3}
    assert str(loader.counts) == "6 of 12 rows are bad and were replaced 30 times"


# Workers that do not do as they should


@pytest.mark.parametrize(
    "act, words",
    [
        (
            sleep_at_six,
            r"loader worker [01] \(pid \d+\) has been on sample noise:7 for over \d+ s; .*data.timeout \(2 s\)",
        ),
        (die_at_six, r"loader worker [01] \(pid \d+\) was killed by SIGKILL on sample noise:7 .*workers=0"),
        (leave_at_six, r"loader worker [01] \(pid \d+\) ended with exit code 7 on sample noise:7 .*workers=0"),
    ],
)
def test_a_stuck_or_dead_worker_is_named_with_its_sample(maker, act, words):
    began = time.monotonic()
    with pytest.raises(DataError, match=words):
        load(Noise(8, act=act), maker, batch_size=8, steps=3, workers=2, timeout=2)
    assert time.monotonic() - began < 60
    assert not [child for child in multiprocessing.active_children() if "loader" in child.name]


def test_a_slow_trainer_is_no_stuck_worker(maker):
    batches = iter(Loader(Noise(8), maker, Order(8, 4, 7), 6, workers=2, timeout=2))
    next(batches)
    time.sleep(3)
    assert len(list(batches)) == 5


def test_a_bug_comes_with_its_traceback(maker):
    with pytest.raises(RuntimeError, match=r"(?s)loader worker 0 failed.*fail_at_six.*ZeroDivisionError: a bug"):
        load(Noise(8, act=fail_at_six), maker, batch_size=8, steps=1, workers=1)


def test_workers_outlive_the_signals_of_a_process_group_and_end_when_closed(maker):
    loader = Loader(Noise(40), maker, Order(40, 4, 7), 40, workers=2)
    batches = iter(loader)
    next(batches)
    pids = loader.pids
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
    for _ in range(20):
        next(batches)
    began = time.monotonic()
    loader.close()
    assert time.monotonic() - began < 10 and not any(map(alive, pids))
    with pytest.raises(DataError, match="closed"):
        for _ in range(20):
            next(batches)


def test_work_given_to_a_closed_crew_is_answered_by_a_sentence(maker):
    loader = Loader(Noise(40), maker, Order(40, 4, 7), 40, workers=2)
    batches = iter(loader)
    next(batches)
    crew = loader._crew
    loader.close()
    for worker in crew.workers:
        worker.tickets.clear()  # as when each has just answered: the work would be sent at once
    crew.submit((0, 0), 0, 0, 0, [0])
    with pytest.raises(DataError, match="closed"):
        while True:
            crew.take()


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


SCRIPT = """
import sys, time
from ernie_vil2.config.model import PixelProfile
from ernie_vil2.data.batches.loader import Loader, Order
from ernie_vil2.data.sources.scenes.source import SceneSource
from ernie_vil2.data.batches.views import ViewMaker

if __name__ == "__main__":
    loader = Loader(SceneSource(size=200), ViewMaker(("image",), None, PixelProfile()), Order(200, 50, 0), 10**6,
                    workers=2)
    batches = iter(loader)
    next(batches)
    print(*loader.pids, flush=True)
    if sys.argv[1] == "leave":
        sys.exit(3)
    for _ in batches:
        time.sleep(0.01)
"""


@pytest.mark.parametrize(
    "how, status", [("leave", 3), (signal.SIGKILL, -9), (signal.SIGTERM, -15), (signal.SIGINT, -2)]
)
def test_nothing_is_left_of_a_run_however_it_ends(tmp_path, how, status):
    """No process, no file in /dev/shm; Ctrl-C reaches the whole group and gives one traceback, of the parent."""
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.Popen(
        [sys.executable, script, str(how)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        pids = list(map(int, run.stdout.readline().split()))
        if how == signal.SIGINT:
            os.killpg(run.pid, how)
        elif how != "leave":
            os.kill(pids[0], signal.SIGSTOP)  # a worker that hangs cannot notice by itself
            run.send_signal(how)
        _, errors = run.communicate(timeout=60)
    finally:
        run.kill()
        run.wait()
    assert run.returncode == status and len(pids) == 2, errors
    assert errors.count("Traceback") == (how == signal.SIGINT) and "loader worker" not in errors
    for _ in range(100):
        if not any(map(alive, pids)):
            break
        time.sleep(0.1)
    assert not any(map(alive, pids))
    named = ["find", "/dev/shm", "-size", f"{4 * 50 * 224 * 224 * 3}c"]
    assert subprocess.run(named, capture_output=True, timeout=60).stdout == b""


def test_a_script_without_a_main_guard_is_told_so(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT.replace('if __name__ == "__main__":', "if True:"))
    done = subprocess.run(
        [sys.executable, script, "leave"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1 and "ended with exit code 1 starting" in done.stderr and "__main__" in done.stderr


def test_memory_stays_flat(tiny_vocab):
    maker = ViewMaker(("image",), Tokenizer(tiny_vocab, 16), PixelProfile(size=64), AugmentationConfig())
    loader = Loader(Noise(100_000, side=80), maker, Order(100_000, 100, 7), 60, workers=2)
    figures = []
    for step, _ in enumerate(loader):
        if step in (19, 59):
            figures.append(sum(memory_of(pid) for pid in (os.getpid(), *loader.pids)))
    assert figures[1] - figures[0] < 8 * 2**20


def test_workers_never_import_paddle(maker):
    loader = Loader(Noise(40), maker, Order(40, 4, 7), 40, workers=2)
    batches = iter(loader)
    next(batches)
    assert not any("paddle" in Path(f"/proc/{pid}/maps").read_text() for pid in loader.pids)
    batches.close()
    assert loader.pids == []
