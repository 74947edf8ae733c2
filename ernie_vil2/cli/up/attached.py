"""A verb in a process of low priority that never outlives the one that started it:

python -m ernie_vil2.cli.up.attached PARENT VERB [arguments]
"""

import ctypes
import os
import signal
import sys

from ...errors import run_tool
from ...stop import INTERRUPTED, Stopped
from ..main import dispatch

LEAST = 19
"""What makes a process the last one to be served"""
PARENT_DEATH_SIGNAL = 1
"""Of prctl in <linux/prctl.h>"""


def attach(parent: int) -> bool:
    """Have this process end politely when the process `parent` does, however that ends; False where it has already."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)
    return os.getppid() == parent


def run(argv: list[str] | None) -> int | None:
    """Run a verb; whoever ended it, and knows why, tells of it."""
    try:
        return dispatch(argv)
    except KeyboardInterrupt as stop:
        return stop.status if isinstance(stop, Stopped) else INTERRUPTED


def main() -> None:
    """Run the verb that the arguments name."""
    parent, *rest = sys.argv[1:]
    sys.argv[1:] = rest
    if attach(int(parent)):
        os.nice(LEAST)
        run_tool(run, rest)


if __name__ == "__main__":
    main()
