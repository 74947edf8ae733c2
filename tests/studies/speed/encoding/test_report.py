"""What follows from measured seconds: medians within turns, shares of the peak, and tables of all of it."""

import json

import pytest

from ernie_vil2.studies.speed.encoding.measurements import Comparison, Measured
from ernie_vil2.studies.speed.encoding.report import content, tables
from ernie_vil2.studies.speed.encoding.sides import SIDES

SECONDS = {
    "dynamic": [1.0, 2.0, 4.0],  # the machine gets slower
    "openvino-int8": [0.1, 0.5, 0.4],
    "torch-bf16": [0.5, 0.5, 1.0],
}


@pytest.fixture
def found():
    """Three sides with figures and one without."""
    made = Comparison({"images": 1e9, "short": 2e9, "long": 4e9}, {"short": 12, "long": 48}, 64, 256, 2)
    for name, seconds in SECONDS.items():
        kinds = dict.fromkeys(("images", "short", "long"), seconds)
        made.sides[name] = Measured(SIDES[name], "", "", kinds, {"short": [0.3, 0.1, 0.2]}, 1e-3, 0.999)
    made.sides["openvino-bf16"] = Measured(SIDES["openvino-bf16"], "this processor does not compute in bf16")
    made.peaks, made.without_peak = {"int8": [20e9, 40e9, 30e9]}, {"bf16": "this processor does not compute in bf16"}
    return made


def test_a_rate_is_a_median_and_a_ratio_that_of_turns_side_by_side(found):
    assert found.rate("openvino-int8", "images") == 2.5
    assert found.ratio("openvino-int8", "images") == 10  # of 10, 4 and 10; medians alone give 5
    assert found.ratio("openvino-int8", "images", SIDES["openvino-int8"].rival) == 2.5  # of 5, 1, 2.5
    assert found.query("openvino-int8", "short") == 0.2


def test_operations_a_second_are_a_share_of_the_peak_of_the_same_precision(found):
    assert found.speed("openvino-int8", "long") == 10e9 and found.share("openvino-int8", "long") == 1 / 3
    assert found.share("torch-bf16", "long") is None
    found.operations = {}
    assert found.speed("openvino-int8", "long") is None and found.share("openvino-int8", "long") is None


def test_a_side_without_figures_has_none_anywhere(found):
    assert [found.rate("openvino-bf16", "images"), found.query("openvino-bf16", "short")] == [None, None]
    assert found.ratio("openvino-int8", "images", "openvino-bf16") is None
    assert found.ratio("openvino-int8", "images", "release") is None  # not even in the comparison


def test_tables_hold_every_side_that_was_measured_and_a_reason_for_the_others(found):
    speeds, costs, reasons, legend = tables(found).split("\n\n")
    for part in (speeds, costs):
        assert len({len(line) for line in part.splitlines()}) == 1
        assert [line.split()[1] for line in part.splitlines()[2:]] == list(SECONDS)
    assert speeds.splitlines()[3].split()[3::2][:6] == 2 * ["2.50", "10.00", "2.50"]
    assert speeds.splitlines()[3].split()[-4:] == ["1.0e-03", "|", "0.999000", "|"]
    assert costs.splitlines()[3].split()[3::2][:2] == ["2", "8%"]
    assert reasons == "openvino-bf16: not measured: this processor does not compute in bf16"
    assert "int8 30, bf16 not measured (this processor" in legend


def test_the_file_holds_what_the_tables_show(found):
    side = json.loads(json.dumps(content(found)))["sides"]["openvino-int8"]
    assert (side["engine"], side["precision"], side["items_per_second"]["images"]) == ("openvino", "int8", 2.5)
    assert (side["times_dynamic"]["short"], side["times_torch"]["short"]) == (10, 2.5)
