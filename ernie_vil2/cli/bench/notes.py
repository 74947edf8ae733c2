"""What a benchmark says while it measures."""

import sys


def note(line: str) -> None:
    """Tell a person who watches how far it is."""
    if sys.stderr.isatty():
        print(line, file=sys.stderr)
