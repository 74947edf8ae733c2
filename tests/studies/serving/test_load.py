"""The load on a server: questions that are new, answers that are looked at, figures that are those of the clock."""

import asyncio
import itertools
import json

import numpy as np
import pytest

from ernie_vil2.cli.bench.main import main
from ernie_vil2.errors import ConfigError
from ernie_vil2.search.index import open_index
from ernie_vil2.studies.serving.clients import Round, fault_of, look, play
from ernie_vil2.studies.serving.connection import Reply
from ernie_vil2.studies.serving.drawn_index import write_drawn
from ernie_vil2.studies.serving.load import Level, Load
from ernie_vil2.studies.serving.questions import SHARES, Place, Question, Questions
from ernie_vil2.studies.serving.report import tables
from tests.serving.conftest import write_indexes, write_model
from tests.serving.running import running

PLACE = Place("photos", 4, 60, list(range(60)), ["2022"], True)
SEARCH = Question("text", "/", b"{}", 2)


def test_questions_are_new_and_in_their_shares():
    questions = Questions(PLACE, list(SHARES), 0)
    asked = [next(questions) for _ in range(2000)]
    searches = [question.body for question in asked if question.body]
    assert len(set(searches)) == len(searches)
    counts = {kind: sum(question.kind == kind for question in asked) / len(asked) for kind in SHARES}
    assert counts == pytest.approx(SHARES, abs=0.04)
    other, same = Questions(PLACE, list(SHARES), 1), Questions(PLACE, list(SHARES), 0)
    assert [next(same) for _ in range(20)] == asked[:20] != [next(other) for _ in range(20)]


def test_nothing_is_asked_that_there_is_not():
    bare = Place("photos", 4, 60, [1, 2], [], False)
    assert {next(Questions(bare, list(SHARES), seed)).kind for seed in range(100)} == {"text", "picture", "vector"}


def hits(*scores):
    return Reply(200, {}, json.dumps({"hits": [{"score": score} for score in scores]}).encode())


@pytest.mark.parametrize(
    ("question", "reply", "told"),
    [
        (SEARCH, hits(0.9, 0.5, 0.5), ""),
        (SEARCH, hits(0.9), "1 hits"),
        (SEARCH, hits(*[0.5] * 41), "41 hits"),
        (SEARCH, hits(0.5, 0.9), "not best first"),
        (SEARCH, Reply(500, {}, b""), "status 500"),
        (Question("thumbnail", "/"), Reply(200, {}, b"\xff\xd8\xff"), ""),
        (Question("thumbnail", "/"), Reply(200, {}, b"<html>"), "no JPEG"),
    ],
)
def test_answers_are_looked_at(question, reply, told):
    fault = fault_of(question, reply)
    assert told in fault and bool(fault) == bool(told)
    seen = Round()
    seen.note(question, reply, 3.0)
    assert sum(seen.wrong.values()) == bool(told) and bool(seen.milliseconds) != bool(told)


def test_a_busy_server_is_no_fault():
    seen = Round()
    seen.note(SEARCH, Reply(429, {"retry-after": "1"}, b""), 1.0)
    assert (seen.busy, seen.wrong, seen.milliseconds) == (1, {}, {})


def test_clients_ask_a_server_and_count_only_what_was_asked_in_time(tmp_path):
    with running(write_indexes(tmp_path)) as server:
        place = asyncio.run(look(server.address, "photos"))
        assert (place.width, place.pictures, len(place.ids)) == (32, 57, 57) and place.folders
        job = {"address": server.address, "kinds": list(SHARES)}
        for seconds in (0.4, 4, 40):  # a machine that has much else to do may answer nothing in the first
            request = {"clients": 3, "seconds": seconds, "warm": 0.1, "seed": 0}
            found = asyncio.run(play(job, place, request))
            assert found["busy"] == 0 and found["wrong"] == {}
            if times := list(itertools.chain(*found["milliseconds"].values())):
                break
    assert min(times) > 0 and sum(times) <= 3 * 1000 * seconds  # three clients, each one thing at a time


def test_a_drawn_index_can_be_asked_in_its_model(tmp_path):
    write_drawn(tmp_path / "drawn", 300, write_model(tmp_path / "model"))
    index = open_index(tmp_path / "drawn")
    assert len(index) == 300 and len(index.search("一只猫", k=7)) == 7
    assert "image" in index.manifest.neighbours


def test_the_tables_have_the_figures():
    level = Level(8, 2.0, {"text": [1.0] * 99 + [101.0], "vector": [5.0] * 100}, 3, {"text: status 500": 2}, 700.0)
    text = tables(Load(100_000, 2, [level], [level], 800.0))
    assert "| 8       |      100.0 |" in text and "100,000 pictures" in text and "800 MiB" in text
    assert "8, vector" in text and "wrong: text: status 500 (4 times)" in text
    assert level.percentile(50, "vector") == 5 and np.isnan(level.percentile(50, "picture"))


def test_the_command_measures_a_server_of_its_own(tmp_path, capsys):
    folder, out = write_indexes(tmp_path) / "photos", tmp_path / "load.json"
    asked = ["--clients", "1,3", "--seconds", "1", "--soak", "0.005", "--only", "text; vector", "--json", str(out)]
    main(["serving", str(folder), *asked])
    shown, found = capsys.readouterr().out, json.loads(out.read_text(encoding="utf-8"))
    assert [level["clients"] for level in found["levels"]] == [1, 3] and len(found["soak"]) == 1
    for level in found["levels"]:
        assert 0 < len(level["milliseconds"]) and set(level["milliseconds"]) <= {"text", "vector"}
        assert not level["wrong"] and level["resident"] > 10
    assert "\n| 3 " in shown and "57 pictures" in shown


@pytest.mark.parametrize(
    ("asked", "told"), [(["--only", "sounds"], "give some of text"), (["--only", ""], "give some of text")]
)
def test_what_cannot_be_asked_is_one_sentence(tmp_path, asked, told):
    with pytest.raises(ConfigError, match=told):
        main(["serving", str(tmp_path), *asked])
