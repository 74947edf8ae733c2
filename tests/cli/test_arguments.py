"""Numbers and options of the command line: taken within bounds, or one sentence of argparse or of our own."""

import argparse
import re

import pytest

from ernie_vil2.cli.arguments import Parser, add_overrides, between, count, number, positive, seed, whole
from ernie_vil2.cli.bench.main import main as bench
from ernie_vil2.cli.convert import main as convert
from ernie_vil2.data.sources.tar.write import parse_size
from ernie_vil2.errors import ConfigError
from ernie_vil2.evaluation.benchmarks.benchmark import read_options
from ernie_vil2.evaluation.benchmarks.registry import benchmark
from tests.conftest import ROOT

READERS = {"count": count, "whole": whole, "number": number, "positive": positive, "seed": seed}
ABSURD = ["9" * 5000, "1" + "0" * 400, "-" + "9" * 5000, "nan", "inf", "-inf", "1e400", "", "x", "\udcff", "0x10"]


def parsed(read, text):
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--n", type=read)
    return parser.parse_args([f"--n={text}"]).n


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("text", ABSURD, ids=lambda text: ascii(text)[:12])
def test_what_is_no_number_is_told_by_argparse(name, text):
    with pytest.raises(argparse.ArgumentError) as caught:
        parsed(READERS[name], text)
    assert len(str(caught.value)) < 200


def test_bounds_are_named_and_belong_to_what_is_taken():
    read = between(int, 1, 100)
    assert [parsed(read, text) for text in ("1", "100", " 7 ")] == [1, 100, 7]
    for text, told in (("0", "must be at least 1"), ("101", "must be at most 100")):
        with pytest.raises(argparse.ArgumentError, match=told):
            parsed(read, text)
    assert parsed(number, "-1e3") == -1000.0 and parsed(seed, str(2**64 - 1)) == 2**64 - 1


def test_no_argument_is_read_without_bounds():
    files = (ROOT / "ernie_vil2" / "cli").rglob("*.py")
    assert [path for path in files if re.search(r"type=(int|float)\b", path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "given, told",
    [
        (["a=1", "a=2"], "-o a=1 and then -o a=2: the second one replaces the first; keep one of them"),
        (["a.b=1", "c=2", "a={d: 3}"], "-o a.b=1 and then -o a={d: 3}"),
        (["a" * 9000 + "=1", "a" * 9000 + "=2"], "keep one of them"),
    ],
)
def test_an_override_that_another_one_replaces_is_named(given, told):
    parser = Parser()
    add_overrides(parser, "")
    with pytest.raises(ConfigError, match=re.escape(told)) as caught:
        parser.parse_args([word for override in given for word in ("-o", override)])
    assert len(str(caught.value)) < 480


def test_overrides_that_add_to_each_other_are_all_taken():
    parser = Parser()
    add_overrides(parser, "")
    given = ["a=x", "a.b=1", "a.bc=2", "ab=3"]
    assert parser.parse_args([word for override in given for word in ("-o", override)]).override == given
    assert parser.parse_args([]).override == []


def test_an_option_of_convert_is_given_once(tmp_path):
    with pytest.raises(ConfigError, match="the option 'heads' is given twice; keep one of them"):
        convert([str(tmp_path), str(tmp_path / "out"), "-o", "heads=1", "-o", "heads=2"])


@pytest.mark.parametrize("text", ["9" * 5000 + "GB", "9" * 5000, "1e9GB", "-1", "nan", "\0", ""])
def test_a_size_is_a_number_or_a_sentence(text):
    try:
        assert 0 < parse_size(text) <= 1 << 62
    except ConfigError as error:
        assert len(str(error)) < 480


@pytest.mark.parametrize("value", ["0", "-1", "nan", "1e400", "x"])
def test_an_assumption_is_a_sensible_number(value):
    with pytest.raises(ConfigError, match="--assume latency=.*: (the number must be above 0|write it as key=number)"):
        bench(["scale", "--measured", str(ROOT / "docs" / "scaling.json"), "--assume", f"latency={value}"])


def test_a_number_of_a_benchmark_has_a_most():
    with pytest.raises(ConfigError, match="seed is 1.00e.400, but it must be a whole number of at least 0 and at most"):
        read_options(benchmark("scenes").options, {"seed": 10**400}, "scenes")
