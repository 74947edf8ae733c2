"""Memory does not grow with the pictures of a scan, but for some bytes a file."""

import pytest

from tests.search.scan.scan_memory import peak

BYTES = 3000
"""A file may take, in a scan so small that nothing was folded yet"""


@pytest.mark.slow
def test_a_scan_of_many_files_takes_little_more_than_one_of_few(tmp_path):
    few, many = (peak(tmp_path / str(count), count) for count in (1_000, 5_000))
    assert (many - few) * 2**20 < BYTES * 4_000


@pytest.mark.slow
def test_large_pictures_are_not_held_together(tmp_path):
    """What fits into memory is some chunks of pictures, and not all: 100 distinct ones would be 600 MB of pixels."""
    small = peak(tmp_path / "small", 200)
    large = peak(tmp_path / "large", 200, (1000, 1000))
    assert large - small < 300
