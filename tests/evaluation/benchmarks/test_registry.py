"""Every benchmark declares itself: its module, its function, its options and their kinds."""

import dataclasses
import importlib
import inspect

import pytest

from ernie_vil2.errors import ConfigError
from ernie_vil2.evaluation import benchmarks
from ernie_vil2.evaluation.benchmarks.benchmark import Benchmark, kinds, read_options
from ernie_vil2.evaluation.benchmarks.registry import MODULES, benchmark, read_sets
from tests.evaluation.benchmarks import makers

NAMES = [
    "coco-cn",
    "flickr30k-cn",
    "muge",
    "aic-icc",
    "flickr30k",
    "mscoco",
    "cbvs",
    "msr-vtt",
    "imagenet-zh",
    "elevater-zh",
    "folder",
    "sts",
    "image-retrieval",
    "scenes",
]
SKIPPING = ["imagenet-zh", "elevater-zh", "folder", "sts", "image-retrieval"]


def test_all_names_of_the_issue_are_known():
    assert list(MODULES) == NAMES


def test_modules_declare_what_they_are_registered_for_and_nothing_else():
    for path in set(MODULES.values()):
        declared = importlib.import_module(f"{benchmarks.__name__}.{path}").BENCHMARKS
        assert set(declared) == {name for name, module in MODULES.items() if module == path}


@pytest.mark.parametrize("name", NAMES)
def test_a_declaration_is_whole(name):
    """Every option has a default and a kind that a command line can be read as."""
    found = benchmark(name)
    arguments = inspect.signature(found.evaluate).parameters
    assert list(arguments) == ["model", "name", "data", "split", "progress", "options"]
    fields = {field.name for field in dataclasses.fields(found.options)}
    assert isinstance(found, Benchmark) and found.drawn == (name == "scenes")
    assert ("allow_counts" in fields) != found.drawn and not getattr(found.options(), "allow_counts", False)
    assert set(kinds(found.options)) == fields and set(kinds(found.options).values()) <= {bool, int, str}
    assert ("skip_broken" in fields) == (name in SKIPPING)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Own:
    allow_counts: bool = False
    depth: int | None = None
    language: str | None = None
    start: int = dataclasses.field(default=3, metadata={"least": 0})


def test_options_become_a_record():
    assert read_options(Own, {"depth": 3}, "x") == Own(depth=3)
    assert read_options(Own, {"start": 0, "depth": None}, "x") == Own(start=0)
    assert kinds(Own) == {"allow_counts": bool, "depth": int, "language": str, "start": int}


@pytest.mark.parametrize(
    "given, words",
    [
        ({"dept": 1}, "unknown option 'dept'; did you mean 'depth'?"),
        ({"zzz": 1}, "unknown option 'zzz'; take one of allow_counts, depth, language, start"),
        ({"model": "m"}, "the benchmark x@y has no option model; leave it out"),
        ({"skip_broken": True}, "--skip-broken does not go with the benchmark x@y, which skips no image"),
        ({"depth": 0}, "depth is 0, but it must be a whole number of at least 1"),
        ({"depth": True}, "depth is True, but"),
        ({"depth": "7"}, "depth is '7', but"),
        ({"start": -1}, "start is -1, but it must be a whole number of at least 0"),
        ({"start": None}, "start is None, but"),
    ],
)
def test_what_is_no_option_is_refused_in_one_sentence(given, words):
    with pytest.raises(ConfigError) as caught:
        read_options(Own, given, "x@y")
    assert str(caught.value).startswith(words)


def test_pairs_are_read_without_a_model(tmp_path):
    makers.muge(tmp_path)
    [pairs] = read_sets("muge", tmp_path, allow_counts=True)
    assert pairs.name == "muge" and len(pairs.texts) == len(makers.QUERIES)
    with pytest.raises(ConfigError, match="the benchmark sts has no pairs of images and texts"):
        read_sets("sts@lcqmc", tmp_path)
