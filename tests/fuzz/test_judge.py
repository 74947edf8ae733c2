"""What a campaign must notice, planted in stand-ins for the product, and what it must let pass."""

import ctypes
import json
import logging
import mmap
import os
import random
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from ernie_vil2.errors import ConfigError, DataError
from ernie_vil2.schema import build
from tests.fuzz import damage, pickles, values
from tests.fuzz.campaign import Campaign, Limits, keep
from tests.fuzz.example import RECIPE, Example, load
from tests.fuzz.judge import Target, Verdict, wrong_sentence
from tests.fuzz.known import Known, known

LIMITS = Limits(seconds=1, wall=60, still=1.0, bytes=200 << 20)


class Mute(DataError):
    def sentence(self):
        raise KeyError("no words")


def spin():
    while True:
        pass


def fresh(count):
    """Memory that this process has not had before, all of it touched: what it inherited free is no growth."""
    held = mmap.mmap(-1, count)
    held[::4096] = b"x" * (count // 4096)
    return held


def hog():
    held = []
    for _ in range(60):
        held.append(fresh(10 << 20))
        time.sleep(0.01)
    time.sleep(30)


def deep(number=0):
    return deep(number + 1)


def raised(error):
    raise error


STAND_INS = {
    "result": lambda: 1,
    "sentence": lambda: raised(DataError("rows.tsv: it is empty; write a row")),
    "traceback": lambda: build(int, {}, "x") if raised(ValueError("odd")) else None,
    "in the product": lambda: build(3, {"a": 1}, "x"),
    "of another kind": lambda: raised(ConfigError("x: it is wrong; correct it")),
    "recursion": deep,
    "mute": lambda: raised(Mute()),
    "overlong": lambda: raised(type("Long", (DataError,), {"__str__": lambda self: "x" * 501})()),
    "control": lambda: raised(type("Raw", (DataError,), {"__str__": lambda self: "a\x1b[2Jb"})()),
    "empty": lambda: raised(type("Empty", (DataError,), {"__str__": lambda self: ""})()),
    "no memory": lambda: bytearray(1 << 40),
    "leaving": lambda: sys.exit(0),
    "warning": lambda: warnings.warn("odd", UserWarning, stacklevel=1),
    "deprecation": lambda: warnings.warn("old", DeprecationWarning, stacklevel=1),
    "printing": lambda: print("here"),
    "remark": lambda: os.write(2, b"libpng warning: odd\n"),
    "remarks": lambda: os.write(2, b"libpng warning: odd\n" * 300),
    "another's log": lambda: logging.getLogger("PIL").warning("odd"),
    "own log": lambda: logging.getLogger("ernie_vil2").warning("run: its latest checkpoint is taken"),
    "inside": lambda: Path("new").write_text("x"),
    "outside": lambda: Path("../../new").write_text("x"),
    "removing": lambda: os.rename("file", "../../file"),
    "a program": lambda: subprocess.Popen(["true"]),
    "hang": lambda: time.sleep(1000),
    "pipe": lambda: Path("pipe").read_bytes(),
    "spin": spin,
    "hog": hog,
    "crash": lambda: ctypes.string_at(8),
    "abort": os.abort,
    "exit": lambda: os._exit(0),
}
WRONG = {
    "traceback": "traceback", "in the product": "traceback", "of another kind": "traceback", "recursion": "traceback",
    "mute": "traceback", "overlong": "overlong", "control": "control characters", "empty": "empty",
    "no memory": "traceback", "leaving": "traceback", "warning": "noise", "printing": "noise", "remarks": "noise",
    "another's log": "noise", "outside": "outside", "removing": "outside", "a program": "outside", "hang": "hang",
    "pipe": "hang", "spin": "slow", "hog": "memory", "crash": "crash", "abort": "crash", "exit": "crash",
}  # fmt: skip


def stand_in(example, folder):
    return STAND_INS[example.told["do"]]()


TARGETS = {"stand-in": Target(stand_in, (DataError,))}


def planted(kind, seed, number):
    return Example("stand-in", {"file": b"x", "pipe|": b""}, {"do": kind})


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """All stand-ins, in one process after the other."""
    done = Campaign(TARGETS, planted, 0, tmp_path_factory.mktemp("campaign") / "work", 2, LIMITS)
    done.run(list(STAND_INS), 0, 1)
    return done


def test_every_planted_fault_is_noticed(campaign):
    found = {group.example.told["do"]: group.verdict.fault for group in campaign.groups.values()}
    assert found == WRONG


def test_nothing_else_is_one(campaign):
    assert {name: tally.cases for name, tally in campaign.tallies.items()} == dict.fromkeys(STAND_INS, 1)
    assert {name for name, tally in campaign.tallies.items() if not tally.faults} == set(STAND_INS) - set(WRONG)


def test_a_fault_is_grouped_by_its_innermost_frame_in_the_product(campaign):
    frames = {group.example.told["do"]: group.verdict.frame for group in campaign.groups.values()}
    assert frames["in the product"].startswith("ernie_vil2/schema.py:")
    assert frames["traceback"] == "outside of the product"


def test_equal_faults_are_one_group_with_the_smallest_example(tmp_path):
    def sized(kind, seed, number):
        return Example("stand-in", {"file": b"x" * (20 - number)}, {"do": "in the product"})

    campaign = Campaign(TARGETS, sized, 0, tmp_path / "work", 1, LIMITS)
    campaign.run(["sized"], 0, 9)
    (group,) = campaign.groups.values()
    assert (group.count, group.number) == (9, 8)
    keep([group], tmp_path / "kept", 0)
    (place,) = (tmp_path / "kept").rglob(RECIPE)
    assert load(place).files == group.example.files
    assert "CASE=8" in place.with_name("told.txt").read_text()


def test_a_process_that_has_grown_is_replaced_and_no_case_is_lost(tmp_path):
    def growing(kind, seed, number):
        return Example("growing", {}, {"number": number})

    held = []
    grow = Target(lambda example, folder: held.append(fresh(60 << 20)), (), in_memory=True)
    campaign = Campaign({"growing": grow}, growing, 0, tmp_path / "work", 2, Limits())
    campaign.run(["growing"], 5, 90)
    assert (campaign.tallies["growing"].cases, campaign.tallies["growing"].faults) == (90, 0)
    assert 20 < campaign.made < 90


def test_an_example_is_the_same_after_it_was_kept(tmp_path):
    example = Example("image", {"a\udcff": bytes(range(256)), "folder/": b"", "b|": b""}, {"x": [1, "猫\udcff"]})
    example.save(tmp_path / "one.json")
    assert load(tmp_path / "one.json") == example


def test_a_sentence():
    assert wrong_sentence("rows.tsv: 猫 has no image; add one") == ""
    assert [wrong_sentence(text) for text in (" ", "x" * 500, "a\nb", "a\u202eb", "a\udcffb")] == [
        "empty", "overlong", *["control characters"] * 3,
    ]  # fmt: skip


def test_a_known_fault_is_told_apart():
    among = (Known("images", "memory", "decode_opencv", "OpenCV's own"),)
    verdict = Verdict("x", "memory", "memory", "ernie_vil2/data/images/decode.py:9 decode_opencv")
    assert known("images", verdict, among) and not known("weights", verdict, among)
    assert not known("images", Verdict("x", "slow", "memory", verdict.frame), among)


@pytest.mark.parametrize("way", damage.WAYS, ids=lambda way: way.__name__)
def test_damage_depends_on_the_number_alone(way):
    data = bytes(range(256))
    assert [way(random.Random(number), data) for number in range(50)] == [
        way(random.Random(number), data) for number in range(50)
    ]
    assert any(way(random.Random(number), data) != data for number in range(50))
    assert isinstance(way(random.Random(0), b""), bytes)


def test_damaged_values_can_be_spelt():
    value = {"a": [1, {"b": "x", "c": None}], "d": 0.5, "e": True}
    for number in range(300):
        rng = random.Random(number)
        changed = values.changed_value(rng, value)
        assert isinstance(values.json_text(changed), str) and isinstance(values.spoilt_json(rng, value), bytes)
    assert json.loads(values.json_text(value)) == value == {"a": [1, {"b": "x", "c": None}], "d": 0.5, "e": True}


def test_pickles_are_changed_between_instructions():
    data = b"\x80\x02}(X\x01\x00\x00\x00aK\x01u."
    assert pickles.starts_of(data)[:4] == [0, 2, 3, 4]
    assert len({pickles.spoilt_pickle(random.Random(number), data) for number in range(60)}) > 30
