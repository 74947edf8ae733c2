"""Five times the rows take no more memory, whichever side is encoded."""

from pathlib import Path

import pytest

from tests.inference.encoding_memory import WRITERS, peak
from tests.kills import inputs


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize("only", WRITERS)
def test_memory_is_flat_in_the_rows_of_a_side(tmp_path, only):
    inputs.prepare(tmp_path / "inputs")
    few, many = (peak(tmp_path / "inputs/model", tmp_path, only, count) for count in (4000, 20000))
    assert many < 1.05 * few
