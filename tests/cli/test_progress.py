"""How far a verb is: one line on a terminal, nothing elsewhere."""

import errno
import io
import os
import sys

import pytest

from ernie_vil2.cli import download, encode, progress


class Terminal(io.StringIO):
    def __init__(self, watched):
        super().__init__()
        self.watched = watched

    def isatty(self):
        return self.watched

    def lines(self):
        """What stands on the screen in the end: a line that is rewritten shows its last words."""
        return [line.rpartition("\r")[2].removeprefix("\x1b[K") for line in self.getvalue().split("\n")]


@pytest.fixture
def terminal(monkeypatch):
    """Function (watched) -> what standard error became."""

    def build(watched):
        monkeypatch.setattr(sys, "stderr", Terminal(watched))
        return sys.stderr

    return build


def everything():
    progress.note("first")
    for done in (1, 2):
        progress.rewrite(f"{done} of 2", done == 2)
    list(progress.row_bar(3)(range(3)))
    count = encode.row_counter()
    for done in (0, 5, 10):
        count(done, 10, 1)
    for done in (3, 6):
        progress.encoded("images and texts")(done, 6)


def test_a_line_is_rewritten_until_the_last_and_then_stays(terminal):
    screen = terminal(True)
    everything()
    first, second, *rest = screen.lines()
    assert (first, second) == ("first", "2 of 2")
    encoded, evaluated, end = rest[-3:]
    assert encoded.endswith("min left") and "] 10 of 10 rows, 1 bad, " in encoded and "#" * 30 in encoded
    assert (evaluated, end) == ("encoded 6 of 6 images and texts", "")


def test_nothing_is_written_where_nobody_watches(terminal):
    screen = terminal(False)
    everything()
    assert screen.getvalue() == "" and download.byte_counter() is None


def test_a_download_of_unknown_length_is_counted_as_well(terminal):
    screen = terminal(True)
    show = download.byte_counter()
    show(2_500_000, None)
    assert screen.lines() == ["2.5 MB"]
    show(5_000_000, 5_000_000)
    assert screen.lines() == ["5.0 of 5.0 MB, 100 %", ""]


def test_rows_pass_through_the_bar(terminal):
    terminal(True)
    assert list(progress.row_bar(2)(iter("ab"))) == ["a", "b"] and list(progress.row_bar()("cd")) == ["c", "d"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPIPE])
def test_a_line_that_cannot_be_written_ends_nothing(terminal, monkeypatch, number):
    def full(text):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(terminal(False), "write", full)
    progress.tell("first")
