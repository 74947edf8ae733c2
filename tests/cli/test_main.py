"""The `ernie-vil2` command: every tool is a verb, help is instant, a misspelt verb gets one sentence."""

import shlex
import shutil
import subprocess
import sys

import pytest

from ernie_vil2 import __version__
from ernie_vil2.cli import main
from ernie_vil2.cli.groups import GROUPS
from tests.conftest import ROOT

GREET = '''"""Greet one person.

More on greeting.
"""
import argparse

from ernie_vil2.errors import DataError


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    name = parser.parse_args(argv).name
    if name == "nobody":
        raise DataError("there is nobody to greet; name a person")
    print("hello", name)
    return 3 if name == "three" else None
'''
PART = '''"""Fails when imported."""

raise SystemExit("imported")
'''
PURPOSES = """GROUPS = {"Meet": ("ernie-vil2 greet Anna", ("greet",)), "Take apart": ("ernie-vil2 part", ("part",))}
"""


@pytest.fixture
def ernie_vil2(tmp_path):
    """Function (*arguments) -> (status, stdout, stderr) of the command with two verbs, `greet` and `part`."""
    package = tmp_path / "ernie_vil2"
    (package / "cli" / "part").mkdir(parents=True)
    (package / "cli" / "greet.py").write_text(GREET)
    (package / "cli" / "arguments.py").write_text("raise SystemExit('imported')\n")
    (package / "cli" / "part" / "__init__.py").write_text('"""Verbs."""\n')
    (package / "cli" / "part" / "main.py").write_text(PART)
    (package / "cli" / "groups.py").write_text(PURPOSES)
    for name in ("__init__", "runtime", "errors", "versions", "cli/__init__", "cli/main"):
        shutil.copy(ROOT / "ernie_vil2" / f"{name}.py", package / f"{name}.py")

    def run(*arguments):
        command = [sys.executable, "-m", "ernie_vil2.cli.main", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_lists_the_tools_without_importing_them(ernie_vil2, word):
    status, out, err = ernie_vil2(word)
    assert (status, err) == (0, "")
    assert out.splitlines()[2:] == [
        "Meet:  ernie-vil2 greet Anna",
        "  greet  Greet one person.",
        "",
        "Take apart:  ernie-vil2 part",
        "  part   Fails when imported.",
    ]


def test_no_verb_is_wrong_usage(ernie_vil2):
    status, out, _ = ernie_vil2()
    assert status == 2 and "  greet  Greet one person." in out


def test_a_verb_runs_its_tool(ernie_vil2):
    assert ernie_vil2("greet", "Anna") == (0, "hello Anna\n", "")
    assert ernie_vil2("greet", "three") == (3, "hello three\n", "")


def test_a_tool_explains_itself_under_its_verb(ernie_vil2):
    status, out, _ = ernie_vil2("greet", "--help")
    assert status == 0 and out.startswith("usage: ernie-vil2 greet [-h] name")
    assert ernie_vil2("help", "greet") == ernie_vil2("--help", "greet") == (0, out, "")
    status, _, err = ernie_vil2("greet", "--loud")
    assert status == 2 and err.startswith("usage: ernie-vil2 greet")


def test_a_users_mistake_is_one_line(ernie_vil2):
    assert ernie_vil2("greet", "nobody") == (1, "", "error: there is nobody to greet; name a person\n")


def test_an_unknown_verb_names_the_nearest(ernie_vil2):
    assert ernie_vil2("gret") == (2, "", "error: ernie-vil2 has no verb 'gret'; did you mean 'greet'?\n")
    assert ernie_vil2("xyzzy") == (2, "", "error: ernie-vil2 has no verb 'xyzzy'; the verbs are greet, part\n")
    assert ernie_vil2("--hlep")[2].endswith("; did you mean '--help'?\n")
    assert ernie_vil2("arguments")[0] == 2


def test_version(ernie_vil2):
    assert ernie_vil2("--version") == (0, f"ernie-vil2 {__version__}\n", "")


def test_every_verb_of_the_repository_has_one_line(capsys):
    with pytest.raises(SystemExit) as leaving:
        main.main(["--help"])
    assert not leaving.value.code
    lines = capsys.readouterr().out.splitlines()
    told = [line.split(maxsplit=1) for line in lines if line.startswith("  ")]
    assert all(len(words) == 2 for words in told) and max(map(len, lines)) <= 100
    assert sorted(verb for verb, _ in told) == list(main.modules())


def test_every_purpose_begins_with_one_of_its_verbs():
    for example, verbs in GROUPS.values():
        program, verb, *rest = shlex.split(example)
        assert program == "ernie-vil2" and verb in verbs
        main.verb_module(verb).parser().parse_args(rest)


def test_help_on_a_verb_of_a_verb_is_its_own(capsys):
    with pytest.raises(SystemExit) as left:
        main.dispatch(["help", "index", "build"])
    assert left.value.code == 0 and capsys.readouterr().out.startswith("usage: ernie-vil2 index build ")
