"""Beside a process that joins its ranks: `joining_guard.py PID FIRST PATIENCE`, until its standard input ends.

Paddle joins ranks in calls that hold the interpreter's lock, have no limit and answer no signal of Python's, so no
thread of that process could tell of the wait or end it. This file runs as a script and imports nothing of the package.
"""

import os
import select
import signal
import sys
import time

MOST_BETWEEN = 600.0


def main(pid: int, first: float, patience: float) -> None:
    """Tell of the wait of process `pid` after `first` seconds and then ever more rarely; kill it after `patience`
    seconds, 0 for never."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the process that waits, which ends this one
    began, following = time.monotonic(), first
    clock = time.strftime("%H:%M:%S")
    what = "all ranks were here, but Paddle has not joined them"
    while not select.select([sys.stdin], [], [], 0.1)[0]:
        waited = time.monotonic() - began
        if waited >= following:
            following += min(following, MOST_BETWEEN)
            limit = f"the limit, train.patience, is {patience:g} s" if patience else "for as long as it takes"
            print(
                f"{what} since {clock} ({waited:.0f} s): one of them is stopped, or lost its network; {limit}",
                file=sys.stderr,
                flush=True,
            )
        if patience and waited >= patience:
            print(
                f"error: {what} since {clock}, longer than train.patience ({patience:g} s): one of them is stopped, or "
                "lost its network; look at log/workerlog.*, and start again",
                file=sys.stderr,
                flush=True,
            )
            os.kill(pid, signal.SIGKILL)
            return


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
