"""Whole trials: of small scripts that are right or wrong in known ways, and a few kills of the product itself."""

import sys

import pytest

from tests.kills import judge
from tests.kills.__main__ import main
from tests.kills.job import INT, KILL, TERM, Job
from tests.kills.trial import Moment, run_straight, run_trial

IN_PLACE = """
import sys, time
with open(sys.argv[1], "w") as file:
    file.write("one "); file.flush()
    time.sleep(0.2)
    file.write("two")
"""
ATOMIC = """
import os, sys, time
with open(sys.argv[1] + ".tmp", "w") as file:
    file.write("one "); file.flush()
    time.sleep(0.2)
    file.write("two")
os.replace(sys.argv[1] + ".tmp", sys.argv[1])
"""
BY_ITS_PROCESS = ATOMIC.replace('".tmp"', 'f".tmp-{os.getpid()}"')
GOES_ON_BEHIND_A_TORN_END = ATOMIC.replace('"w"', '"a"')


def job_of(script):
    """A job that runs a script which writes `out`."""
    return Job(
        "script",
        lambda inputs, folder: ["-c", script, folder / "out"],
        torn=lambda folder, right: judge.absent_or_whole(folder / "out", right / "out"),
        wrong=lambda folder, right: judge.different(folder / "out", right / "out"),
    )


def trial_of(script, tmp_path, kind=KILL, aimed=True):
    job = job_of(script)
    straight = run_straight(job, tmp_path, tmp_path / "straight")
    moment = Moment(kind, 0.0 if aimed else 0.5, aimed, delay=0.05, rank=0)
    return run_trial(0, job, [moment], tmp_path, straight, tmp_path / "trial")


def test_what_is_written_aside_and_again_is_right(tmp_path):
    verdict = trial_of(ATOMIC, tmp_path)
    assert (verdict.kills, verdict.repeats, verdict.faults) == ([KILL], 1, [])


def test_what_is_written_in_place_is_found_torn(tmp_path):
    verdict = trial_of(IN_PLACE, tmp_path)
    assert verdict.faults == [(KILL, "at once: out differs from byte 4 on (4 bytes, not 7)")]


def test_what_stays_for_good_is_found(tmp_path):
    (fault,) = trial_of(BY_ITS_PROCESS, tmp_path).faults
    assert fault[1].startswith("at the end: out.tmp-") and fault[1].endswith(" was left")


def test_an_end_with_other_bytes_is_found(tmp_path):
    sentences = [sentence for _, sentence in trial_of(GOES_ON_BEHIND_A_TORN_END, tmp_path).faults]
    assert "at the end: out differs from byte 4 on (11 bytes, not 7)" in sentences


@pytest.mark.parametrize(
    "kind, script, sentence",
    [
        (TERM, f"import signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n{ATOMIC}", "with status 7"),
        (INT, f"import signal; signal.signal(signal.SIGINT, lambda *_: sys.exit(0))\n{ATOMIC}", "with status 0 before"),
        (INT, ATOMIC, "with a traceback"),
    ],
)
def test_a_rude_end_is_found(tmp_path, kind, script, sentence):
    verdict = trial_of(f"import sys\n{script}", tmp_path, kind)
    assert verdict.kills == [kind] and any(sentence in fault for _, fault in verdict.faults)


def test_a_command_that_fails_when_it_is_repeated_is_found(tmp_path):
    script = f"import os, sys\nif os.path.exists(sys.argv[1] + '.tmp'): sys.exit('no')\n{ATOMIC}"
    sentences = [sentence for _, sentence in trial_of(script, tmp_path).faults]
    assert sentences[:2] == ["repeated, it ends with 1: no", "at the end: out is missing"]


def test_a_job_that_is_done_before_the_signal_counts_no_kill(tmp_path):
    job = job_of("import sys; open(sys.argv[1], 'w').close()")
    straight = run_straight(job, tmp_path, tmp_path / "straight")
    straight.seconds = 60.0
    verdict = run_trial(0, job, [Moment(KILL, 0.9, False, 0.0, 0)], tmp_path, straight, tmp_path / "trial")
    assert (verdict.kills, verdict.repeats, verdict.faults) == ([], 0, [])


@pytest.mark.slow
def test_a_few_kills_of_the_product(capsys):
    assert main(["--kills", "6", "--seed", "96"]) == 0, capsys.readouterr().out
    assert ", 0 wrong trials, " in capsys.readouterr().out


def test_a_wrong_trial_is_a_status(monkeypatch, capsys, tmp_path):
    program = sys.modules[main.__module__]
    job = job_of(IN_PLACE)
    monkeypatch.setattr(program, "prepare", lambda folder: folder.mkdir())
    monkeypatch.setattr(program, "draw", lambda *drawn: (job, [Moment(KILL, 0.0, True, 0.05, 0)]))
    monkeypatch.setattr(program.tempfile, "mkdtemp", lambda prefix: str(tmp_path))
    assert main(["--kills", "1", "--seed", "5"]) == 1
    out = capsys.readouterr().out
    assert "make kill-test SEED=5 TRIAL=0" in out and (tmp_path / "trial-0/out").exists()
