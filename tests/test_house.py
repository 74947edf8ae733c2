"""What must hold for the repository as a whole: readmes, pins, sizes, forbidden calls, imports, the environment."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ernie_vil2.cli.main import modules
from tests.conftest import ROOT

LIBRARY = sorted([*ROOT.glob("ernie_vil2/**/*.py"), *ROOT.glob("tools/*.py")])
PYTHON_FILES = [*LIBRARY, *sorted(ROOT.glob("tests/**/*.py"))]
TOOLS = sorted(ROOT.glob("tools/*.py"))
WIDEST = 16
"""Modules of a folder: one idea, and what can be seen at a glance."""
VERBS = {"ernie_vil2/cli": 20, "tools": 20}
"""Folders with a module for each verb of the command"""
REQUIREMENTS = sorted(ROOT.glob("requirements*.txt"))
# Brackets keep this file from matching itself.
FORBIDDEN = {
    "runs text": r"(?<![\w.])eval\(|(?<![\w.])exec\(|shell=True|os\.system\(",
    "runs a pickle": r"pickle\.loads?\(|paddle\.load\(|torch\.load\(",
    "edits the import path": r"sys\.path\.(insert|append|extend)|sys\.path\s*\+?=",
}
UNFINISHED = r"TO[D]O|FIX[M]E"
MACHINE_PATH = r"(?<![\w.])/(home|root|Users)/\w"


def relative(path):
    return path.relative_to(ROOT).as_posix()


def offending_lines(paths, pattern):
    return [
        f"{relative(path)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]


@pytest.mark.parametrize("reason", FORBIDDEN)
def test_library_and_tools_do_nothing_unsafe(reason):
    assert offending_lines(LIBRARY, FORBIDDEN[reason]) == []


def test_nothing_is_unfinished():
    assert offending_lines(PYTHON_FILES, UNFINISHED) == []


def test_no_path_of_a_machine():
    texts = [
        path
        for pattern in ("*.md", "*.toml", "*.txt", "Makefile", ".ci/*", "docs/**/*.md", "configs/**/*.yaml")
        for path in ROOT.glob(pattern)
    ]
    assert offending_lines([*PYTHON_FILES, *texts], MACHINE_PATH) == []


def test_files_are_short():
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in PYTHON_FILES}
    assert {name: lines for name, lines in lengths.items() if lines > (450 if name.startswith("tests") else 260)} == {}


def test_nothing_heavy_is_in_the_repository():
    folders = ["ernie_vil2", "tools", "tests", "docs", "configs"]
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    assert [relative(path) for path in files if path.stat().st_size > 1_000_000] == []
    assert [relative(path) for path in files if path.name == "vocab.txt"] == []


@pytest.mark.parametrize("path", LIBRARY, ids=relative)
def test_every_module_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", TOOLS, ids=relative)
def test_a_tool_is_its_verb_and_nothing_else(path):
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 8
    assert source.endswith(f'if __name__ == "__main__":\n    run_verb("{path.stem}")\n')


def test_every_verb_is_a_tool():
    assert {path.stem for path in TOOLS} == set(modules())


def public_functions(tree):
    """(name, node, whether its first argument is the object) of the functions and methods without an underscore."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            yield node.name, node, False
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    if not method.name.startswith("_") or method.name == "__init__":
                        plain = any(ast.unparse(mark) == "staticmethod" for mark in method.decorator_list)
                        yield f"{node.name}.{method.name}", method, not plain


def untyped(tree):
    """`name(argument, ->)` of public functions without an annotation of these; what `__init__` returns goes unsaid."""
    for name, node, bound in public_functions(tree):
        given = node.args
        named = [*given.posonlyargs, *given.args][bound:] + given.kwonlyargs
        lacking = [
            argument.arg for argument in (*named, given.vararg, given.kwarg) if argument and argument.annotation is None
        ]
        if node.returns is None and node.name != "__init__":
            lacking.append("->")
        if lacking:
            yield f"{name}({', '.join(lacking)})"


def test_public_signatures_are_typed():
    paths = ROOT.glob("ernie_vil2/**/*.py")
    assert [f"{relative(path)}: {name}" for path in paths for name in untyped(ast.parse(path.read_text("utf-8")))] == []


