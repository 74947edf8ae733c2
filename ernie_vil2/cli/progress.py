"""How far a verb is, for a person who watches: all but `tell` is silent where standard error is no terminal."""

import contextlib
import sys
from collections.abc import Callable, Iterable

from ..messages import plain


def watched() -> bool:
    """Whether a person may be watching."""
    return sys.stderr.isatty()


def tell(line: str) -> None:
    """A line beside the results, whoever reads it; where it cannot be written, on a full disk, the work goes on."""
    with contextlib.suppress(OSError):
        print(plain(line), file=sys.stderr)


def note(line: str) -> None:
    """Tell what is done now."""
    if watched():
        print(line, file=sys.stderr)


def rewrite(line: str, last: bool) -> None:
    """Put a line in the place of the one before; the `last` one stays."""
    if watched():
        sys.stderr.write(f"\r\x1b[K{line}" + "\n" * last)
        sys.stderr.flush()


def encoded(what: str) -> Callable[[int, int], None]:
    """Function (done, all) that keeps one line on how many of something are encoded up to date."""
    return lambda done, total: rewrite(f"encoded {done:,} of {total:,} {what}", done == total)


def row_bar(total: int | None = None) -> Callable[[Iterable], Iterable]:
    """Function that wraps an iterator of rows in a progress bar. total: number of rows, where the iterator hides it."""
    from tqdm import tqdm

    return lambda rows: tqdm(rows, total=total, unit="row", leave=False, disable=not watched())
