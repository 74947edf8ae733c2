"""Who is missing, since when, when that is told, and that a rank which waits or blocks comes to an end."""

import math
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2 import waiting
from ernie_vil2.training.ranks import watch as watch_module
from ernie_vil2.training.ranks.watch import LAST, Absence, LostRank, Watch, missing_ranks, named


def test_ranks_in_words():
    assert named([3]) == "rank 3" and named([0, 2]) == "ranks 0 and 2"
    assert named(list(range(1, 64))) == "ranks 1, 2, 3, 4, 5, 6, 7, 8 and 55 more"


@pytest.mark.parametrize(
    "table, silent, busy",
    [
        (None, [0], []),
        ({0: (5, 0.1), 1: (5, 0.2), 2: (5, 3.0)}, [], []),
        ({0: (5, 0.1), 1: (5, 0.2)}, [2], []),
        ({0: (4, 0.1), 1: (5, 0.2), 2: (6, 0.1)}, [], [0]),
        ({0: (5, 99.0), 1: (5, 0.2), 2: (6, 99.0)}, [0], []),
        ({0: (4, 99.0), 1: (5, 99.0), 2: (LAST, 99.0)}, [0], []),
    ],
)
def test_ranks_are_missing_that_are_behind_or_silent(table, silent, busy):
    assert missing_ranks(table, 1, 3, 5)[:2] == (silent, busy)


@given(st.floats(0, 5000), st.floats(1, 3600))
def test_waiting_is_told_after_ten_seconds_then_ever_more_rarely_and_ends(patience, step):
    patience = float(round(patience))
    absence, now, told = Absence(patience), 1000.0, []
    while now < 1000.0 + 20000.0:
        absence.note([], [1], now, 1000.0)
        if sentence := absence.told(now):
            told.append(now - 1000.0)
            assert sentence.startswith("waiting for rank 1 (at work elsewhere) since ") and len(sentence) < 200
            assert ("for as long as it takes" in sentence) == (patience == 0)
        assert absence.over(now) == (patience > 0 and now - 1000.0 >= patience)
        now += step
    assert 10 <= told[0] <= 10 + step
    gaps = [later - earlier for earlier, later in zip(told, told[1:], strict=False)]
    assert len(told) <= 40 and all(gap <= 2 * max(600.0, step) + step for gap in gaps)


def test_who_comes_back_is_forgotten():
    absence = Absence(20)
    absence.note([1], [], 100.0, 100.0)
    assert absence.told(111.0)
    absence.note([], [], 112.0, math.inf)
    assert absence.told(500.0) is None and not absence.over(500.0)
    absence.note([2], [], 500.0, 495.0)
    assert absence.told(504.0) is None and "rank 2" in absence.told(505.0) and absence.over(515.0)


class Table:
    """A roll whose other rank is where `place` says, or with this one."""

    def __init__(self, place=None):
        self.place, self.told = place, 0

    def tell(self, place):
        self.told = place
        return {0: (place, 0.0), 1: (place if self.place is None else self.place, 0.0)}


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(waiting, "FIRST", 0.1)
    for name, value in {"TICK": 0.02, "GRACE": 0.3}.items():
        monkeypatch.setattr(watch_module, name, value)


@pytest.fixture
def exits(monkeypatch):
    """Exit codes that the watch ended the process with; it did not."""
    found = []
    monkeypatch.setattr(watch_module.os, "_exit", found.append)
    return found


def wait_for(condition):
    last = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < last
        time.sleep(0.01)


def test_a_wait_hears_that_the_patience_is_over(quick, exits, caplog):
    watch = Watch(0, 2, Table(0), 0.3)
    with pytest.raises(LostRank, match=r"rank 1 \(at work elsewhere\) has not come since .*--resume auto"):
        with watch.together():
            wait_for(lambda: watch.check())
    assert any("waiting for rank 1" in message for message in caplog.messages)
    time.sleep(2 * watch_module.GRACE)
    assert exits == []
    with pytest.raises(LostRank), watch.together():
        watch.check()
    watch.close()


def test_a_collective_that_blocks_is_ended_with_its_process(quick, exits, capsys):
    watch = Watch(0, 2, Table(0), 0.2)
    with watch.together():
        wait_for(lambda: exits)
    assert exits == [1] and capsys.readouterr().err.startswith("error: rank 1 (at work elsewhere) has not come since")


@pytest.mark.parametrize("blocking, ends", [(False, []), (True, [1])])
def test_only_where_collectives_may_hang_is_one_with_all_ranks_in_it_ended(quick, exits, blocking, ends):
    watch = Watch(0, 2, Table(), 0.2, blocking)
    with watch.together():
        time.sleep(1.0)
    watch.close()
    assert exits == ends


def test_work_of_its_own_and_ranks_that_keep_up_are_not_waited_for(quick, exits, caplog):
    watch = Watch(0, 2, Table(0), 0.2)
    time.sleep(0.4)
    with watch.together():
        with watch.alone():
            time.sleep(0.4)
    watch.roll.place = None
    with watch.together():
        time.sleep(0.4)
        with watch.together():
            time.sleep(0.1)
    assert caplog.messages == [] and exits == [] and watch.fault is None
    watch.close()
    assert watch.roll.told == LAST and not watch.thread.is_alive()


def test_places_rise_alike_on_ranks_that_do_the_same(quick):
    """However they are nested, and whatever is raised: ranks are compared by them."""
    watches = [Watch(rank, 2, Table(), 0) for rank in (0, 1)]
    for watch in watches:
        with watch.together(), watch.together():
            pass
        with pytest.raises(ValueError), watch.together():
            with watch.alone():
                raise ValueError
        assert watch.section is None
    assert watches[0].place == watches[1].place > 1
    assert sum(thread.name == "watch over ranks" for thread in threading.enumerate()) == 2
    for watch in watches:
        watch.close()
