"""What a person is told who asks for help or types something wrong."""

import argparse
import importlib
import shlex
import subprocess
import sys
import textwrap

import pytest

from ernie_vil2.cli.arguments import Parser
from ernie_vil2.cli.eval.main import parsed
from ernie_vil2.cli.main import modules, verb_module
from ernie_vil2.config.recipes import recipe_names


def below(parser):
    """{name as it is typed: parser} of a parser, or of its verbs."""
    found = {parser.prog: parser}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found = {verb.prog: verb for verb in action.choices.values()}
    return found


def parsers():
    """{name as it is typed: parser} of every command."""
    found = {}
    for verb in modules():
        found |= below(verb_module(verb).parser())
    for verb in ("compare", "calibrate"):
        found[f"ernie-vil2 eval {verb}"] = importlib.import_module(f"ernie_vil2.cli.eval.{verb}").parser()
    return found


PARSERS = parsers()
WITH_OTHERS = [verb_module(verb).parser() for verb in ("data", "index", "bench")]


def asked(line):
    """(parser, words) of a command line with a remark, perhaps behind Paddle's launcher or before a file."""
    words = shlex.split(line, comments=True)
    words = words[words.index("ernie-vil2") :]
    words = words[: words.index(">")] if ">" in words else words
    for length in (3, 2):
        if parser := PARSERS.get(" ".join(words[:length])):
            return parser, words[length:]
    raise AssertionError(f"{line}: no such command")


def lines():
    return [(name, line) for name, parser in PARSERS.items() for line in parser.examples]


@pytest.mark.parametrize("name, line", lines(), ids=lambda text: text[:70])
def test_an_example_is_understood(name, line, capsys):
    parser, words = asked(line)
    found = parser.parse_args(words)
    if parser.prog == "ernie-vil2 eval":
        parsed(words)
    assert getattr(found, "config", "my.yaml") in (*recipe_names(), "my.yaml", None)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", PARSERS)
def test_help_has_examples_of_the_command_and_fits(name, monkeypatch):
    parser = PARSERS[name]
    monkeypatch.setenv("COLUMNS", "300")
    told = parser.format_help()
    assert any(asked(line)[0] is parser for line in parser.examples)
    assert told.startswith(f"usage: {name} ") and max(map(len, told.splitlines())) <= 100


@pytest.mark.parametrize("parser", WITH_OTHERS, ids=lambda parser: parser.prog)
def test_help_on_verbs_of_a_verb_fits(parser, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    told = parser.format_help()
    assert told.startswith(f"usage: {parser.prog} ") and max(map(len, told.splitlines())) <= 100
    listed = [line.split()[0] for line in told.splitlines() if line.startswith("    ") and line[4] != " "]
    assert [name.rpartition(" ")[2] for name in below(parser)] == listed[-len(below(parser)) :]


def test_eval_tells_its_modes_apart():
    told = PARSERS["ernie-vil2 eval"].format_usage().splitlines()
    assert [line.removeprefix("usage: ").split()[2] for line in told] == [
        "--model",
        "--model",
        "--embeddings",
        "compare",
        "calibrate",
    ]


def test_train_says_how_to_stop_and_to_go_on():
    told = " ".join(PARSERS["ernie-vil2 train"].format_help().split())
    assert all(words in told for words in ("To stop: Ctrl-C", "`--resume auto`", "--check reads", "paddle.distributed"))


def test_paragraphs_are_filled_and_indented_lines_are_not(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    told = Parser(
        prog="p", description="word " * 40 + "\n\n  kept   as it is\n  and this\n\nend", examples="p a \\\n  b  # c"
    ).format_help()
    assert "\n\n  kept   as it is\n  and this\n\nend\n" in told and "\n  p a \\\n    b  # c\n" in told
    assert 60 < max(map(len, told.splitlines())) <= 98


def wrong(capsys, parser, words):
    with pytest.raises(SystemExit) as left:
        parser.parse_args(words)
    out, err = capsys.readouterr()
    assert left.value.code == 2 and out == "" and err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    "words, told",
    [
        (["check", "photos.jsonl", "--vocb=vocab.txt"], "there is no option --vocb; did you mean --vocab?"),
        (["check", "photos.jsonl", "--xyzzyxyzzy"], "there is no option --xyzzyxyzzy; `ernie-vil2 data check --help`"),
        (["check", "photos.jsonl", "more"], "'more' is one too many here"),
        (["check"], "the following arguments are required: SOURCE"),
        (["check", "x", "--limit", "ten"], "'ten' is no whole number"),
    ],
)
def test_a_mistake_is_told_by_the_verb_in_one_line(capsys, words, told):
    said = wrong(capsys, verb_module("data").parser(), words)
    assert said.startswith("ernie-vil2 data check: error: ") and told in said
    assert said.endswith("`ernie-vil2 data check --help` has examples\n")
    assert wrong(capsys, verb_module("data").parser(), []).endswith("`ernie-vil2 data --help` explains it\n")


def test_what_was_typed_is_cut_and_escaped(capsys):
    for word in ("--" + "x" * 9000, "y" * 9000, "--\x1b[2J", "\udcff"):
        said = wrong(capsys, verb_module("data").parser(), ["check", "a", word])
        assert len(said) < 500 and said.strip().isprintable()


def test_verbs_of_a_verb_are_listed_where_one_is_misspelt(capsys):
    assert "'check'" in wrong(capsys, verb_module("data").parser(), ["chek", "x"])


def test_a_misspelt_mode_of_eval_is_named(capsys):
    for word, told in (("compar", "did you mean compare?"), ("xyzzy", "begin with --model, --embeddings, compare")):
        with pytest.raises(SystemExit):
            parsed([word, "runs/try"])
        assert told in capsys.readouterr().err


@pytest.mark.parametrize("words", [["data.train=train.jsonl"], ["-o", "train.steps", "20"]])
def test_a_setting_without_its_option_is_told_of(capsys, words):
    said = wrong(capsys, verb_module("train").parser(), ["-c", "demo", *words])
    assert f"{words[-1]!r} is one too many here; a setting is written as -o KEY=VALUE;" in said


def test_an_option_of_another_verb_is_not_taken_for_help(capsys):
    assert "did you mean --help?" not in wrong(capsys, verb_module("demo").parser(), ["--steps"])
    assert "did you mean --vocab? `ernie-vil2" in wrong(capsys, verb_module("data").parser(), ["check", "x", "--vocb"])


def test_no_help_waits_for_paddle():
    """A library of seconds, whose remarks at its import would stand above the help."""
    script = """
        import sys
        from ernie_vil2.cli.main import modules, verb_module
        for verb in modules():
            verb_module(verb).parser()
            assert "paddle" not in sys.modules, verb
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-500:]
