"""Counts that a benchmark is known to have, against those that are found."""

from ...errors import DataError

INCOMPARABLE = ": not comparable with published figures"


def check(name, place, found, wanted, allow, notes=()):
    """Notes on counts that differ, if `allow`; else DataError with the found and the wanted ones, and earlier `notes`.

    found: {what: number}. wanted: {what: number, or a range of numbers where only the order of magnitude is known}.
    """
    wrong = {what: number for what, number in wanted.items() if found[what] not in of(number)}
    if not wrong:
        return ()
    here = " and ".join(f"{found[what]:,} {what}" for what in wrong)
    there = " and ".join(f"{shown(number)} {what}" for what, number in wrong.items())
    if allow:
        return (f"{here} instead of {there}{INCOMPARABLE}",)
    known = f" ({'; '.join(notes)})" if notes else ""
    raise DataError(
        f"{name}: {place} gives {here}, but {there} belong to it{known}; complete the files, or add "
        "--allow-counts to measure on what is there"
    )


def of(number):
    return number if isinstance(number, range) else (number,)


def shown(number):
    """A count for a reader."""
    return f"{number.start:,} to {number.stop - 1:,}" if isinstance(number, range) else f"{number:,}"


def some(items, limit=3):
    """The first items, and how many more there are."""
    rest = len(items) - limit
    return ", ".join(map(str, items[:limit])) + (f" and {rest:,} more" if rest > 0 else "")
