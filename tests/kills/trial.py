"""One trial: a job is ended up to three times at drawn moments, repeated until it is done, and judged throughout."""

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.kills.job import INT, KILL, RANK, STATUS, TERM, TWICE, Job
from tests.kills.jobs import JOBS
from tests.kills.judge import leftovers
from tests.kills.victim import Victim

PATIENCE = 120.0
"""Seconds in which a job must have ended that was asked to."""
LONGEST = 600.0
"""Seconds that a job may take which nobody disturbs."""
AIMED = 0.65
"""Share of the moments that are aimed at a change of the files; the others may be any in the job's life."""
LESS = 0.6
"""What a job that goes on has about left to do."""
IGNORED = "Exception ignored in"
"""What Python prints of Ctrl-C while it finalizes an object"""
NEAR = 0.02
"""Seconds after such a change in which the signal comes."""


@dataclass
class Straight:
    """What an undisturbed job took and left."""

    folder: Path
    seconds: float
    changes: int


@dataclass
class Moment:
    """When and how a job is ended."""

    kind: str
    share: float
    """of the seconds, or of the changes, of the undisturbed job"""
    aimed: bool
    delay: float
    rank: int

    def __str__(self) -> str:
        return f"{self.kind} at {self.share:.3f} of its {'changes' if self.aimed else 'time'}"


@dataclass
class Verdict:
    """What a trial came to."""

    number: int
    job: str
    kills: list[str] = field(default_factory=list)
    """The kind of each that came before the end"""
    repeats: int = 0
    """Times the command was given again"""
    faults: list[tuple[str, str]] = field(default_factory=list)
    """(kind of the last kill, sentence)"""
    plan: str = ""


def draw(seed: int, number: int, jobs: tuple[Job, ...] = JOBS) -> tuple[Job, list[Moment]]:
    """The job of a trial and the moments at which it is ended; of (seed, number) alone."""
    rng, job = np.random.default_rng([seed, number]), jobs[number % len(jobs)]
    moments = []
    for again in range(int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))):
        kind = job.kinds[rng.integers(len(job.kinds))]
        share, aimed = float(rng.random()) * (LESS if again else 1.0), bool(rng.random() < AIMED)
        moments.append(Moment(kind, share, aimed, float(rng.random() * NEAR), int(rng.integers(2))))
    return job, moments


def run_straight(job: Job, inputs: Path, folder: Path) -> Straight:
    """Run a job undisturbed in a new folder, with what it is compared with; RuntimeError when that goes wrong."""
    victim = undisturbed(job, inputs, folder, job.straight)
    if job.straight:
        measured = folder.with_name(f"{folder.name}-measured")
        victim = undisturbed(job, inputs, measured, [])
        if faults := job.wrong(measured, folder):
            raise RuntimeError(f"{job.name} is wrong without a kill: {'; '.join(faults)}")
    return Straight(folder, victim.ended - victim.began, victim.changes)


def undisturbed(job: Job, inputs: Path, folder: Path, more: list[str]) -> Victim:
    """The job when it has ended by itself in a new folder."""
    folder.mkdir(parents=True)
    job.begin(inputs, folder)
    victim, ended = to_the_end([*job.command(inputs, folder), *more], folder, job.forked)
    if not ended:
        raise RuntimeError(f"{job.name} fails without a kill; its output:\n{victim.output[-3000:]}")
    return victim


def to_the_end(command: list[str], folder: Path, forked: bool = False) -> tuple[Victim, bool]:
    """A command that nobody disturbs, and whether it ended well."""
    victim = Victim(command, folder, forked)
    try:
        victim.wait_for_seconds(LONGEST)
        ended = victim.wait_for_end(PATIENCE)
    finally:
        victim.kill()
    return victim, ended and victim.process.returncode == 0


