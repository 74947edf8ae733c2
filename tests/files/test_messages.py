"""Numbers of things in messages."""

from ernie_vil2.messages import LEFT_OUT, counted


def test_one_is_counted_as_one():
    told = [counted(number, "row") for number in (0, 1, 2, 12345)]
    assert told == ["0 rows", "1 row", "2 rows", "12,345 rows"]
    assert [counted(number, *LEFT_OUT) for number in (1, 2)] == ["1 bad row was left out", "2 bad rows were left out"]