def test_a_signature_without_types_is_found():
    source = """
def plain(a, *b: int, c=1, **d) -> None: ...
def typed(a: int, /, *b: int, c: int = 1, **d: int) -> int: ...
def _hidden(a): ...
class Shown:
    def __init__(self, a): ...
    def typed(self) -> None: ...
    @staticmethod
    def free(a): ...
    def __len__(self): ...
    def _hidden(self, a): ...
class _Hidden:
    def shown(self, a): ...
"""
    assert list(untyped(ast.parse(source))) == ["plain(a, c, d)", "Shown.__init__(a)", "Shown.free(a, ->)"]


def test_hints_are_shipped():
    assert (ROOT / "ernie_vil2" / "py.typed").is_file()
    listed = (ROOT / "pyproject.toml").read_text().partition("[tool.setuptools.package-data]\n")[2].partition("\n[")[0]
    assert re.search(r'^"ernie_vil2" = \[.*"py\.typed".*\]$', listed, re.MULTILINE)


def test_folders_hold_one_idea():
    folders = {path.parent for path in LIBRARY}
    counts = {relative(folder): len(list(folder.glob("[!_]*.py"))) for folder in folders}
    assert {folder: count for folder, count in counts.items() if count > VERBS.get(folder, WIDEST)} == {}


def test_every_package_is_installed():
    listed = set(re.findall(r'^    "(ernie_vil2[\w.]*)",$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in ROOT.glob("ernie_vil2/**/*.py")}
    assert listed - folders == {"ernie_vil2.configs"} and folders <= listed  # that one is `configs/`, without a module


def test_data_configuration_metrics_and_help_never_import_paddle():
    wanted = ("config", "data", "evaluation/metrics", "files", "pages")
    paths = [path for folder in wanted for path in (ROOT / "ernie_vil2" / folder).glob("**/[!_]*.py")]
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    code = "import importlib, sys; list(map(importlib.import_module, sys.argv[1:])); print('paddle' in sys.modules)"
    command = [sys.executable, "-c", code, *modules, "ernie_vil2.cli.main"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


# Readmes


def test_readme_commands_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"\b((?:tools|configs|docs)/[\w/.-]+\.(?:py|yaml|md))\b", text):
        assert (ROOT / name).is_file(), f"README.md names {name}"
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)) <= targets


# Requirements


