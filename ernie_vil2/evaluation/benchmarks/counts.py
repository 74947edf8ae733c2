"""Counts that a benchmark is known to have, against those that are found."""

from collections.abc import Mapping, Sequence

from ...errors import DataError

INCOMPARABLE = ": not comparable with published figures"
NOT_ALL = ", so figures cannot be compared with published ones"


def check_counts(
    name: str,
    place: object,
    found: Mapping[str, int],
    wanted: Mapping[str, int | range],
    allow: bool,
    notes: Sequence[str] = (),
) -> tuple[str, ...]:
    """Notes on counts that differ, if `allow`; else DataError with the found and the wanted ones, and earlier `notes`.

    found: {what: number} of the benchmark `name` in the folder `place`. wanted: {what: number, or a range of numbers
    where only the order of magnitude is known}.
    """
    wrong = {
        what: number
        for what, number in wanted.items()
        if found[what] not in (number if isinstance(number, range) else (number,))
    }
    if not wrong:
        return ()
    here = " and ".join(f"{found[what]:,} {what}" for what in wrong)
    there = " and ".join(f"{shown(number)} {what}" for what, number in wrong.items())
    known = f" ({'; '.join(notes)})" if notes else ""
    refusal = f"{name}: {place} gives {here}, but {there} belong to it{known}"
    return settled(refusal, f"{here} instead of {there}{INCOMPARABLE}", allow)


def check_count(what: str, found: int, published: int | None, allow: bool) -> tuple[str, ...]:
    """A note on a count that differs from the published one, if `allow`; else DataError.

    what: the place and the thing that is counted. published: None where no number is.
    """
    if published is None or found == published:
        return ()
    text = f"{what}: {found:,} instead of the published {shown(published)}"
    return settled(text, f"{text}{NOT_ALL}", allow)


def settled(refusal: str, note: str, allow: bool) -> tuple[str, ...]:
    """The note where another count is allowed, else the DataError."""
    if not allow:
        raise DataError(f"{refusal}; complete the files, or add --allow-counts to measure on what is there")
    return (note,)


def is_part(notes: Sequence[str]) -> bool:
    """Whether the notes of a result say that it was not measured on the whole benchmark."""
    return any(note.endswith((INCOMPARABLE, NOT_ALL)) for note in notes)


def shown(number: int | range) -> str:
    """A count for a reader."""
    return f"{number.start:,} to {number.stop - 1:,}" if isinstance(number, range) else f"{number:,}"


def some(items: Sequence, limit: int = 3) -> str:
    """The first items, and how many more there are."""
    rest = len(items) - limit
    return ", ".join(map(str, items[:limit])) + (f" and {rest:,} more" if rest > 0 else "")
