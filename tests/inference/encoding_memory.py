"""Peak memory of `encode.py --only` over so many rows: `python -m tests.inference.encoding_memory 20000 100000`."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import ROOT
from tests.kills import inputs

# Not ru_maxrss, which a process inherits from the one that started it.
PEAK = """
import sys
from ernie_vil2.cli.encode import main
main(sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
PICTURES, FOLDER = 20, 1000
"""Distinct pictures, and links to them in a folder"""


def write_captions(place: Path, count: int) -> None:
    """A text file of so many captions of one to ten words."""
    words = inputs.VOCABULARY[8:30]
    with open(place, "w", encoding="utf-8") as file:
        for row in range(count):
            file.write("".join(words[(row * step) % len(words)] for step in range(1, row % 10 + 2)) + "\n")


def write_pictures(place: Path, count: int) -> None:
    """A folder of so many pictures, most of them links to a few."""
    import numpy as np
    from PIL import Image

    for row in range(count):
        folder = place / f"{row // FOLDER:04d}"
        if row % FOLDER == 0:
            folder.mkdir(parents=True)
        if row < PICTURES:
            pixels = np.random.default_rng(row).integers(0, 256, (24, 32, 3), np.uint8)
            Image.fromarray(pixels).save(place / f"0000/{row:06d}.png")
        else:
            os.link(place / f"0000/{row % PICTURES:06d}.png", folder / f"{row:06d}.png")


WRITERS = {"image": write_pictures, "text": write_captions}


def peak(model: Path, folder: Path, only: str, count: int, engine: str = "auto") -> float:
    """MiB that a process takes at most which encodes so many rows of one side."""
    place = folder / f"{only}{count}{'.txt' if only == 'text' else ''}"
    WRITERS[only](place, count)
    job = ["--model", model, "--input", place, "--output", folder / f"{only}{count}.out", "--only", only]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *map(str, job)],
        cwd=ROOT,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "ERNIE_VIL2_ENGINE": engine},
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return int(done.stdout.splitlines()[-1]) / 1024


def main() -> None:
    """Print the peak and the seconds of each side at each count."""
    with tempfile.TemporaryDirectory() as folder:
        inputs.prepare(Path(folder) / "inputs")
        for only in WRITERS:
            for count in map(int, sys.argv[1:]):
                began = time.monotonic()
                found = peak(Path(folder) / "inputs/model", Path(folder), only, count)
                print(f"--only {only}: {count:,} rows, {found:.1f} MiB, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
