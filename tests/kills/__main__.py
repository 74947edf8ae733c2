"""Kill the product at random moments and see that nothing is wrong afterwards: `make kill-test N=40 SEED=1`.

Trial I of a seed is always the same job, ended in the same ways at the same shares of its life: TRIAL=I repeats it.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ernie_vil2.stop import INTERRUPTED
from tests.kills.index_jobs import INDEXED, prepare_indexes
from tests.kills.inputs import prepare
from tests.kills.job import Job
from tests.kills.jobs import JOBS
from tests.kills.trial import Straight, Verdict, draw, run_straight, run_trial


def campaign(
    work: Path, kills: int, seed: int, minutes: float, trial: int | None = None, jobs: tuple[Job, ...] = JOBS
) -> Iterator[Verdict]:
    """Trials from 0 on until there were so many kills, or minutes are over; or one trial alone."""
    inputs, straight, done = work / "inputs", {}, 0
    prepare(inputs)
    last, number = time.monotonic() + 60 * minutes, trial or 0
    while done < kills and time.monotonic() < last:
        job, moments = draw(seed, number, jobs)
        if job.forked and not (inputs / INDEXED).exists():
            prepare_indexes(inputs)
        if job.name not in straight:
            straight[job.name] = run_straight(job, inputs, work / "straight" / job.name.replace(" ", "-"))
            say_straight(job.name, straight[job.name])
        folder = work / f"trial-{number}"
        verdict = run_trial(number, job, moments, inputs, straight[job.name], folder)
        print(f"trial {number}, {job.name}: {verdict.plan}: {'WRONG' if verdict.faults else 'right'}", flush=True)
        for _, fault in verdict.faults:
            print(f"    {fault}", flush=True)
        if not verdict.faults:
            shutil.rmtree(folder)
        yield verdict
        if trial is not None:
            return
        done, number = done + len(verdict.kills), number + 1


def say_straight(name: str, straight: Straight) -> None:
    print(f"{name}: {straight.seconds:.1f} s without a kill, {straight.changes} changes of its files", flush=True)


def table(verdicts: list[Verdict]) -> str:
    """Job by kind of kill: kills, and how many faults were found behind it; then the totals."""
    kills = Counter((verdict.job, kind) for verdict in verdicts for kind in verdict.kills)
    wrong = Counter((verdict.job, kind) for verdict in verdicts for kind in {kind for kind, _ in verdict.faults})
    rows = [("job", "kind of kill", "kills", "wrong")]
    for job in JOBS:
        for kind in sorted(kind for name, kind in {*kills, *wrong} if name == job.name):
            rows.append((job.name, kind, str(kills[job.name, kind]), str(wrong[job.name, kind])))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def summary(verdicts: list[Verdict], seed: int, word: str = "") -> str:
    """The totals in a sentence, and how each wrong trial is repeated."""
    bad = [verdict for verdict in verdicts if verdict.faults]
    total = sum(len(verdict.kills) for verdict in verdicts)
    repeats, chosen = sum(verdict.repeats for verdict in verdicts), f" JOB='{word}'" * bool(word)
    lines = [f"{total} kills in {len(verdicts)} trials, {repeats} repeated commands, {len(bad)} wrong trials"]
    lines += [
        f"repeat with: make kill-test SEED={seed} TRIAL={verdict.number}{chosen}    ({verdict.job})" for verdict in bad
    ]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run the trials, print the table; 1 when anything was wrong, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="make kill-test", description=__doc__)
    parser.add_argument("--kills", type=int, default=40, metavar="N", help="stop after so many (default 40)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many, if that is earlier")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trial", type=int, help="this one alone")
    parser.add_argument("--job", default="", metavar="WORD", help="only jobs with this in their name, as `index`")
    options = parser.parse_args(argv)
    jobs = tuple(job for job in JOBS if options.job in job.name)
    if not jobs:
        parser.error(f"no job has {options.job!r} in its name; there are {', '.join(job.name for job in JOBS)}")
    work = Path(tempfile.mkdtemp(prefix="kill-test-"))
    began, verdicts, status = time.monotonic(), [], 0
    try:
        verdicts.extend(campaign(work, options.kills, options.seed, options.minutes, options.trial, jobs))
    except KeyboardInterrupt:
        print("stopped by Ctrl-C; what was done until now:")
        status = INTERRUPTED
    minutes = (time.monotonic() - began) / 60
    print(f"\n{table(verdicts)}\n\n{summary(verdicts, options.seed, options.job)}, in {minutes:.1f} minutes")
    if any(verdict.faults for verdict in verdicts):
        print(f"what wrong trials left lies in {work}")
        return 1
    shutil.rmtree(work)
    return status


if __name__ == "__main__":
    sys.exit(main())
