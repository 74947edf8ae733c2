"""Peak memory of scans of folders of so many files: `python -m tests.search.scan.scan_memory 20000 100000`."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import ROOT
from tests.search.scan.conftest import draw

# Not ru_maxrss, which a process inherits from the one that started it.
PEAK = """
import sys
from pathlib import Path
from tests.search.scan.conftest import Indexed
indexed = Indexed(Path(sys.argv[1]))
for again in range(2):
    report = indexed.scan(Path(sys.argv[1]) / "photos")
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
PICTURES, FOLDER = 20, 1000
"""Distinct pictures, and links to them in a folder"""


def write_pictures(place: Path, count: int, sides: tuple[int, int] = (12, 16)) -> None:
    """A folder of so many pictures, most of them links to a few."""
    for row in range(count):
        folder = place / f"{row // FOLDER:04d}"
        if row < PICTURES:
            draw(place / f"0000/{row:06d}.png", row, sides)
        else:
            folder.mkdir(exist_ok=True)
            os.link(place / f"0000/{row % PICTURES:06d}.png", folder / f"{row:06d}.png")


def peak(folder: Path, count: int, sides: tuple[int, int] = (12, 16)) -> float:
    """MiB that a process takes at most which scans a folder of so many files, and then once more."""
    write_pictures(folder / "photos", count, sides)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(folder)],
        cwd=ROOT,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return int(done.stdout.splitlines()[-1]) / 1024


def main() -> None:
    """Print the peak and the seconds at each count."""
    for count in map(int, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            found = peak(Path(folder), count)
            print(f"{count:,} files: {found:.1f} MiB, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
