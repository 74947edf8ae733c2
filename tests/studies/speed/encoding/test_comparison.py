"""The comparison of encoding measures every side that can run, looks at what came out, and says why others cannot."""

import re
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.cli.arguments import Parser
from ernie_vil2.cli.bench import encode
from ernie_vil2.cli.bench.main import main
from ernie_vil2.errors import ConfigError, UserError
from ernie_vil2.files.json_files import read_json
from ernie_vil2.inference.engines.tower_engines import TowerEngines
from ernie_vil2.studies.speed.encoding.comparison import compare
from ernie_vil2.studies.speed.encoding.measurements import Comparison, Measured
from ernie_vil2.studies.speed.encoding.project import Loaded
from ernie_vil2.studies.speed.encoding.random_weights import write_model
from ernie_vil2.studies.speed.encoding.sides import SIDES, chosen
from ernie_vil2.studies.speed.encoding.turns import Turns
from ernie_vil2.studies.speed.encoding.work import KINDS, make_work
from ernie_vil2.studies.speed.turns import process
from ernie_vil2.studies.speed.turns.process import Process, Refusal, library_alone
from tests.conftest import ROOT

ANSWERS = "from ernie_vil2.studies.speed.turns.answers import converse; "


@pytest.fixture
def model(tiny_config, tiny_vocab, tmp_path):
    """A model directory of milliseconds."""
    rng = np.random.default_rng(0)
    state = {key: rng.normal(0, 0.3, shape).astype(np.float32) for key, shape in manifest(tiny_config).items()}
    save_model(tmp_path / "model", state, tiny_config, tiny_vocab)
    return tmp_path / "model"


def test_sides_are_measured_compared_and_written(model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)  # there, nobody has made an environment with torch
    report, asked = tmp_path / "report.json", ["--images", "9", "--texts", "17", "--repeats", "2"]
    main(
        [
            "encode",
            "--model",
            str(model),
            "--only-sides",
            "release,openvino-fp32,openvino-int8,torch-fp32",
            *asked,
            "--json",
            str(report),
        ]
    )
    told = capsys.readouterr().out
    assert "| openvino-fp32 " in told and "openvino-int8: not measured: not quantised: " in told
    assert "torch-fp32: not measured: there is no .venv-interop/bin/python; fill it with make interop" in told
    found = read_json(report)
    assert list(found["sides"]) == ["release", "dynamic", "openvino-fp32", "openvino-int8", "torch-fp32"]
    assert not found["sides"]["torch-fp32"]["seconds"]
    for name in ("release", "dynamic", "openvino-fp32"):
        side = found["sides"][name]
        assert f"| {name} " in told
        assert {kind: len(seconds) for kind, seconds in side["seconds"].items()} == dict.fromkeys(KINDS, 2)
        assert {kind: len(seconds) for kind, seconds in side["queries"].items()} == {"short": 16, "images": 8}
        assert all(value > 0 for kind in KINDS for value in side["seconds"][kind])
        assert side["largest"] < 1e-5 and side["cosine"] > 0.99999
    assert found["tokens"] == {"short": 12, "long": 16}  # as long as the model reads
    model_before = sorted(path.name for path in model.iterdir())
    assert model_before == ["config.json", "model.safetensors", "vocab.txt"]  # nothing is left beside it


