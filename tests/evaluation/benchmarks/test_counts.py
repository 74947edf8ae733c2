"""Counts that differ from the known ones end the run, or are told beside the figures when that is allowed."""

import pytest

from ernie_vil2.errors import DataError
from ernie_vil2.evaluation.benchmarks.counts import check_count, check_counts

FOUND = {"images": 1200, "captions": 7}


@pytest.mark.parametrize("wanted", [{}, {"images": 1200}, {"images": range(1000, 1201), "captions": 7}])
@pytest.mark.parametrize("allow", [True, False])
def test_the_right_counts_say_nothing(wanted, allow):
    assert check_counts("x", "here", FOUND, wanted, allow, ["a note"]) == ()


def test_all_that_differs_is_in_one_sentence():
    wanted = {"images": range(1000, 1201), "captions": 8}
    assert check_counts("x", "here", FOUND, wanted, True) == (
        "7 captions instead of 8 captions: not comparable with published figures",
    )
    with pytest.raises(DataError) as caught:
        check_counts("x", "here", FOUND, {"images": range(1000, 1200), "captions": 8}, False, ["one", "two"])
    assert str(caught.value) == (
        "x: here gives 1,200 images and 7 captions, but 1,000 to 1,199 images and 8 captions belong to it (one; two); "
        "complete the files, or add --allow-counts to measure on what is there"
    )


@pytest.mark.parametrize("published", [1200, None])
def test_the_published_count_or_none_says_nothing(published):
    assert check_count("here: images", 1200, published, False) == ()


def test_another_count_than_the_published_one():
    assert check_count("here: images", 1200, 5000, True) == (
        "here: images: 1,200 instead of the published 5,000, so figures cannot be compared with published ones",
    )
    with pytest.raises(DataError, match="images: 1,200 instead of the published 5,000; complete the files, or add"):
        check_count("here: images", 1200, 5000, False)
