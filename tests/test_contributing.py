"""CONTRIBUTING.md names every file that an addition touches: those that name the example, and no other."""

import re

import pytest

from tests.conftest import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = {
    "system": r"class ErnieVil2\b|\bErnieVil2\(",
    "tower": r"\befficientnet_shapes\b|^class EfficientNet(Config)?\b",
    "objective": r"\"sigmoid\"(?!: of_one)|\bsigmoid_loss\(",
    "source": r"\bLmdbSource\b",
    "benchmark": r"\bcbvs\b",
    "layout": r"\bpaddleclas_vit\b(?!\")",
}
"""{heading: what marks the files of its example}"""


def section(heading):
    return re.search(rf"^### {heading}\n(.*?)(?=^### |\Z)", TEXT, re.MULTILINE | re.DOTALL)[1]


def test_every_addition_has_an_example():
    assert re.findall(r"^### (\w+)$", TEXT, re.MULTILINE) == list(EXAMPLES)


@pytest.mark.parametrize("heading", EXAMPLES)
def test_the_files_are_those_that_name_the_example(heading):
    listed = set(re.findall(r"^- `(ernie_vil2/[\w/]+\.py)`", section(heading), re.MULTILINE))
    sources = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in ROOT.glob("ernie_vil2/**/*.py")
    }
    found = {name for name, text in sources.items() if re.search(EXAMPLES[heading], f"{name}\n{text}", re.MULTILINE)}
    assert listed == found


@pytest.mark.parametrize("heading", EXAMPLES)
def test_what_is_named_beside_them_is_there(heading):
    for name in re.findall(r"\]\(([\w/.]+)\)|`((?:ernie_vil2|tests|configs)/[\w/]*)`", section(heading)):
        assert (ROOT / next(filter(None, name))).exists(), name


def test_suites_and_budgets_are_those_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^\| `make ([\w-]+)`", TEXT, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for target, minutes in re.findall(r"^([\w-]+):.*\(budget: (\d+) minutes?", makefile, re.MULTILINE):
        assert re.search(rf"^\| `make {target}` \|.*\| {minutes} minutes? \|$", TEXT, re.MULTILINE), target