def test_a_model_is_copied_so_that_engines_are_not_kept_beside_the_users_own(model, tmp_path):
    (tmp_path / "scratch").mkdir()
    work, _ = make_work(tmp_path / "scratch", model, None, 1, 1)
    assert Path(work.model).parent == tmp_path / "scratch"
    assert (Path(work.model) / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()


def test_random_weights_are_those_of_a_seed(tiny_config, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        write_model(tmp_path / name / "model", tiny_config)
    one, other = ((tmp_path / name / "model/model.safetensors").read_bytes() for name in "ab")
    assert one == other and len(set(one)) > 200


def test_captions_have_the_tokens_that_the_table_names(model, tmp_path):
    work, _ = make_work(tmp_path, model, None, 1, 5)
    tokenizer = ernie_vil2.load(work.model).tokenizer
    assert {kind: set(tokenizer.lengths(work.captions[kind])) for kind in work.tokens} == {"short": {12}, "long": {16}}


def test_dynamic_mode_always_takes_part_and_unknown_names_are_told():
    assert [side.name for side in chosen(["torch-bf16"])] == ["dynamic", "torch-bf16"]
    assert [side.name for side in chosen(None)] == list(SIDES)
    assert {side.rival for side in SIDES.values()} <= set(SIDES)
    assert SIDES["openvino-int8"].rival == "torch-bf16"
    with pytest.raises(ConfigError, match="'openvino_bf16' is no side of the comparison; did you mean openvino-bf16"):
        main(["encode", "--only-sides", "dynamic,openvino_bf16"])
    for nothing in ("", "dynamic,"):
        with pytest.raises(ConfigError, match="'' is no side of the comparison; there are release, dynamic, openvino"):
            main(["encode", "--only-sides", nothing])


def test_what_cannot_be_compared_is_one_sentence(model, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        compare(tmp_path / "nowhere", images=1, texts=1, repeats=1)
    with pytest.raises(ConfigError, match="--torch .*nowhere cannot be started; give the Python"):
        compare(model, torch=tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="cannot be started"):
        compare(model, torch=tmp_path)


def test_a_tower_that_fell_back_to_dynamic_mode_is_not_measured_as_an_engine(model, monkeypatch):
    def fail(engines, kind):
        raise RuntimeError("no such operation")

    monkeypatch.setattr(TowerEngines, "_make", fail)
    job = {"model": str(model), "engine": "openvino", "precision": "fp32"}
    with pytest.raises(UserError, match="the image tower runs on paddle in fp32, .*no such operation"):
        Loaded(job)
    monkeypatch.undo()
    assert Loaded(job).encode("short", ["一只猫"]).shape == (1, 32)


# Processes


def test_a_process_answers_whatever_else_it_prints_and_starts_without_settings(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    code = ANSWERS + (
        "import os; print('noise'); "
        "converse(lambda job: (os.environ['PLACE'], lambda request: [print('noise'), request + job['more']][1]))"
    )
    code = "import os; assert 'OMP_NUM_THREADS' not in os.environ; " + code
    one = Process("one", code, {"more": 2}, {"PLACE": "here"})
    assert (one.told, one.ask(3), one.ask(4)) == ("here", 5, 6)
    one.close()


def test_a_refusal_and_an_end_are_told_apart():
    refusing = (
        ANSWERS + "from ernie_vil2.errors import UserError; converse(lambda job: exec('raise UserError(\"no\")'))"
    )
    with pytest.raises(Refusal, match="^no$"):
        Process("one", refusing, {})
    with pytest.raises(Refusal, match="^nowhere is not installed for .*; install it there"):
        Process("one", ANSWERS + "converse(lambda job: __import__('nowhere'))", {})
    ending = Process("one", ANSWERS + "converse(lambda job: ('', lambda request: 1 / request))", {})
    with pytest.raises(UserError, match="the side one of the comparison stopped: ZeroDivisionError") as caught:
        ending.ask(0)
    ending.close()
    assert not isinstance(caught.value, Refusal)


def test_another_interpreter_gets_the_library_and_nothing_else_of_this_one(tmp_path):
    code = ANSWERS + "import sys; converse(lambda job: (sys.path, None))"
    one = Process("one", code, {}, imports=[library_alone(tmp_path)])
    one.close()
    assert str(tmp_path / "imports") in one.told
    assert [path.name for path in (tmp_path / "imports").iterdir()] == ["ernie_vil2"]
    assert not [path for path in one.told if Path(path) == Path(process.__file__).parents[4]]


# Turns


@pytest.fixture
def turns(tmp_path):
    """Turns of processes that answer with a number, or fail: each encodes 4 items of every kind."""

    def start(**answers):
        found = Comparison({}, {"short": 3, "long": 4}, 4, 4, 1)
        found.sides = {name: Measured(SIDES[name.replace("_", "-")]) for name in answers}
        stack = ExitStack()
        work, _ = make_work(tmp_path, tmp_path / "model", None, 4, 4)
        made = Turns(found, work, tmp_path, Path("nowhere"), stack, lambda line: None)
        for name, answer in answers.items():
            code = ANSWERS + f"converse(lambda job: ('', lambda request: {answer}))"
            made.running[name] = stack.enter_context(closing(Process(name, code, {})))
        return made, found, stack

    return start


def test_a_side_that_stops_has_the_reason_instead_of_figures_and_the_others_go_on(model, turns):
    made, found, stack = turns(release="2.0", dynamic="1.0", torch_fp32="1 / 0")
    with stack:
        made.encode("images")
        made.encode("images")
    assert found.sides["torch_fp32"].refused.startswith("the side torch_fp32 of the comparison stopped: ZeroDivision")
    assert found.sides["torch_fp32"].seconds == {}
    assert found.sides["dynamic"].seconds == {"images": [0.25, 0.25]}
    assert found.sides["release"].seconds == {"images": [2.0, 2.0]}  # it encodes one item of those in the same turn


def test_without_dynamic_mode_there_is_nothing_to_compare_with(model, turns):
    made, _, stack = turns(release="2.0", dynamic="1 / 0")
    with stack, pytest.raises(UserError, match="dynamic mode, which all sides are compared with, cannot run: .*Zero"):
        made.encode("images")


def test_wrong_embeddings_show(model, turns):
    made, found, stack = turns(release="1", dynamic="1")
    rows = np.eye(3, dtype=np.float32)
    turned = rows.copy()
    turned[1] = [0, 0.6, 0.8]
    with stack:
        for kind in KINDS:
            np.save(made.output("dynamic", kind), rows)
            np.save(made.output("release", kind), rows[:2] if kind == "images" else turned)
        made.compare_outputs(KINDS)
    assert (found.sides["dynamic"].largest, found.sides["dynamic"].cosine) == (0, 1)
    assert found.sides["release"].largest == pytest.approx(0.8) and found.sides["release"].cosine == pytest.approx(0.6)


def test_every_side_and_option_is_documented():
    text = (ROOT / "docs/speed.md").read_text(encoding="utf-8")
    verbs = Parser().add_subparsers()
    encode.add_verb(verbs)
    options = {option for action in verbs.choices["encode"]._actions for option in action.option_strings}
    assert {option for option in options if f"`{option}" not in text} == {"-h", "--help"}
    rows = re.findall(r"^\| (`\w+-\w+`(?:, `-\w+`)*|`\w+`) \|", text, re.MULTILINE)
    named = set()
    for first, *others in (re.findall(r"`([\w-]+)`", row) for row in rows):
        named |= {first, *(first.split("-")[0] + other for other in others)}
    assert set(SIDES) <= named
