"""For a person with cards, `make test-gpu`: every point by itself, all in gpu-report.json (or GPU_REPORT=path).

Nothing of this has been run by the project itself, which has no card; tests/gpu/test_without_cards.py says what has.
"""

import os

import pytest

from tests.gpu.cards import visible_cards
from tests.gpu.points import POINTS, run
from tests.gpu.records import Report

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def cards():
    """How many cards Paddle sees."""
    count = visible_cards()
    if not count:
        pytest.skip("Paddle sees no card here")
    return count


@pytest.fixture(scope="module")
def report(cards):
    """The report of this run."""
    return Report(os.environ.get("GPU_REPORT") or "gpu-report.json")


@pytest.mark.parametrize("name", POINTS)
def test_point(name, tmp_path, cards, report, capsys):
    records = run(POINTS[name], tmp_path, cards)
    report.add(records, POINTS[name].variables)
    with capsys.disabled():
        print("", *(record.lines() for record in records), sep="\n")
    wrong = [record.lines() for record in records if record.passed is False]
    assert not wrong, f"{len(wrong)} of {len(records)}, all are in {report.path}:\n" + "\n".join(wrong)
    if all(record.passed is None for record in records):
        pytest.skip(records[0].reason)
