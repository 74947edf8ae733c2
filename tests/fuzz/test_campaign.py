"""Examples that were wrong once are right, and so are those of a minute with fixed seeds."""

import subprocess
import sys
from unittest import mock

import pytest

from tests.conftest import ROOT
from tests.fuzz.__main__ import main
from tests.fuzz.kept import LARGEST, kept
from tests.fuzz.kinds import KINDS, make


def campaign(*options):
    """What a campaign of these options prints, and its status."""
    command = [sys.executable, "-m", "tests.fuzz", "--workers", "1", *options]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def test_what_was_wrong_once_is_right(tmp_path):
    status, told = campaign("--kept", "--keep", str(tmp_path / "faults"))
    assert status == 0, told


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.fuzz.__main__.memory_folder", lambda: str(tmp_path))
    monkeypatch.setattr("tests.fuzz.__main__.opencv", mock.Mock())  # whose threads are those of all tests
    monkeypatch.setattr("tests.fuzz.__main__.prepare", lambda kinds: None)
    monkeypatch.setattr("tests.fuzz.campaign.Campaign.run", lambda *_: None)
    assert main(["--kind", "images", "--cases", "1"]) == 0 and list(tmp_path.iterdir()) == []


def test_what_is_kept_is_small_and_kept_once():
    examples = kept()
    assert max(map(len, examples)) <= LARGEST
    assert len({example.fingerprint() for example in examples}) == len(examples)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_inputs_end_in_a_result_or_a_sentence(kind, tmp_path):
    cases = {"images": 6000, "weights": 3000, "sources": 1500, "configurations": 600, "runs": 600} | {
        "evaluations": 3000,
        "commands": 800,
    }
    status, told = campaign("--kind", kind, "--cases", str(cases[kind]), "--keep", str(tmp_path / "faults"))
    assert status == 0, told


@pytest.mark.parametrize("kind", ("images", "weights", "configurations"))
def test_a_case_is_always_the_same(kind):
    examples = [[make(kind, 5, number).fingerprint() for number in range(20)] for _ in range(2)]
    assert examples[0] == examples[1] and len(set(examples[0])) > 15