def pins(path):
    """[(name, version, marker, reason)] of a requirements file; every line is one pin, and says why."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([\w.-]+)==([\w.]+)( *; [^#]+?)? +# (\S.*)", line)
            assert match, f"{relative(path)}: {line!r} is not `name==version  # why`"
            found.append(match.groups())
    return found


@pytest.mark.parametrize("path", REQUIREMENTS, ids=relative)
def test_requirements_are_pinned_and_explained(path):
    names = [name.lower() for name, _, marker, _ in pins(path) if not marker]
    assert names and len(names) == len(set(names))


def test_requirements_agree():
    seen = {}
    for path in REQUIREMENTS:
        for name, version, marker, _ in pins(path):
            same = name.lower().replace("paddlepaddle-gpu", "paddlepaddle"), marker
            assert seen.setdefault(same, version) == version, f"{relative(path)} pins {name} to another version"


def test_no_package_index_is_named():
    files = [*REQUIREMENTS, ROOT / "Makefile", ROOT / "pyproject.toml", *ROOT.glob(".ci/*")]
    assert offending_lines(files, r"https?://|^--?(i|f|index-url|extra-index-url|find-links)\b") == []


# The environment script, tried with interpreters that only pretend


def pretender(folder, name, version, has_venv):
    """An executable that answers as Python `version` would, and fails to create environments."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    answers = f"*version_info*) echo {version};; *ensurepip*) exit {1 - has_venv};; *) exit 1;;"
    path.write_text(f"#!/bin/sh\ncase $2 in {answers} esac\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def clone(tmp_path):
    """Folder, with a blank in its name, that holds a copy of .ci/environment."""
    folder = tmp_path / "a clone"
    (folder / ".ci").mkdir(parents=True)
    (folder / ".ci" / "environment").write_bytes((ROOT / ".ci" / "environment").read_bytes())
    return folder


def environment(clone, path, level="core", **variables):
    command = ["/bin/sh", f"{clone}/.ci/environment", level]
    done = subprocess.run(command, cwd="/", env={"PATH": f"{path}", **variables}, capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


@pytest.fixture
def only(tmp_path):
    """Function (name=(version, has_venv), ...) -> folder for PATH: these interpreters and the few tools sh needs."""

    def build(**interpreters):
        folder = tmp_path / "some bin"
        folder.mkdir()
        for tool in ("dirname", "cat", "cksum", "tail", "rm", "mkdir"):
            real = next(Path(place, tool) for place in os.defpath.split(":") if place and Path(place, tool).exists())
            (folder / tool).symlink_to(real)
        for name, (version, has_venv) in interpreters.items():
            pretender(folder, name.replace("_", "."), version, has_venv)
        return folder

    return build


def test_a_wrong_python_is_one_sentence(clone, only):
    status, _, errors = environment(clone, only(python3=("3.13.0", True)))
    assert status == 1 and len(errors) == 1
    assert errors[0].startswith("error: Python 3.10, 3.11 or 3.12 is needed, found 3.13.0; install one")


def test_no_python_is_one_sentence(clone, only):
    status, _, errors = environment(clone, only())
    assert status == 1 and len(errors) == 1 and "is needed, found none; install one" in errors[0]


def test_a_python_without_venv_is_one_sentence(clone, only):
    status, _, errors = environment(clone, only(python3=("3.11.2", False)))
    assert status == 1 and len(errors) == 1 and "the package python3.11-venv" in errors[0]


def test_a_fitting_python_is_found_behind_a_wrong_one(clone, only):
    path = only(python3=("3.9.1", True), python3_12=("3.12.1", False), python3_10=("3.10.13", True))
    status, lines, _ = environment(clone, path)
    assert status == 1 and lines == ["creating .venv with Python 3.10.13"]


def test_the_given_python_is_the_only_candidate(clone, only):
    folder = only(python3=("3.11.7", True))
    given = pretender(folder, "my python", "3.8.20", True)
    status, _, errors = environment(clone, folder, PYTHON=str(given))
    assert status == 1 and len(errors) == 1 and "found 3.8.20" in errors[0]
    status, _, errors = environment(clone, folder, PYTHON="/nowhere/python3")
    assert status == 1 and len(errors) == 1 and "found none at /nowhere/python3" in errors[0]


def test_a_foreign_environment_is_never_removed(clone, only):
    (clone / ".venv").mkdir()
    (clone / ".venv" / "mine").touch()
    status, _, errors = environment(clone, only(python3=("3.11.7", True)))
    assert status == 1 and len(errors) == 1 and "make clean" in errors[0] and (clone / ".venv" / "mine").exists()


def test_an_interrupted_environment_starts_anew(clone, only):
    (clone / ".venv" / "lib").mkdir(parents=True)
    (clone / ".venv" / "installing").touch()
    status, lines, _ = environment(clone, only(python3=("3.11.7", True)))
    assert status == 1 and lines == ["creating .venv with Python 3.11.7"] and not (clone / ".venv" / "lib").exists()
    assert (clone / ".venv" / "installing").exists()


def test_interop_has_an_environment_of_its_own(clone, only):
    (clone / ".venv" / "lib").mkdir(parents=True)
    (clone / ".venv" / "installing").touch()
    status, lines, _ = environment(clone, only(python3=("3.11.7", True)), level="interop")
    assert status == 1 and lines == ["creating .venv-interop with Python 3.11.7"]
    assert (clone / ".venv-interop" / "installing").exists() and (clone / ".venv" / "lib").exists()


def test_ci_runs_the_readmes_commands():
    script = (ROOT / ".ci" / "run").read_text()
    suites = ["make test", "make test-slow", "make test-page", "make test-interop"]
    assert re.findall(r"^make .*", script, re.MULTILINE) == suites
    assert "set -euo pipefail" in script and os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("name", ["README.md", "README_zh.md"])
def test_badges_say_what_holds(name):
    text, project = (ROOT / name).read_text(encoding="utf-8"), (ROOT / "pyproject.toml").read_text()
    badges = re.findall(r"img\.shields\.io/badge/([^)]*)\)", text)
    pythons = "%20|%20".join(re.findall(r"Python :: (3\.\d+)", project))
    paddle = re.search(r"^paddlepaddle==([\d.]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)[1]
    licence = re.search(r'^license = "(.*)"$', project, re.MULTILINE)[1].replace("-", "--")
    said = [badge.partition("-")[2].rpartition("-")[0] for badge in badges]
    assert said[:3] == [licence, pythons, paddle] and len(said) == 4