def run_trial(number: int, job: Job, moments: list[Moment], inputs: Path, straight: Straight, folder: Path) -> Verdict:
    """Kill a job in a new folder at the moments, let it come to its end, and judge it."""
    verdict = Verdict(number, job.name, plan=", then ".join(map(str, moments)))
    folder.mkdir(parents=True)
    job.begin(inputs, folder)
    for moment in moments:
        if not job.done(folder):
            disturbed(job, moment, inputs, straight, folder, verdict)
    last = verdict.kills[-1] if verdict.kills else "none"
    if not job.done(folder):
        verdict.repeats += bool(verdict.kills)
        victim, ended = to_the_end(job.command(inputs, folder), folder, job.forked)
        if not ended:
            verdict.faults.append((last, f"repeated, it ends with {victim.process.returncode}: {tail(victim.output)}"))
    found = [*job.wrong(folder, straight.folder), *leftovers(folder)]
    verdict.faults += [(last, f"at the end: {fault}") for fault in found]
    return verdict


def disturbed(job: Job, moment: Moment, inputs: Path, straight: Straight, folder: Path, verdict: Verdict) -> None:
    """Start the job, end it at the moment, and judge what lies there then; nothing is counted when it is faster."""
    verdict.repeats += bool(verdict.kills)
    before = job.state(folder)
    victim = Victim(job.command(inputs, folder), folder, job.forked)
    try:
        if moment.aimed:
            number = 1 + int(moment.share * straight.changes)
            alive = victim.wait_for_change(number, moment.delay)
        else:
            alive = victim.wait_for_seconds(moment.share * straight.seconds)
        if not (alive and send(victim, moment)):
            victim.wait_for_end(PATIENCE)
            return
        verdict.kills.append(moment.kind)
        faults = [] if victim.wait_for_end(PATIENCE) else [f"it still ran {PATIENCE:.0f} seconds after the signal"]
    finally:
        victim.kill()
    faults += job.torn(folder, straight.folder)
    faults += judged_end(job, moment.kind, victim, folder, straight.folder, before)
    verdict.faults += [(moment.kind, f"at once: {fault}") for fault in faults]


def judged_end(job: Job, kind: str, victim: Victim, folder: Path, right: Path, before: object) -> list[str]:
    """Faults in how a job that was asked to end did so: its status, its last words, what it saved.

    Before it has begun to write, Python and its libraries are being loaded, and a signal ends these in their own way.
    """
    if kind in (KILL, RANK) or not victim.changes:
        return []
    faults, status = [], victim.process.returncode
    if "Traceback" in victim.output and not (kind in (INT, TWICE) and IGNORED in victim.output):
        faults.append(f"it ended with a traceback: {tail(victim.output)}")
    if job.statuses and kind in STATUS and status not in STATUS[kind]:
        if status != 0 or job.wrong(folder, right):
            faults.append(f"it ended with status {status} before it was done: {tail(victim.output)}")
    if kind != TWICE and status is not None and status >= 0 and job.state(folder) != before:
        faults += job.ended(folder)
    return faults


def send(victim: Victim, moment: Moment) -> bool:
    """Send the signals of a moment; whether there was a process to take them."""
    try:
        if moment.kind == KILL:
            victim.kill()
        elif moment.kind == TERM:
            victim.process.send_signal(signal.SIGTERM)
        elif moment.kind in (INT, TWICE):  # a terminal sends it to the whole group
            os.killpg(victim.process.pid, signal.SIGINT)
            if moment.kind == TWICE:
                time.sleep(moment.delay)
                os.killpg(victim.process.pid, signal.SIGINT)
        else:
            pids = victim.rank(moment.rank) if moment.kind == RANK else victim.loader_workers()
            if pids:
                os.kill(pids[moment.rank % len(pids)], signal.SIGKILL)
            return bool(pids)
    except ProcessLookupError:
        return False
    return True


def tail(text: str) -> str:
    """The last words of an output, on one line."""
    return " / ".join(line.strip() for line in text.strip().splitlines()[-4:])[-400:] or "no output"
