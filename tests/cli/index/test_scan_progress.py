"""The remaining time of a scan, by a clock that a test turns: right though files differ in size, and told honestly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.cli.index.remaining import Remaining, told
from ernie_vil2.cli.index.scan_progress import EVERY, ScanProgress
from ernie_vil2.search.scan.folder.folder_scan import CHUNK_BYTES, CHUNK_FILES


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def sizes_of(order, count=20_000, seed=0):
    """Bytes of files as a photo library has them: most are small, some a thousand times as large."""
    sizes = np.random.default_rng(seed).lognormal(12.5, 1.5, count)
    return {"mixed": sizes, "small first": np.sort(sizes), "large first": np.sort(sizes)[::-1]}[order]


def chunks(sizes):
    """(first, stop) of files that are read together, as a scan does it."""
    first = 0
    while first < len(sizes):
        whole = np.searchsorted(np.cumsum(sizes[first : first + CHUNK_FILES]), CHUNK_BYTES, "right")
        yield first, first + max(1, whole)
        first += max(1, whole)


@pytest.mark.parametrize("order", ["mixed", "small first", "large first"])
@pytest.mark.parametrize("costs", [(0.02, 1e-8), (0.0, 4e-8), (0.03, 0.0)])
def test_the_remaining_time_is_right_after_a_minute(order, costs):
    clock, sizes = Clock(), sizes_of(order)
    rng = np.random.default_rng(1)
    noise = rng.uniform(0.9, 1.1, len(sizes))
    times = (costs[0] + costs[1] * sizes) * noise
    remaining, began, wrong = Remaining(len(sizes), sizes.sum(), clock), clock.now, []
    for first, stop in chunks(sizes):
        clock.now += times[first:stop].sum()
        remaining.step(stop - first, sizes[first:stop].sum())
        left = times[stop:].sum()
        if clock.now - began >= 60 and left > 30:
            wrong.append(abs(remaining.seconds() / left - 1))
    assert len(wrong) > 20 and max(wrong) < 0.2


def test_counting_files_alone_would_be_wrong():
    sizes = sizes_of("small first")
    times = 4e-8 * sizes
    done = np.searchsorted(np.cumsum(times), 60)
    by_files = 60 / done * (len(sizes) - done)
    assert abs(by_files / (times.sum() - 60) - 1) > 0.2


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 10**9), st.floats(0, 100)), min_size=1, max_size=20))
def test_what_is_left_is_never_below_zero(steps):
    clock = Clock()
    remaining = Remaining(sum(step[0] for step in steps), sum(step[1] for step in steps), clock)
    for files, size, seconds in steps:
        clock.now += seconds
        remaining.step(files, size)
        assert remaining.seconds() >= 0 and remaining.rate() >= 0
    assert not np.isnan(remaining.seconds())


def test_the_rate_is_that_of_the_last_minute():
    clock = Clock()
    remaining = Remaining(100_000, 0, clock)
    for rate in [100] * 300 + [10] * 120:
        clock.now += 1
        remaining.step(rate, 0)
    assert remaining.rate() == pytest.approx(10, rel=0.05)


def test_loading_the_model_is_no_part_of_the_rate():
    clock = Clock()
    remaining = Remaining(1000, 0, clock)
    clock.now += 30
    remaining.waited(30)
    clock.now += 1
    remaining.step(50, 0)
    assert remaining.rate() == pytest.approx(50) and remaining.seconds() == pytest.approx(19, rel=0.01)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "0 s"), (42, "42 s"), (200, "3 min"), (7000, "117 min"), (7800, "2 h 10 min")]
)
def test_times_are_told_as_people_do(seconds, said):
    assert told(seconds) == said


def test_a_line_now_and_then_where_nobody_watches(capsys):
    clock = Clock()
    progress = ScanProgress(clock, lambda: False)
    progress.begin(10_000, 10**9)
    for _ in range(100):
        clock.now += EVERY / 4
        progress.step(100, 10**7, 3)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "10,000 to read, 1,000.0 MB"
    assert lines[1] == f"about {400 / EVERY:,.1f} a second, so about {told(99 * EVERY / 4)} for the rest"
    assert len(lines) == 2 + 25 and lines[2].startswith("400 of 10,000, 3 bad, ")


def test_nothing_is_expected_from_one_short_step(capsys):
    clock = Clock()
    progress = ScanProgress(clock, lambda: False)
    progress.begin(600, 100_000)
    for files, size, seconds in ((2, 10, 0.3), (60, 10_000, 2), (0, 0, 30)):
        progress.waited(0 if files else seconds)
        clock.now += seconds
        progress.step(files, size, 2)
    assert len(capsys.readouterr().err.splitlines()) == 1
    clock.now += 4
    progress.step(100, 20_000, 2)
    assert capsys.readouterr().err.startswith("about ")


def test_a_bar_where_a_terminal_is_watched(capsys, monkeypatch):
    monkeypatch.setattr("ernie_vil2.cli.progress.watched", lambda: True)
    clock = Clock()
    progress = ScanProgress(clock, lambda: True)
    progress.begin(100, 0)
    clock.now += 5
    progress.step(50, 0, 1)
    assert "[###############               ] 50 of 100, 1 bad, 10.0 a second, 5 s left" in capsys.readouterr().err
