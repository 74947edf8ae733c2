"""Pictures that are taken out of an index: once, and again where a command was killed after it had done so."""

import pytest

from ernie_vil2.errors import DataError
from ernie_vil2.search.scan.removal import take_out
from ernie_vil2.search.store.writer import open_writer


def removed(indexed, root=None, patterns=(), ids=()):
    """How many are taken out by a command of its own."""
    with open_writer(indexed.place) as writer:
        return take_out(writer, root, patterns, ids)


def test_what_is_taken_out_stays_out(indexed, photos):
    indexed.scan(photos)
    assert removed(indexed, patterns=["a/*"]) == 6
    assert indexed.scan(photos).counts["new"] == 0 and len(indexed.rows()) == 6


def test_the_same_removal_again_takes_nothing_out(indexed, photos):
    indexed.scan(photos)
    number = indexed.ids()["b/002.png"]
    for gone in (1, 0):
        assert removed(indexed, ids=[number]) == gone
        assert removed(indexed, patterns=["a/*", "b/000.png"]) == 7 * gone
        assert removed(indexed, 0, patterns=["b/004.png"]) == gone
    assert sorted(indexed.rows()) == ["b/006.png", "b/008.png", "b/010.png"]


def test_what_never_was_there_is_told(indexed, photos):
    indexed.scan(photos)
    removed(indexed, patterns=["a/*"])
    for patterns, ids in ((["a/*", "c/*"], []), ([], [99]), (["a/*"], [12])):
        with pytest.raises(DataError, match="no picture"):
            removed(indexed, patterns=patterns, ids=ids)
    assert len(indexed.rows()) == 6
